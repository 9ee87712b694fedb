import { icon, iconButton, make } from "./elements.js";
import { KEYS, pressKey } from "./keyboard.js";
import { Panel } from "./panel.js";
import { Pointers } from "./pointer.js";
import { Connection } from "./protocol.js";
import { Viewer } from "./viewer.js";

const NARROW = 640; // pixels, below which the panel lies under the drawing

/**
 * Shows a running simulation in an element of a page.
 *
 * `url` is the address of the simulation with its token; `channel`, of a notebook, is used where no socket can be
 * reached (see `Connection`); `theme` is "light", "dark" or null for that of the system. Returns the `Page`.
 */
export function mount(element, { url = null, channel = null, theme = null } = {}) {
  return new Page(element, { url, channel, theme });
}

/** The whole page: the drawing, what lies over it, and the panel at its side. */
export class Page {
  constructor(element, { url, channel, theme }) {
    this.root = make("div", { className: "latte-live" });
    this.root.dataset.lmSuppressShortcuts = "true"; // JupyterLab's keys
    element.append(this.root);
    this.setLook(theme ?? (window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));
    this.setContrast(window.matchMedia("(prefers-contrast: more)").matches);
    this.canvas = make("canvas", { tabIndex: 0, className: "drawing", role: "application" });
    this.canvas.setAttribute("aria-label", "atoms; drag one to pull it, press ? for keys");
    this.labels = make("div", { className: "labels", "aria-hidden": "true" });
    this.toast = make("div", { className: "toast", role: "status", hidden: true });
    this.warnings = make("div", { className: "warnings", role: "alert" });
    this.stage = make("main", { className: "stage" }, this.canvas, this.labels, this.title(), this.corner(), this.warnings, this.toast, this.transport());
    this.root.append(this.stage);
    try {
      this.viewer = new Viewer(this.canvas, {
        send: (message) => this.connection?.send(message),
        notify: (what, message) => this.notify(what, message),
        root: this.root,
      });
    } catch (error) {
      this.say(error.message, Infinity);
      return;
    }
    this.panel = new Panel(this.viewer);
    this.root.append(this.panel.element);
    this.pointers = new Pointers(this.canvas, this.viewer);
    this.root.addEventListener("keydown", (event) => this.pressed(event));
    this.resizing = new ResizeObserver(() => this.resized());
    this.resizing.observe(this.root);
    this.resizing.observe(this.canvas);
    this.connection = new Connection(
      { address: url, channel },
      { receive: (message) => this.viewer.receive(message), changed: (state) => this.showConnection(state) },
    );
    this.root.page = this; // for tests and for scripts of one's own
  }

  // ---- parts

  title() {
    this.name = make("strong", {}, "latte_ase live");
    this.facts = make("span");
    this.clock = make("span", { className: "clock" });
    return make("header", { className: "title" }, this.name, this.facts, this.clock);
  }

  corner() {
    const button = (name, words, action) => iconButton(name, words, action);
    this.steer = make("button", { type: "button", className: "steer", hidden: true, onclick: () => this.viewer.command("steer") }, "Take the wheel");
    return make(
      "nav",
      { className: "corner" },
      this.steer,
      button("center", "centre the view (C)", () => this.viewer.lookAtAll()),
      button("theme", "light or dark", () => this.setLook(this.root.dataset.theme === "dark" ? "light" : "dark")),
      button("contrast", "high contrast", () => this.setContrast(this.root.dataset.contrast !== "high")),
      button("help", "keys (?)", () => this.help()),
      button("panel", "show or hide the controls", () => this.root.classList.toggle("folded")),
    );
  }

