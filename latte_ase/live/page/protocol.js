/** Messages of a simulation: text is JSON, frames are binary, little endian. */

const MAGIC = 0x3154414c; // "LAT1"
const PATIENCE = 4000; // milliseconds until a connection counts as impossible
const RETRY = 1500; // milliseconds
const THROTTLE = 100; // milliseconds between two pulls through a kernel

/** One state of the simulation. Times are in fs, energies in eV, temperatures in K, positions in Angstrom. */
export function parseFrame(data) {
  const view = new DataView(data);
  if (view.byteLength < 100 || view.getUint32(0, true) !== MAGIC) throw new Error("this is not a frame");
  const [count, pullCount] = [view.getUint32(8, true), view.getUint32(12, true)];
  const floats = (offset, length) => new Float32Array(data, offset, length);
  const cell = floats(64, 9);
  const end = 100 + 12 * count;
  const pulls = [];
  for (let k = 0; k < pullCount; k++) {
    const at = end + 28 * k;
    const values = floats(at + 4, 6);
    pulls.push({ atom: view.getUint32(at, true), target: [...values.slice(0, 3)], force: [...values.slice(3)] });
  }
  return {
    revision: view.getUint32(4, true),
    time: view.getFloat64(16, true),
    potential: view.getFloat64(24, true),
    kinetic: view.getFloat64(32, true),
    temperature: view.getFloat64(40, true),
    number: view.getUint32(48, true),
    pulled: view.getFloat32(52, true),
    cell: [0, 3, 6].map((k) => [...cell.slice(k, k + 3)]),
    positions: floats(100, 3 * count),
    pulls,
  };
}

/**
 * A connection that is made again when it breaks.
 *
 * `address` is that of the page with its token, or null; `channel` of a notebook, or null, is used where no socket can
 * be reached: {send(object), listen(receive), close()}. `receive` is called with objects and frames, and `changed`
 * with "connecting", "open" or "closed".
 */
export class Connection {
  constructor({ address, channel }, { receive, changed }) {
    this.places = address ? socketAddresses(address) : [];
    this.channel = channel;
    this.receive = receive;
    this.changed = changed;
    this.closed = false;
    this.place = 0;
    this.socket = null;
    this.throughKernel = false;
    this.open();
  }

  open() {
    if (this.closed) return;
    this.changed("connecting");
    if (this.place >= this.places.length) {
      if (this.channel) this.openChannel();
      else this.retry();
      return;
    }
    const socket = this.makeSocket(this.places[this.place]);
    if (!socket) {
      this.place += 1;
      this.open();
      return;
    }
    let opened = false;
    const patience = setTimeout(() => socket.close(), PATIENCE);
    socket.onopen = () => {
      opened = true;
      clearTimeout(patience);
      this.changed("open");
    };
    socket.onmessage = ({ data }) => this.receive(typeof data === "string" ? JSON.parse(data) : parseFrame(data));
    socket.onclose = () => {
      clearTimeout(patience);
      this.socket = null;
      if (this.closed) return;
      if (opened) return this.retry();
      this.place += 1;
      this.open();
    };
    this.socket = socket;
  }

  makeSocket(place) {
    try {
      const socket = new WebSocket(place);
      socket.binaryType = "arraybuffer";
      return socket;
    } catch {
      return null; // a secure page may not open an insecure socket
    }
  }

  openChannel() {
    this.throughKernel = true;
    this.channel.listen((message) =>
      this.receive(message instanceof ArrayBuffer ? parseFrame(message) : message),
    );
    this.channel.send({ type: "open" });
    this.changed("open");
  }

  retry() {
    this.changed("closed");
    this.place = 0;
    setTimeout(() => this.open(), RETRY);
  }

  send(message) {
    if (this.throughKernel) this.sendThroughKernel(message);
    else if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  /** Without acknowledgements, and with the last of many pulls: a kernel's messages are slow. */
  sendThroughKernel(message) {
    if (message.type === "ack") return;
    if (message.type !== "pull") {
      if (message.type === "release") this.pending = null;
      this.channel.send(message);
      return;
    }
    if (!this.pending) setTimeout(() => this.sendPending(), THROTTLE);
    this.pending = message;
  }

  sendPending() {
    if (this.pending) this.channel.send(this.pending);
    this.pending = null;
  }

  close() {
    this.closed = true;
    this.socket?.close();
    if (this.throughKernel) {
      this.channel.send({ type: "close" });
      this.channel.close();
    }
  }
}

/** Where the socket of a page may be: at its own address, or behind the proxy of the Jupyter server that shows it. */
function socketAddresses(address) {
  const page = new URL(address, window.location.href);
  const token = page.searchParams.get("token") ?? "";
  const query = `socket?token=${encodeURIComponent(token)}`;
  const places = [new URL(query, page).href.replace(/^http/, "ws")];
  const jupyter = document.getElementById("jupyter-config-data");
  if (jupyter && page.port && !["localhost", "127.0.0.1"].includes(window.location.hostname)) {
    const base = JSON.parse(jupyter.textContent).baseUrl ?? "/";
    const scheme = window.location.protocol === "https:" ? "wss" : "ws";
    places[0] = `${scheme}://${window.location.host}${base}proxy/${page.port}/${query}`;
  }
  return places;
}
