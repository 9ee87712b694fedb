import { Camera } from "./camera.js";
import { parseColor } from "./colors.js";
import { chain, measured } from "./measure.js";
import { Picture } from "./picture.js";
import { pick } from "./pointer.js";
import { Scene } from "./scene.js";
import { add, completedCell, cross, dot, norm, reciprocal, scaled, subtract, transposedTimes, unit } from "./vector.js";

const VACUUM = 5; // Angstrom without atoms, that make a crystal a surface
const UNCERTAIN = 0.3; // eV/Angstrom, at least the end of the scale of uncertainties

/** The state of one view of a simulation, and what can be done with it. */
export class Viewer {
  /** `send` takes messages; `notify` is called with the name of what changed. */
  constructor(canvas, { send, notify, root }) {
    Object.assign(this, { canvas, send, notify, root });
    this.camera = new Camera();
    this.scene = new Scene(canvas);
    this.picture = new Picture(this.scene);
    this.options = { size: 0.62, bonds: true, cell: true, repeats: 0, wrap: false, follow: true, strength: 2, colorBy: "element" };
    this.hello = null;
    this.structure = null;
    this.frame = null;
    this.status = {};
    this.steers = false;
    this.uncertainty = null;
    this.selection = [];
    this.pointed = null;
    this.placing = null; // what the next click adds
    this.grip = null;
    this.asked = []; // pulls that were sent, until a frame shows them
    this.latencies = []; // milliseconds from the pointer's motion to a frame with the force of it
    this.drawn = []; // times of the pictures of the last second
    this.pictures = 0; // that were drawn
    this.waiting = false;
    this.acknowledged = null;
    this.readTheme();
  }

  // ---- what comes from the simulation

  receive(message) {
    if (message.positions) this.receiveFrame(message);
    else if (message.type === "structure") this.receiveStructure(message);
    else if (message.type === "uncertainty") {
      this.uncertainty = message.revision === this.structure?.revision ? message.values : null;
      this.repaint();
    } else if (message.type === "hello") {
      this.hello = message;
      this.steers = message.steers;
      if (this.options.colorBy === "uncertainty") this.send({ type: "watch", uncertainty: true }); // after a reconnection
    } else if (message.type === "steers") this.steers = message.value;
    else if (message.type === "status") this.status = message;
    this.notify(message.type ?? "frame", message);
  }

  receiveStructure(message) {
    const other = !this.structure || this.structure.radii.length !== message.radii.length;
    const replaced = this.structure?.revision !== message.revision;
    this.structure = { ...message, colors: message.colors.map(parseColor) };
    if (replaced && other) {
      this.selection = [];
      this.pointed = null;
      this.uncertainty = null;
      this.grip = null;
    }
    this.repaint();
  }

  receiveFrame(frame) {
    const { structure } = this;
    if (!structure || frame.positions.length !== 3 * structure.radii.length) {
      this.send({ type: "ack", frame: frame.number });
      return;
    }
    const first = !this.frame;
    this.frame = frame;
    this.positions = Picture.shown(frame.positions, frame.cell, structure.pbc, this.options.wrap);
    if (first) {
      Object.assign(this.options, Picture.suggested(structure, this.positions, frame.cell));
      this.lookAtAll(true);
      this.repaint();
    }
    this.followAtoms();
    this.noteLatency(frame);
    this.changed();
  }

  // ---- drawing

  /** Asks for a picture at the next occasion. */
  changed() {
    if (this.waiting || this.closed) return;
    this.waiting = true;
    requestAnimationFrame(() => this.render());
  }

  repaint() {
    this.painted = false;
    this.changed();
  }