  transport() {
    const command = (type, fields) => () => this.viewer.command(type, fields);
    this.play = iconButton("pause", "pause (space)", () => this.viewer.togglePlay());
    this.play.classList.add("main");
    this.record = iconButton("record", "record a trajectory", () => this.viewer.command("record", { path: this.viewer.status.recording ? null : "live.traj" }));
    const rewind = iconButton("rewind", "back in time, while pressed (,)", null);
    const back = () => this.viewer.command("rewind", { frames: 5 });
    rewind.onpointerdown = () => {
      back();
      this.rewinding = setInterval(back, 90);
    };
    for (const name of ["onpointerup", "onpointerleave", "onpointercancel"]) rewind[name] = () => clearInterval(this.rewinding);
    rewind.onclick = (event) => event.detail === 0 && back(); // by keyboard
    this.pace = make("output", { className: "pace", title: "frames and steps per second" });
    return make(
      "footer",
      { className: "transport", role: "toolbar", "aria-label": "playback" },
      iconButton("reset", "reset to the start (R)", command("reset")),
      rewind,
      this.play,
      iconButton("step", "one step (.)", command("step", { n: 1 })),
      this.record,
      iconButton("keep", "keep this frame for labelling (K)", () => {
        this.viewer.command("keep");
        this.kept = performance.now();
      }),
      this.pace,
    );
  }

  help() {
    if (this.dialog) return this.closeHelp();
    const rows = KEYS.map(([key, meaning]) => make("tr", {}, make("th", {}, key), make("td", {}, meaning)));
    const pointers = [
      ["drag an atom", "pull it"],
      ["drag elsewhere", "turn the view; with shift or the right button, move it"],
      ["wheel, two fingers", "zoom"],
      ["click, shift + click", "select one, select more"],
    ].map(([key, meaning]) => make("tr", {}, make("th", {}, key), make("td", {}, meaning)));
    const close = iconButton("close", "close", () => this.closeHelp());
    this.dialog = make("div", { className: "help", role: "dialog", "aria-label": "help" }, close, make("table", {}, ...pointers, ...rows));
    this.stage.append(this.dialog);
    close.focus();
  }

  closeHelp() {
    this.dialog?.remove();
    this.dialog = null;
    this.canvas.focus();
  }

  pressed(event) {
    if (event.target.closest("input, select, textarea")) return;
    if (event.key === " " && event.target.closest("button, summary")) return;
    if (event.key === "Escape" && this.dialog) return this.closeHelp();
    const page = { help: () => this.help(), add: () => this.openAdding() };
    if (!pressKey(event, this.viewer, page)) return;
    event.preventDefault();
    event.stopPropagation(); // a notebook has keys of its own
  }

  openAdding() {
    this.root.classList.remove("folded");
    this.panel.wanted.closest("details").open = true;
    this.panel.wanted.focus();
  }

  // ---- looks

  setLook(theme) {
    this.root.dataset.theme = theme;
    this.viewer?.readTheme();
  }

  resized() {
    const narrow = this.root.clientWidth < NARROW;
    if (narrow && this.narrow === undefined) this.root.classList.add("folded"); // at first; later as the person wants
    this.narrow = narrow;
    this.root.classList.toggle("narrow", narrow);
    this.viewer.changed();
  }

  setContrast(high) {
    this.root.dataset.contrast = high ? "high" : "normal";
    this.viewer?.readTheme();
  }

  // ---- what changes

  notify(what, message) {
    const { panel, viewer } = this;
    if (!panel) return;
    const handlers = {
      hello: () => {
        panel.showHello(message);
        panel.showOptions();
        this.showFacts();
        this.showSteering();
      },
      structure: () => {
        panel.showStructure(message);
        this.showFacts();
      },
      status: () => this.showStatus(message),
      steers: () => this.showSteering(),
      uncertainty: () => panel.showOptions(),
      options: () => panel.showOptions(),
      error: () => this.say(message.text),
      refused: () => this.say("Someone else steers. Take the wheel to pull atoms."),
      selection: () => panel.showSelection(),
      placing: () => panel.showPlacing(),
      frame: () => {
        if (!this.optionsShown) panel.showOptions();
        this.optionsShown = true;
        panel.showFrame(message);
        this.showPace(message);
      },
      drawn: () => this.showLabels(),
    };
    handlers[what]?.();
  }

  showFacts() {
    const { hello, structure } = this.viewer;
    if (hello) this.name.textContent = hello.calculator;
    if (structure) this.facts.textContent = `${formula(structure.symbols)} · ${structure.radii.length} atoms`;
  }

  showSteering() {
    this.steer.hidden = this.viewer.steers;
  }

