import { scaleGradient } from "./colors.js";
import { Choice, logarithmic, Slider, toggle } from "./controls.js";
import { make } from "./elements.js";
import { Plot } from "./plots.js";

const FASTEST = 20000; // steps per second; the end of the slider means no limit
const MODES = [
  ["nve", "NVE", "constant energy"],
  ["langevin", "Langevin", "constant temperature"],
  ["npt", "NPT", "constant pressure and temperature"],
  ["relax", "Relax", "to the nearest minimum of the energy"],
];

/** The side of the page: dynamics, plots, selection, editing, view. */
export class Panel {
  constructor(viewer) {
    this.viewer = viewer;
    this.element = make(
      "aside",
      { className: "panel", "aria-label": "controls" },
      this.dynamics(),
      this.plots(),
      this.selection(),
      this.editing(),
      this.view(),
    );
    this.plotted = 0;
  }

  // ---- parts

  dynamics() {
    const { viewer } = this;
    const set = (name) => (value) => viewer.command("set", { [name]: value });
    this.mode = new Choice({ label: "mode", values: MODES, change: set("mode") });
    this.temperature = new Slider({
      label: "Temperature",
      words: (kelvin) => `${kelvin.toFixed(0)} K`,
      toPlace: (kelvin) => Math.sqrt(kelvin / this.hottest()),
      toValue: (place) => Math.round(place * place * this.hottest()),
      change: set("temperature_K"),
    });
    this.friction = new Slider({
      label: "Friction",
      words: (friction) => (friction > 0 ? `${(1000 * friction).toPrecision(2)} / ps` : "none"),
      toPlace: (friction) => Math.sqrt(Math.max(0, friction) / this.roughest()),
      toValue: (place) => place * place * this.roughest(),
      change: set("friction"),
    });
    const scale = logarithmic(5, FASTEST);
    this.speed = new Slider({
      label: "Speed",
      words: (speed) => (speed > 0 ? `${speed.toFixed(0)} steps/s` : "as fast as it goes"),
      toPlace: (speed) => (speed > 0 ? scale.toPlace(speed) : 1),
      toValue: (place) => (place > 0.995 ? 0 : scale.toValue(place)),
      change: set("speed"),
    });
    this.strength = new Slider({
      label: "Pull at most",
      words: (strength) => `${strength.toPrecision(2)} eV/Å`,
      ...logarithmic(0.1, 10),
      change: (value) => viewer.setOption("strength", value),
    });
    const pressure = make("input", { type: "number", step: 0.1, value: 0, "aria-label": "pressure in GPa" });
    pressure.onchange = () => viewer.command("set", { pressure: Number(pressure.value) });
    this.pressure = make("label", { className: "field", hidden: true }, make("span", {}, "Pressure, GPa"), pressure);
    return section(
      "Dynamics",
      this.mode.element,
      this.temperature.element,
      this.friction.element,
      this.speed.element,
      this.pressure,
      this.strength.element,
    );
  }

  plots() {
    const energy = make("canvas", { className: "plot", role: "img", "aria-label": "energy over time" });
    const temperature = make("canvas", { className: "plot", role: "img", "aria-label": "temperature over time" });
    this.energy = new Plot(energy);
    this.heat = new Plot(temperature);
    this.energyNow = make("output");
    this.heatNow = make("output");
    const head = (text, now, ...keys) => make("div", { className: "plot-head" }, make("span", {}, text), ...keys, now);
    const key = (name, text) => make("span", { className: `key ${name}` }, text);
    return section(
      "Energy and temperature",
      head("eV", this.energyNow, key("potential", "potential"), key("total", "total")),
      energy,
      head("K", this.heatNow, key("temperature", "temperature")),
      temperature,
    );
  }

  selection() {
    const { viewer } = this;
    this.chosen = make("div", { className: "chosen" });
    const act = (text, title, onclick) => make("button", { type: "button", title, onclick }, text);
    this.fix = act("Fix", "hold the selected atoms in place (F)", () => viewer.fixSelection());
    const remove = act("Delete", "delete the selected atoms (Delete)", () => viewer.deleteSelection());
    const symbol = make("input", { type: "text", placeholder: "Element", size: 6, maxLength: 2, "aria-label": "element that replaces the selected atom" });
    const replace = (event) => {
      event.preventDefault();
      const [atom] = viewer.selection;
      if (symbol.value) viewer.command("replace", { atom, symbol: capitalized(symbol.value) });
    };
    this.replaceForm = make("form", { className: "inline", onsubmit: replace }, symbol, make("button", {}, "Replace"));
    this.actions = make("div", { className: "row" }, this.fix, remove, this.replaceForm);
    const part = section("Selection", this.chosen, this.actions);
    this.showSelection();
    return part;
  }

  editing() {
    const { viewer } = this;
    this.known = make("datalist", { id: `molecules-${Math.random().toString(36).slice(2)}` });
    this.wanted = make("input", { type: "text", placeholder: "Element or molecule", "aria-label": "element or molecule to add" });
    this.wanted.setAttribute("list", this.known.id);
    this.addButton = make("button", {}, "Place");
    const submit = (event) => {
      event.preventDefault();
      if (viewer.placing) return viewer.setPlacing(null);
      const text = this.wanted.value.trim();
      if (text) viewer.setPlacing(this.named(text));
    };
    const form = make("form", { className: "inline", onsubmit: submit }, this.wanted, this.addButton, this.known);
    this.addHint = make("p", { className: "hint", hidden: true }, "Click where it goes.");
    return section("Add", form, this.addHint);
  }

