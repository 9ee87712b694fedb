import { PAPER_FRAGMENT, PAPER_VERTEX, ROD_FRAGMENT, ROD_VERTEX, SPHERE_FRAGMENT, SPHERE_VERTEX, WIDTH } from "./shaders.js";
import { transposedTimes } from "./vector.js";

const SPHERE = ["position", "radius", "color"];
const ROD = ["start", "end", "radius", "color"];
const SLOW = 45; // milliseconds per frame, above which fewer pixels are drawn
const BLURRED = 0.55; // pixels drawn per pixel of the page, at least

/** Marks of an atom, added up in the fourth byte of its colour. */
export const FIXED = 1;
export const SELECTED = 2;
export const POINTED = 4;

/** WebGL2 drawing of spheres and rods: atoms, bonds, the cell, pulls. */
export class Scene {
  constructor(canvas) {
    this.canvas = canvas;
    const gl = canvas.getContext("webgl2", { antialias: !drawsOnCpu(), alpha: false, powerPreference: "high-performance" });
    if (!gl) throw new Error("This browser has no WebGL2, which the page draws with.");
    this.gl = gl;
    this.sharpness = Math.min(window.devicePixelRatio || 1, 2);
    this.lastDraw = null;
    this.pace = 16;
    this.rebuild();
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => this.rebuild());
  }

  /** Programs and textures, also after the context was lost. */
  rebuild() {
    const { gl } = this;
    this.paper = program(gl, PAPER_VERTEX, PAPER_FRAGMENT);
    this.spheres = program(gl, SPHERE_VERTEX, SPHERE_FRAGMENT);
    this.rods = program(gl, ROD_VERTEX, ROD_FRAGMENT);
    this.layers = {
      atoms: new Layer(gl, this.spheres, SPHERE),
      targets: new Layer(gl, this.spheres, SPHERE),
      bonds: new Layer(gl, this.rods, ROD),
      lines: new Layer(gl, this.rods, ROD),
    };
  }

  /** Keeps the drawing as large as its place on the page; true where that changed. */
  fit(camera) {
    const { canvas } = this;
    const [width, height] = [canvas.clientWidth || 1, canvas.clientHeight || 1];
    const [w, h] = [width, height].map((n) => Math.max(1, Math.round(n * this.sharpness)));
    camera.width = width;
    camera.height = height;
    if (canvas.width === w && canvas.height === h) return false;
    canvas.width = w;
    canvas.height = h;
    return true;
  }

  /** Draws one frame; images are shifts by whole cell vectors, the first of which is [0, 0, 0]. */
  draw(camera, { theme, size, cell, images }) {
    const { gl } = this;
    this.adapt();
    this.fit(camera);
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clear(gl.DEPTH_BUFFER_BIT | gl.COLOR_BUFFER_BIT);
    gl.disable(gl.DEPTH_TEST);
    gl.disable(gl.SAMPLE_ALPHA_TO_COVERAGE);
    gl.useProgram(this.paper.program);
    gl.uniform3fv(this.paper.uniforms.top, theme.top);
    gl.uniform3fv(this.paper.uniforms.bottom, theme.bottom);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    gl.enable(gl.DEPTH_TEST);
    gl.enable(gl.SAMPLE_ALPHA_TO_COVERAGE);
    for (const { program: used, uniforms } of [this.spheres, this.rods]) {
      gl.useProgram(used);
      setView(gl, uniforms, camera, theme, size);
    }
    for (const image of images) {
      const shift = transposedTimes(cell, image);
      const fade = image.some(Boolean) ? 0.55 : 0;
      this.layers.atoms.draw(shift, fade);
      this.layers.bonds.draw(shift, fade);
    }
    this.layers.lines.draw([0, 0, 0], 0);
    gl.useProgram(this.spheres.program);
    gl.uniform1f(this.spheres.uniforms.size, 1);
    this.layers.targets.draw([0, 0, 0], 0);
  }

  /** Fewer pixels where frames take long: a machine without a graphics card stays fluent. */
  adapt() {
    if (this.sharpness <= BLURRED || this.pace < SLOW) return;
    this.sharpness = Math.max(BLURRED, this.sharpness * 0.8);
    this.pace = 16;
  }

  /** Called with the milliseconds from one drawn frame to the browser's readiness for the next. */
  measured(milliseconds) {
    this.pace += 0.15 * (Math.min(milliseconds, 200) - this.pace);
  }

  /** Frees what the graphics card holds. */
  close() {
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }
}

