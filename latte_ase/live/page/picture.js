import { findBonds } from "./bonds.js";
import { scaleColor } from "./colors.js";
import { chain } from "./measure.js";
import { FIXED, POINTED, SELECTED } from "./scene.js";
import { add, completedCell, nearestImage, norm, reciprocal, scaled, subtract, times, transposedTimes } from "./vector.js";

const BOND = 0.11; // Angstrom, radius of a rod
const INSIDE = 0.85; // of the radius of a sphere, where its rods begin
const CROWDED = 4.5; // bonds per atom, above which rods would hide a dense structure more than explain it
const MANY = 4000; // atoms, above which no rods are drawn at first
const DASH = 0.22; // Angstrom

/** From a state of the simulation to spheres and rods. */
export class Picture {
  constructor(scene) {
    this.scene = scene;
    this.bonds = null;
    this.bondsAge = Infinity; // milliseconds of other work since bonds were searched
    this.bondsCost = 0;
  }

  /** How a structure is shown at first: {size, bonds}. */
  static suggested(structure, positions, cell) {
    const { radii, bond_factor: factor, pbc } = structure;
    if (radii.length > MANY) return { size: 0.9, bonds: false };
    const pairs = findBonds(positions, radii, factor, cell, pbc).first.length;
    return (2 * pairs) / radii.length > CROWDED ? { size: 0.9, bonds: false } : { size: 0.62, bonds: true };
  }

  /** Shifts by whole cells, the original first. */
  static images(pbc, repeats) {
    const ranges = pbc.map((periodic) => (periodic ? [...Array(2 * repeats + 1).keys()].map((n) => n - repeats) : [0]));
    const all = ranges[0].flatMap((a) => ranges[1].flatMap((b) => ranges[2].map((c) => [a, b, c])));
    return [[0, 0, 0], ...all.filter((image) => image.some(Boolean))];
  }

  /** Positions as they are shown: those of the dynamics, or moved into the cell. */
  static shown(positions, cell, pbc, wrap) {
    if (!wrap || !pbc.some(Boolean)) return positions;
    const inverse = reciprocal(completedCell(cell));
    const moved = positions.slice();
    for (let i = 0; i < positions.length; i += 3) {
      const fractions = times(inverse, positions.subarray(i, i + 3));
      const shift = transposedTimes(cell, fractions.map((x, k) => (pbc[k] ? -Math.floor(x) : 0)));
      for (let k = 0; k < 3; k++) moved[i + k] += shift[k];
    }
    return moved;
  }

  /** New colours, sizes and marks of the atoms. */
  paint({ structure, selection, pointed, values, scale }) {
    const { colors, radii, fixed } = structure;
    this.colors = new Uint8Array(4 * radii.length);
    for (let i = 0; i < radii.length; i++) {
      const color = values ? scaleColor(values[i] / scale) : colors[i];
      for (let k = 0; k < 3; k++) this.colors[4 * i + k] = Math.round(255 * color[k]);
    }
    for (const i of fixed) this.colors[4 * i + 3] += FIXED;
    for (const i of selection) this.colors[4 * i + 3] += SELECTED;
    if (pointed !== null && pointed < radii.length) this.colors[4 * pointed + 3] += POINTED;
    this.scene.layers.atoms.set({ color: this.colors, radius: Float32Array.from(radii) }, radii.length);
  }

  /** New positions. */
  place({ structure, positions, cell, bonds, size }) {
    this.scene.layers.atoms.set({ position: positions });
    if (!bonds) {
      this.bonds = null;
      this.scene.layers.bonds.count = 0;
      return;
    }
    const now = performance.now();
    if (!this.bonds || this.bonds.radii !== structure.radii || now - this.bondsAge > 8 * this.bondsCost) {
      this.bonds = findBonds(positions, structure.radii, structure.bond_factor, cell, structure.pbc);
      this.bonds.radii = structure.radii;
      this.bondsAge = performance.now();
      this.bondsCost = this.bondsAge - now;
    }
    this.drawBonds(positions, cell, structure.radii, size);
  }

