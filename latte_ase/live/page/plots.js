/** A curve of the last points of a quantity over time. */
export class Plot {
  constructor(canvas) {
    this.canvas = canvas;
    this.lines = [];
    this.times = [];
  }

  /** Values of all lines at a time in fs; earlier points are dropped where time went back. */
  push(time, values, most = 400) {
    while (this.times.length && this.times.at(-1) >= time) {
      this.times.pop();
      this.lines.forEach((line) => line.pop());
    }
    this.times.push(time);
    values.forEach((value, k) => (this.lines[k] ??= []).push(value));
    if (this.times.length <= most) return;
    this.times.shift();
    this.lines.forEach((line) => line.shift());
  }

  clear() {
    this.times = [];
    this.lines = [];
  }

  /** Draws the lines in colours of CSS, with the range of the values at the side. */
  draw({ colors, text, grid }) {
    const { canvas, times, lines } = this;
    const sharpness = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width) return;
    canvas.width = width * sharpness;
    canvas.height = height * sharpness;
    const pen = canvas.getContext("2d");
    pen.scale(sharpness, sharpness);
    pen.font = `10px ${getComputedStyle(canvas).fontFamily}`;
    const all = lines.flat().filter(Number.isFinite);
    if (times.length < 2 || !all.length) return;
    let [low, high] = [Math.min(...all), Math.max(...all)];
    if (high - low < 1e-6 * Math.max(1, Math.abs(high))) [low, high] = [low - 0.5e-3, high + 0.5e-3];
    const ticks = niceTicks(low, high);
    [low, high] = [Math.min(low, ticks[0]), Math.max(high, ticks.at(-1))];
    const [left, right, top, bottom] = [6, width - 46, 6, height - 6];
    const x = (time) => left + ((time - times[0]) / (times.at(-1) - times[0] || 1)) * (right - left);
    const y = (value) => bottom - ((value - low) / (high - low)) * (bottom - top);
    pen.strokeStyle = grid;
    pen.fillStyle = text;
    pen.textBaseline = "middle";
    for (const tick of ticks) {
      pen.beginPath();
      pen.moveTo(left, y(tick));
      pen.lineTo(right, y(tick));
      pen.stroke();
      pen.fillText(tickText(tick, ticks), right + 6, y(tick));
    }
    pen.lineWidth = 1.6;
    pen.lineJoin = "round";
    lines.forEach((line, k) => {
      pen.strokeStyle = colors[k];
      pen.beginPath();
      line.forEach((value, i) => pen.lineTo(x(times[i]), y(value)));
      pen.stroke();
    });
  }
}

/** Two to four round numbers that divide a range. */
function niceTicks(low, high) {
  const rough = (high - low) / 2;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((size) => size >= rough * 0.999);
  const ticks = [];
  for (let k = Math.floor(low / step); k <= Math.ceil(high / step); k++) ticks.push(k * step);
  return ticks;
}

function tickText(tick, ticks) {
  const step = ticks[1] - ticks[0];
  return tick.toFixed(Math.min(6, Math.max(0, -Math.floor(Math.log10(step) + 1e-9))));
}