  showStatus(status) {
    this.panel.showStatus(status);
    this.play.replaceChildren(icon(status.paused ? "play" : "pause"));
    this.play.title = status.paused ? "play (space)" : "pause (space)";
    this.play.setAttribute("aria-label", this.play.title);
    this.record.classList.toggle("on", Boolean(status.recording));
    this.record.title = status.recording ? `stop recording ${status.recording}` : "record a trajectory";
    const cards = (status.warnings ?? []).slice(0, 3).map(({ text, atoms = [] }) => {
      const show = make("button", { type: "button", onclick: () => this.viewer.select(atoms) }, "Show");
      const keep = make("button", { type: "button", onclick: () => this.viewer.command("keep") }, "Keep this frame");
      return make("div", { className: "warning" }, make("span", {}, text), ...(atoms.length ? [show] : []), keep);
    });
    const words = cards.map((card) => card.firstChild.textContent).join("\n");
    if (words !== this.warned) this.warnings.replaceChildren(...cards); // a button is not replaced under the pointer
    this.warned = words;
    if (status.message && status.message !== this.told) this.say(status.message);
    this.told = status.message;
  }

  showPace({ time }) {
    this.clock.textContent = time < 1e4 ? `${time.toFixed(0)} fs` : `${(time / 1000).toFixed(2)} ps`;
    const steps = this.viewer.status.steps_per_second;
    const frames = `${this.viewer.framesPerSecond()} frames/s`;
    this.pace.textContent = steps ? `${frames} · ${steps.toFixed(0)} steps/s` : frames;
  }

  /** Numbers beside what they describe: forces of pulls, the measure of the selection, the atom under the pointer. */
  showLabels() {
    const { viewer } = this;
    const wanted = viewer.pulls.map(({ atom, from, to, force }) => ({
      className: "force",
      text: `${force.toFixed(2)} eV/Å`,
      at: from.map((x, k) => 0.5 * (x + to[k])),
      atom,
    }));
    const measure = viewer.measure();
    if (measure) wanted.push({ className: "measure", text: `${measure.value.toFixed(measure.unit === "Å" ? 2 : 1)} ${measure.unit}`, at: measure.middle });
    const { pointed, structure } = viewer;
    if (pointed !== null && pointed < structure.radii.length && !viewer.grip) {
      const at = [...viewer.positions.subarray(3 * pointed, 3 * pointed + 3)];
      wanted.push({ className: "name", text: `${structure.symbols[pointed]} ${pointed}`, at });
    }
    while (this.labels.children.length < wanted.length) this.labels.append(make("span"));
    [...this.labels.children].forEach((label, k) => {
      label.hidden = k >= wanted.length;
      if (label.hidden) return;
      const { x, y } = viewer.camera.project(wanted[k].at);
      label.className = wanted[k].className;
      label.textContent = wanted[k].text;
      label.style.transform = `translate(${x.toFixed(1)}px, ${y.toFixed(1)}px)`;
    });
  }

  showConnection(state) {
    this.root.dataset.connection = state;
    if (state === "closed") this.say("The simulation does not answer. It may have ended.", Infinity);
    if (state === "open") this.say("", 0);
  }

  /** Words that pass, after some seconds. */
  say(text, milliseconds = 6000) {
    this.toast.textContent = text;
    this.toast.hidden = !text;
    clearTimeout(this.quiet);
    if (Number.isFinite(milliseconds)) this.quiet = setTimeout(() => (this.toast.hidden = true), milliseconds);
  }

  close() {
    this.resizing?.disconnect();
    this.connection?.close();
    this.viewer?.close();
    this.root.remove();
  }
}

/** A formula in the order of Hill, with small numbers. */
function formula(symbols) {
  const counts = new Map();
  for (const symbol of symbols) counts.set(symbol, (counts.get(symbol) ?? 0) + 1);
  const rank = (symbol) => (counts.has("C") ? { C: "0", H: "1" }[symbol] ?? symbol : symbol);
  const small = (count) => [...String(count)].map((digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]).join("");
  const order = [...counts.keys()].sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
  return order.map((symbol) => symbol + (counts.get(symbol) > 1 ? small(counts.get(symbol)) : "")).join("");
}