  render() {
    this.waiting = false;
    const { frame, structure, options, theme } = this;
    if (!frame || !structure || this.closed || frame.positions.length !== 3 * structure.radii.length) return;
    const scene = { structure, positions: this.positions, cell: frame.cell };
    if (!this.painted) {
      const values = options.colorBy === "uncertainty" ? this.uncertainty : null;
      this.picture.paint({ ...scene, selection: this.selection, pointed: this.pointed, values, scale: this.scale() });
      this.painted = true;
    }
    this.picture.place({ ...scene, bonds: options.bonds, size: options.size });
    this.pulls = this.shownPulls();
    this.picture.annotate({ ...scene, pulls: this.pulls, selection: this.selection, theme, showCell: options.cell });
    this.scene.draw(this.camera, { theme, size: options.size, cell: frame.cell, images: this.images() });
    this.notify("drawn");
    const now = performance.now();
    this.pictures += 1;
    this.drawn.push(now);
    while (this.drawn[0] < now - 1000) this.drawn.shift();
    requestAnimationFrame(() => this.scene.measured(performance.now() - now));
    if (this.acknowledged === frame.number) return;
    this.acknowledged = frame.number;
    this.send({ type: "ack", frame: frame.number });
  }

  /** Periodic images that are drawn: those between the viewer and the original are left out. */
  images() {
    const all = Picture.images(this.structure.pbc, this.options.repeats);
    const back = this.camera.rows[2];
    return all.filter((image) => {
      const shift = transposedTimes(this.frame.cell, image);
      return dot(shift, back) <= 0.3 * norm(shift);
    });
  }

  /** The uncertainty, eV/Angstrom, at the end of the scale of colours. */
  scale() {
    return Math.max(UNCERTAIN, ...(this.uncertainty ?? []));
  }

  /** Pulls as they are shown; the target of one's own follows the pointer at once. */
  shownPulls() {
    const pulls = Picture.pulls(this.frame, this.positions, this.structure.pbc, this.options.strength);
    const { grip } = this;
    if (!grip?.target) return pulls;
    for (const atom of grip.atoms) {
      const place = [...this.positions.slice(3 * atom, 3 * atom + 3)];
      const known = pulls.find((pull) => pull.atom === atom);
      const to = add(grip.start.get(atom), grip.moved);
      if (known) known.to = to;
      else pulls.push({ atom, from: place, to, force: 0, strength: 0 });
    }
    return pulls;
  }

  readTheme() {
    const style = getComputedStyle(this.root);
    const color = (name) => parseColor(style.getPropertyValue(`--${name}`));
    const [top, bottom] = [color("sky"), color("ground")];
    const paper = top.map((c, k) => 0.5 * (c + bottom[k]));
    const outline = parseFloat(style.getPropertyValue("--outline"));
    this.theme = { top, bottom, paper, ink: color("ink"), accent: color("accent"), line: color("cell"), outline };
    this.changed();
  }

  // ---- the view

  /** All atoms, and the cell, fill the screen; with a first look also from a direction that shows depth. */
  lookAtAll(first = false) {
    const { frame, structure, positions } = this;
    if (!frame) return;
    this.scene.fit(this.camera);
    const count = structure.radii.length;
    const points = [...Array(count).keys()].map((i) => [...positions.slice(3 * i, 3 * i + 3)]);
    if (structure.pbc.some(Boolean)) {
      for (const a of [0, 1]) for (const b of [0, 1]) for (const c of [0, 1]) points.push(transposedTimes(frame.cell, [a, b, c]));
    }
    const axes = [0, 1, 2].map((k) => points.map((point) => point[k]));
    const centre = axes.map((values) => (values.reduce((a, b) => Math.min(a, b)) + values.reduce((a, b) => Math.max(a, b))) / 2);
    const widest = structure.radii.reduce((a, b) => Math.max(a, b), 0);
    const radius = widest + points.reduce((most, point) => Math.max(most, norm(subtract(point, centre))), 1.5);
    this.camera.lookAt(centre, radius, first ? firstPose(positions, frame.cell, structure.pbc) : null);
    this.anchor = this.centroid();
    this.changed();
  }

  centroid() {
    const sum = [0, 0, 0];
    const { positions } = this;
    for (let i = 0; i < positions.length; i++) sum[i % 3] += positions[i];
    return scaled(sum, 3 / positions.length);
  }

