/** Colours as three numbers from 0 to 1. */

const SCALE = ["#3b6fb5", "#7fb2d6", "#e8e6df", "#f0a868", "#c8432b"].map(parseColor); // calm to alarming, readable by the colour-blind

/** A colour of CSS in the form #rrggbb. */
export function parseColor(text) {
  const number = parseInt(text.trim().slice(1, 7), 16);
  return [(number >> 16) / 255, ((number >> 8) & 255) / 255, (number & 255) / 255];
}

/** The colour of a value from 0 to 1; smaller and larger ones have the colours of the ends. */
export function scaleColor(value) {
  const place = Math.min(Math.max(value, 0), 1) * (SCALE.length - 1);
  const k = Math.min(Math.floor(place), SCALE.length - 2);
  return SCALE[k].map((low, c) => low + (place - k) * (SCALE[k + 1][c] - low));
}

/** The scale from left to right, as an image of CSS. */
export function scaleGradient() {
  const stops = SCALE.map((color) => `rgb(${color.map((c) => Math.round(255 * c)).join(" ")})`);
  return `linear-gradient(90deg, ${stops.join(", ")})`;
}
