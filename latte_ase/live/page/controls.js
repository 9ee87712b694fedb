import { make } from "./elements.js";

const QUIET = 600; // milliseconds after a motion, in which reports of the simulation do not move a slider
const SENDING = 60; // milliseconds between messages while a slider moves

/** A slider with its value in words. `toPlace` and `toValue` turn a value into a place from 0 to 1, and back. */
export class Slider {
  constructor({ label, words, toPlace, toValue, change }) {
    Object.assign(this, { words, toPlace, toValue, change, touched: 0, sent: 0 });
    this.output = make("output");
    this.input = make("input", { type: "range", min: 0, max: 1000, "aria-label": label, oninput: () => this.moved() });
    this.element = make("label", { className: "slider" }, make("span", {}, label), this.output, this.input);
  }

  moved() {
    this.touched = performance.now();
    const value = this.toValue(this.input.value / 1000);
    this.paint(value);
    clearTimeout(this.later);
    this.later = setTimeout(
      () => {
        this.sent = performance.now();
        this.change(value);
      },
      Math.max(0, this.sent + SENDING - performance.now()),
    );
  }

  /** Shows a value that the simulation has. */
  show(value) {
    if (value === null || value === undefined || performance.now() - this.touched < QUIET) return;
    this.input.value = Math.round(1000 * this.toPlace(value));
    this.paint(value);
  }

  paint(value) {
    this.output.textContent = this.words(value);
    this.input.setAttribute("aria-valuetext", this.words(value));
    this.input.style.setProperty("--filled", `${this.input.value / 10}%`);
  }
}

/** One of several words, as buttons in a row. */
export class Choice {
  constructor({ label, values, change }) {
    this.buttons = new Map();
    this.element = make("div", { className: "choice", role: "radiogroup", "aria-label": label });
    for (const [value, text, title] of values) {
      const button = make("button", { type: "button", role: "radio", title, onclick: () => change(value) }, text);
      this.buttons.set(value, button);
      this.element.append(button);
    }
  }

  show(value) {
    for (const [name, button] of this.buttons) button.setAttribute("aria-checked", String(name === value));
  }
}

/** A switch with a label. */
export function toggle(label, checked, change) {
  const input = make("input", { type: "checkbox", checked, onchange: () => change(input.checked) });
  return make("label", { className: "toggle" }, input, make("span", {}, label));
}

/** Places of a range whose ends are far apart. */
export function logarithmic(low, high) {
  return {
    toPlace: (value) => Math.min(1, Math.max(0, Math.log(value / low) / Math.log(high / low))),
    toValue: (place) => low * (high / low) ** place,
  };
}