  /** Keeps molecules that drift in the middle of the view, except while one is pulled. */
  followAtoms() {
    if (this.structure.pbc.some(Boolean) || !this.options.follow) return;
    const now = this.centroid();
    if (this.anchor && !this.grip) this.camera.centre = add(this.camera.centre, subtract(now, this.anchor));
    this.anchor = now;
  }

  /** Where an atom is on the screen, in pixels from the upper left corner of the drawing. */
  screen(atom) {
    return this.camera.project([...this.positions.slice(3 * atom, 3 * atom + 3)]);
  }

  setOption(name, value) {
    this.options[name] = value;
    if (name === "colorBy") this.send({ type: "watch", uncertainty: value === "uncertainty" });
    if (this.frame) this.positions = Picture.shown(this.frame.positions, this.frame.cell, this.structure.pbc, this.options.wrap);
    this.repaint();
    this.notify("options");
  }

  // ---- what the pointer does

  pick(x, y) {
    if (!this.frame) return null;
    const { structure, positions, options, frame } = this;
    const spheres = { positions, radii: structure.radii, size: options.size, cell: frame.cell, images: this.images() };
    return pick(x, y, this.camera, spheres);
  }

  mayPull() {
    if (!this.steers) this.notify("refused");
    return this.steers;
  }

  /** Begins a pull of an atom, and of all selected ones where it is one of them. */
  grab({ atom }) {
    const atoms = this.selection.includes(atom) ? [...this.selection] : [atom];
    const start = new Map(atoms.map((i) => [i, [...this.positions.slice(3 * i, 3 * i + 3)]]));
    const centre = scaled([...start.values()].reduce(add), 1 / atoms.length);
    this.grip = { atom, atoms, start, centre, moved: [0, 0, 0], target: null, sent: false };
    this.canvas.classList.add("pulling");
  }

  /** Moves the target of the pull; one message per picture is sent. */
  pull(target) {
    const { grip } = this;
    if (!grip) return;
    grip.target = target;
    grip.moved = subtract(target, grip.start.get(grip.atom));
    grip.since ??= performance.now();
    if (!grip.sent) {
      grip.sent = true;
      queueMicrotask(() => this.sendPull());
    }
    this.changed();
  }

  sendPull() {
    const { grip } = this;
    if (!grip) return;
    grip.sent = false;
    const to = add(grip.centre, grip.moved);
    this.asked.push({ to: add(grip.start.get(grip.atom), grip.moved), atom: grip.atom, since: grip.since });
    if (this.asked.length > 60) this.asked.shift();
    grip.since = null;
    const { strength } = this.options; // eV/Angstrom; the spring reaches it after about an Angstrom
    this.send({ type: "pull", atoms: grip.atoms, to, stiffness: strength, max_force: strength });
  }

  release() {
    if (!this.grip) return;
    this.send({ type: "release", atoms: this.grip.atoms });
    this.grip = null;
    this.asked = [];
    this.canvas.classList.remove("pulling");
    this.changed();
  }

  /** A pull that the keyboard moves, in Angstrom to the right and up. */
  nudge(right, up) {
    if (!this.selection.length || !this.mayPull()) return;
    if (!this.grip) this.grab({ atom: this.selection[0] });
    const step = transposedTimes(this.camera.rows, [right, up, 0]);
    this.pull(add(add(this.grip.start.get(this.grip.atom), this.grip.moved), step));
  }

  noteLatency(frame) {
    for (const { atom, target } of frame.pulls) {
      const at = this.asked.findIndex((one) => one.atom === atom && norm(subtract(one.to, target)) < 2e-3);
      if (at < 0) continue;
      this.latencies.push(performance.now() - this.asked[at].since);
      this.asked.splice(0, at + 1);
    }
    if (this.latencies.length > 500) this.latencies.splice(0, 100);
  }

  point(hit) {
    const atom = hit ? hit.atom : null;
    if (atom === this.pointed) return;
    this.pointed = atom;
    this.canvas.classList.toggle("over", atom !== null);
    this.repaint();
    this.notify("pointed");
  }