/** Shapes of one kind, their data in textures. */
class Layer {
  constructor(gl, shape, names) {
    this.gl = gl;
    this.shape = shape;
    this.count = 0;
    this.textures = new Map(names.map((name) => [name, new Table(gl, formatOf(gl, name))]));
  }

  /** New data by name: colours as bytes, all others as 32-bit numbers. */
  set(data, count = this.count) {
    this.count = count;
    for (const [name, values] of Object.entries(data)) this.textures.get(name).write(values, count);
  }

  draw(shift, fade) {
    if (this.count === 0) return;
    const { gl, shape } = this;
    gl.useProgram(shape.program);
    gl.uniform3fv(shape.uniforms.shift, shift);
    gl.uniform1f(shape.uniforms.fade, fade);
    let unit = 0;
    for (const [name, table] of this.textures) {
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.bindTexture(gl.TEXTURE_2D, table.texture);
      gl.uniform1i(shape.uniforms[name], unit);
      unit += 1;
    }
    gl.drawArrays(gl.TRIANGLES, 0, 6 * this.count);
  }
}

/** A texture as a table: one texel per shape, in rows. */
class Table {
  constructor(gl, { internal, format, type, width }) {
    Object.assign(this, { gl, internal, format, type, width, rows: 0, texture: gl.createTexture() });
    gl.bindTexture(gl.TEXTURE_2D, this.texture);
    for (const filter of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, filter, gl.NEAREST);
  }

  write(values, count) {
    const { gl, format, type, width } = this;
    const rows = Math.ceil(count / WIDTH);
    gl.bindTexture(gl.TEXTURE_2D, this.texture);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    if (rows > this.rows) {
      this.rows = rows;
      gl.texImage2D(gl.TEXTURE_2D, 0, this.internal, WIDTH, rows, 0, format, type, null);
    }
    const full = Math.floor(count / WIDTH);
    const rest = count - full * WIDTH;
    if (full) gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, WIDTH, full, format, type, values, 0);
    if (rest) gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, full, rest, 1, format, type, values, full * WIDTH * width);
  }
}

function formatOf(gl, name) {
  if (name === "color") return { internal: gl.RGBA8, format: gl.RGBA, type: gl.UNSIGNED_BYTE, width: 4 };
  if (name === "radius") return { internal: gl.R32F, format: gl.RED, type: gl.FLOAT, width: 1 };
  return { internal: gl.RGB32F, format: gl.RGB, type: gl.FLOAT, width: 3 };
}

/** Whether the browser draws without a graphics card, where smooth edges cost half of the frames. */
function drawsOnCpu() {
  const gl = document.createElement("canvas").getContext("webgl2");
  const names = gl?.getExtension("WEBGL_debug_renderer_info");
  const renderer = gl?.getParameter(names ? names.UNMASKED_RENDERER_WEBGL : gl.RENDERER) ?? "";
  gl?.getExtension("WEBGL_lose_context")?.loseContext();
  return /swiftshader|llvmpipe|software|basic render/i.test(renderer);
}

function setView(gl, uniforms, camera, theme, size) {
  const [x, y, z] = camera.rows;
  gl.uniformMatrix3fv(uniforms.rotation, false, [x[0], y[0], z[0], x[1], y[1], z[1], x[2], y[2], z[2]]);
  gl.uniform3fv(uniforms.centre, camera.centre);
  gl.uniform1f(uniforms.distance_, camera.distance);
  gl.uniform2f(uniforms.focal, (camera.focal * camera.height) / camera.width, camera.focal);
  gl.uniform2f(uniforms.range, camera.near, camera.far);
  gl.uniform1f(uniforms.pixel, camera.pixel);
  gl.uniform1f(uniforms.outline, theme.outline);
  gl.uniform3fv(uniforms.paper, theme.paper);
  gl.uniform3fv(uniforms.ink, theme.ink);
  gl.uniform3fv(uniforms.accent, theme.accent);
  if (uniforms.size) gl.uniform1f(uniforms.size, size);
}

function program(gl, vertex, fragment) {
  const made = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(made, shader);
  }
  gl.linkProgram(made);
  if (!gl.getProgramParameter(made, gl.LINK_STATUS) && !gl.isContextLost()) {
    const logs = gl.getAttachedShaders(made).map((shader) => gl.getShaderInfoLog(shader));
    throw new Error(`a shader does not compile: ${[...logs, gl.getProgramInfoLog(made)].join("\n")}`);
  }
  const uniforms = {};
  for (let i = 0; i < gl.getProgramParameter(made, gl.ACTIVE_UNIFORMS); i++) {
    const { name } = gl.getActiveUniform(made, i);
    uniforms[name] = gl.getUniformLocation(made, name);
  }
  return { program: made, uniforms };
}