  view() {
    const { viewer } = this;
    const option = (name) => (value) => viewer.setOption(name, value);
    this.size = new Slider({
      label: "Atoms",
      words: (size) => `${size.toFixed(2)} of the covalent radius`,
      toPlace: (size) => (size - 0.2) / 1.3,
      toValue: (place) => 0.2 + 1.3 * place,
      change: option("size"),
    });
    this.bonds = toggle("bonds", true, option("bonds"));
    const follow = toggle("follow drifting molecules", true, option("follow"));
    this.periodic = make(
      "div",
      {},
      toggle("cell", true, option("cell")),
      toggle("periodic images", false, (on) => viewer.setOption("repeats", on ? 1 : 0)),
      toggle("atoms inside the cell", false, option("wrap")),
    );
    this.coloring = new Choice({
      label: "colours",
      values: [
        ["element", "Element", "colours of ASE"],
        ["uncertainty", "Uncertainty", "what the model does not know: the spread of its committee's forces"],
      ],
      change: option("colorBy"),
    });
    const bar = make("div", { className: "bar" });
    bar.style.background = scaleGradient();
    this.legendEnd = make("output");
    this.legend = make("div", { className: "legend" }, make("span", {}, "0"), bar, this.legendEnd);
    return section("View", this.coloring.element, this.legend, this.size.element, this.bonds, this.periodic, follow);
  }

  // ---- what changes

  hottest() {
    return this.viewer.hello?.limits?.temperature_K?.[1] ?? 3000;
  }

  roughest() {
    return this.viewer.hello?.limits?.friction?.[1] ?? 0.1;
  }

  named(text) {
    const molecules = this.viewer.hello?.molecules ?? [];
    const symbol = /^[A-Z][a-z]?$/i.test(text) && !molecules.includes(text) ? capitalized(text) : null;
    const atom = /^[A-Z][a-z]?$/.test(text) ? text : symbol;
    return atom ? { symbol: atom } : { molecule: text };
  }

  showHello({ molecules = [] }) {
    this.known.replaceChildren(...molecules.map((name) => make("option", { value: name })));
  }

  showStatus(status) {
    this.mode.show(status.mode);
    this.temperature.show(status.temperature_K);
    this.friction.show(status.friction);
    this.speed.show(status.speed);
    this.pressure.hidden = status.mode !== "npt";
    this.temperature.element.hidden = !["langevin", "npt"].includes(status.mode);
    this.friction.element.hidden = status.mode !== "langevin";
  }

  showStructure({ pbc }) {
    this.periodic.hidden = !pbc.some(Boolean);
    this.showSelection();
  }

  showOptions() {
    const { options } = this.viewer;
    this.size.show(options.size);
    this.strength.show(options.strength);
    this.bonds.firstChild.checked = options.bonds;
    this.coloring.show(options.colorBy);
    this.legend.hidden = options.colorBy !== "uncertainty";
    const known = this.viewer.uncertainty;
    this.legendEnd.textContent = known ? `${this.viewer.scale().toFixed(2)} eV/Å` : "the model gives none";
  }

  showPlacing() {
    const { placing } = this.viewer;
    this.addButton.textContent = placing ? "Cancel" : "Place";
    this.addHint.hidden = !placing;
  }

  showSelection() {
    const { selection, structure } = this.viewer;
    this.actions.hidden = !selection.length;
    this.replaceForm.hidden = selection.length !== 1;
    if (!selection.length || !structure) {
      this.chosen.replaceChildren(make("p", { className: "hint" }, "Click an atom; with shift, more of them. Two give a distance, three an angle, four a dihedral."));
      return;
    }
    const names = selection.map((i) => `${structure.symbols[i]} ${i}`);
    const words = names.length > 6 ? `${names.length} atoms` : names.join("  –  ");
    this.measured = make("output", { className: "measured" });
    this.chosen.replaceChildren(make("div", { className: "names" }, words), this.measured);
    this.fix.textContent = selection.every((i) => structure.fixed.includes(i)) ? "Free" : "Fix";
    this.showMeasure();
  }

  /** The numbers that change with every frame, several times a second. */
  showFrame(frame) {
    const now = performance.now();
    if (now - this.plotted < 80) return;
    this.plotted = now;
    this.energy.push(frame.time, [frame.potential, frame.potential + frame.kinetic]);
    this.heat.push(frame.time, [frame.temperature]);
    const style = getComputedStyle(this.element);
    const color = (name) => style.getPropertyValue(`--${name}`).trim();
    const look = { text: color("quiet"), grid: color("border") };
    this.energy.draw({ ...look, colors: [color("curve-1"), color("curve-2")] });
    this.heat.draw({ ...look, colors: [color("curve-3")] });
    this.energyNow.textContent = frame.potential.toFixed(3);
    this.heatNow.textContent = frame.temperature.toFixed(0);
    this.showMeasure();
  }

  showMeasure() {
    const { selection, positions } = this.viewer;
    if (!this.measured || !positions || !selection.length) return;
    const found = this.viewer.measure();
    if (found) this.measured.textContent = `${found.name} ${found.value.toFixed(found.unit === "Å" ? 3 : 1)} ${found.unit}`;
    else if (selection.length === 1) {
      const place = positions.subarray(3 * selection[0], 3 * selection[0] + 3);
      this.measured.textContent = `at ${[...place].map((x) => x.toFixed(2)).join(", ")} Å`;
    } else this.measured.textContent = "";
  }
}

function section(title, ...content) {
  return make("details", { open: true }, make("summary", {}, title), make("div", { className: "content" }, ...content));
}

function capitalized(text) {
  return text[0].toUpperCase() + text.slice(1).toLowerCase();
}