  click(hit, { x, y }, several) {
    if (this.placing) return this.placeAt(hit, x, y);
    if (!hit) this.select([]);
    else if (!several) this.select(this.selection.length === 1 && this.selection[0] === hit.atom ? [] : [hit.atom]);
    else if (this.selection.includes(hit.atom)) this.select(this.selection.filter((i) => i !== hit.atom));
    else this.select([...this.selection, hit.atom]);
  }

  /** Adds what is being placed at a point of the screen, at the depth of the atom there, or of the middle. */
  placeAt(hit, x, y) {
    const depth = hit ? hit.depth - 2 : this.camera.distance;
    this.addAt(this.camera.unproject(x, y, depth));
  }

  addAt(position) {
    this.send({ type: "add", ...this.placing, at: position });
    this.setPlacing(null);
  }

  setPlacing(what) {
    this.placing = what;
    this.canvas.classList.toggle("placing", what !== null);
    this.notify("placing");
  }

  select(atoms) {
    this.selection = atoms;
    this.repaint();
    this.notify("selection");
  }

  /** What the selection measures, with the middle of its points: {name, value, unit, middle}, or null. */
  measure() {
    const { selection, frame } = this;
    if (!frame || selection.length < 2 || selection.length > 4) return null;
    const points = chain(this.positions, selection, frame.cell, this.structure.pbc);
    return { ...measured(points), middle: scaled(points.reduce(add), 1 / points.length) };
  }

  // ---- commands

  command(type, fields = {}) {
    this.send({ type, ...fields });
  }

  togglePlay() {
    this.command(this.status.paused ? "play" : "pause");
  }

  fixSelection() {
    const { selection, structure } = this;
    if (!selection.length) return;
    const fixed = !selection.every((i) => structure.fixed.includes(i));
    this.command("fix", { atoms: selection, fixed });
  }

  deleteSelection() {
    if (!this.selection.length) return;
    this.command("delete", { atoms: this.selection });
    this.select([]);
  }

  framesPerSecond() {
    return this.drawn.length;
  }

  close() {
    this.closed = true;
    this.scene.close();
  }
}

/** From where structures look best: crystals from above an edge, surfaces from the side, molecules from above their plane. */
function firstPose(positions, cell, pbc) {
  const inverse = reciprocal(completedCell(cell));
  if (pbc.every(Boolean) && inverse && !inverse.some((row) => widestGap(positions, row) > VACUUM)) {
    return { from: [0.55, -1, 0.42], up: [0, 0, 1] };
  }
  if (pbc.filter(Boolean).length >= 2 && inverse) {
    const normal = inverse.reduce((best, row) => (widestGap(positions, row) > widestGap(positions, best) ? row : best));
    const side = [cell[0], cell[1], cell[2]].map((vector) => cross(vector, normal)).find((vector) => norm(vector) > 1e-3);
    return { from: add(add(scaled(unit(side), -1), scaled(unit(cross(side, normal)), 0.35)), scaled(unit(normal), 0.4)), up: normal };
  }
  const spans = [0, 1, 2].map((k) => {
    const values = positions.filter((_, i) => i % 3 === k);
    return values.reduce((a, b) => Math.max(a, b)) - values.reduce((a, b) => Math.min(a, b));
  });
  const thin = spans.indexOf(Math.min(...spans));
  const from = [0, 1, 2].map((k) => (k === thin ? 1 : 0.18));
  return { from, up: thin === 1 ? [0, 0, -1] : [0, 1, 0] };
}

/** The widest space without atoms along an axis of the cell, in Angstrom; `row` turns positions into fractions. */
function widestGap(positions, row) {
  const fractions = [];
  for (let i = 0; i < positions.length; i += 3) {
    const fraction = dot(row, [positions[i], positions[i + 1], positions[i + 2]]);
    fractions.push(fraction - Math.floor(fraction));
  }
  fractions.sort((a, b) => a - b);
  let widest = 1 + fractions[0] - fractions.at(-1);
  for (let i = 1; i < fractions.length; i++) widest = Math.max(widest, fractions[i] - fractions[i - 1]);
  return widest / norm(row);
}