  /**
   * A bond is two rods, each from the surface of an atom to the middle, so that those through the cell's faces need no
   * care; or one, where both atoms have the same colour.
   */
  drawBonds(positions, cell, radii, size) {
    const { first, second, shift } = this.bonds;
    const rods = new Rods(2 * first.length);
    for (let k = 0; k < first.length; k++) {
      const [i, j] = [first[k], second[k]];
      const [a, b, c] = [shift[3 * k], shift[3 * k + 1], shift[3 * k + 2]];
      const from = [positions[3 * i], positions[3 * i + 1], positions[3 * i + 2]];
      const to = [positions[3 * j], positions[3 * j + 1], positions[3 * j + 2]];
      const line = [0, 1, 2].map((x) => to[x] - from[x] + a * cell[0][x] + b * cell[1][x] + c * cell[2][x]);
      const length = norm(line);
      const [near, far] = [i, j].map((atom) => (INSIDE * radii[atom] * size) / length);
      if (near + far > 1) continue; // the spheres overlap
      const [begin, middle, end] = [scaled(line, near), scaled(line, 0.5), scaled(line, 1 - far)];
      if (!(a || b || c) && this.sameColor(i, j)) {
        rods.push(add(from, begin), add(from, end), BOND, this.colors, 4 * i);
        continue;
      }
      const other = subtract(to, line);
      if (near < 0.5) rods.push(add(from, begin), add(from, middle), BOND, this.colors, 4 * i);
      if (far < 0.5) rods.push(add(other, end), add(other, middle), BOND, this.colors, 4 * j);
    }
    this.scene.layers.bonds.set(rods.data(), rods.count);
  }

  sameColor(i, j) {
    const { colors } = this;
    return [0, 1, 2].every((k) => colors[4 * i + k] === colors[4 * j + k]);
  }

  /** The cell, pulls, and the chain of selected atoms. */
  annotate({ structure, positions, cell, pulls, selection, theme, showCell }) {
    const rods = new Rods(400);
    const spheres = { position: [], radius: [], color: [] };
    if (showCell && structure.pbc.some(Boolean)) drawCell(rods, cell, theme.line);
    if (selection.length > 1 && selection.length < 5) {
      const points = chain(positions, selection, cell, structure.pbc);
      for (let k = 1; k < points.length; k++) dashes(rods, points[k - 1], points[k], -1.4, theme.accent);
    }
    for (const { from, to, strength } of pulls) {
      const color = scaleColor(0.5 + 0.5 * strength);
      dashes(rods, from, to, -2.2, strength < 0.02 ? theme.accent : color);
      spheres.position.push(...to);
      spheres.radius.push(0.13);
      spheres.color.push(...theme.accent.map((c) => Math.round(255 * c)), 0);
    }
    this.scene.layers.lines.set(rods.data(), rods.count);
    this.scene.layers.targets.set(
      {
        position: new Float32Array(spheres.position),
        radius: new Float32Array(spheres.radius),
        color: new Uint8Array(spheres.color),
      },
      spheres.radius.length,
    );
  }

  /** The pulls of a frame as they are shown: from an atom to the nearest image of its target. */
  static pulls(frame, positions, pbc, strongest) {
    return frame.pulls.map(({ atom, target, force }) => {
      const from = [...positions.slice(3 * atom, 3 * atom + 3)];
      const to = add(from, nearestImage(subtract(target, from), frame.cell, pbc));
      return { atom, from, to, force: norm(force), strength: Math.min(1, norm(force) / strongest) };
    });
  }
}

/** Rods in a row. */
class Rods {
  constructor(most) {
    this.count = 0;
    this.most = most;
    this.start = new Float32Array(3 * most);
    this.end = new Float32Array(3 * most);
    this.radius = new Float32Array(most);
    this.color = new Uint8Array(4 * most);
  }

  /** A rod with a radius in Angstrom, or, where it is negative, in pixels; its colour is that at an index of bytes. */
  push(start, end, radius, colors, index) {
    if (this.count === this.most) return;
    this.start.set(start, 3 * this.count);
    this.end.set(end, 3 * this.count);
    this.radius[this.count] = radius;
    for (let k = 0; k < 3; k++) this.color[4 * this.count + k] = colors[index + k];
    this.color[4 * this.count + 3] = radius < 0 ? 0 : 255;
    this.count += 1;
  }

  data() {
    const { start, end, radius, color } = this;
    return { start, end, radius, color };
  }
}

function drawCell(rods, cell, color) {
  const bytes = color.map((c) => Math.round(255 * c));
  for (let axis = 0; axis < 3; axis++) {
    const [b, c] = [cell[(axis + 1) % 3], cell[(axis + 2) % 3]];
    for (const corner of [[0, 0, 0], b, c, add(b, c)]) {
      rods.push(corner, add(corner, cell[axis]), -0.8, bytes, 0);
    }
  }
}

function dashes(rods, from, to, radius, color) {
  const bytes = color.map((c) => Math.round(255 * c));
  const line = subtract(to, from);
  const count = Math.min(60, Math.max(1, Math.round(norm(line) / (2 * DASH))));
  for (let k = 0; k < count; k++) {
    rods.push(add(from, scaled(line, k / count)), add(from, scaled(line, (k + 0.6) / count)), radius, bytes, 0);
  }
}
