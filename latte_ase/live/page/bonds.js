import { completedCell, norm, reciprocal } from "./vector.js";

/**
 * Pairs of atoms that are closer than `factor` times the sum of their covalent radii.
 *
 * Positions are 3N numbers in Angstrom; periodic images count. Returns {first, second, shift}: two indices and the
 * three whole cell vectors by which the second atom is shifted. Atoms are sorted into boxes as wide as the longest
 * bond, so that the work grows with their number.
 */
export function findBonds(positions, radii, factor, cell, pbc) {
  const count = radii.length;
  const found = { first: [], second: [], shift: [] };
  if (count < 2) return found;
  let widest = 0;
  for (const radius of radii) widest = Math.max(widest, radius);
  const reach = 2 * widest * factor;
  const axes = boxAxes(positions, count, cell, pbc, reach);
  const { numbers, wraps, start, order } = sortIntoBoxes(positions, count, axes);
  const [nx, ny, nz] = axes.counts;
  for (let i = 0; i < count; i++) {
    for (let a = -axes.steps[0]; a <= axes.steps[0]; a++) {
      for (let b = -axes.steps[1]; b <= axes.steps[1]; b++) {
        for (let c = -axes.steps[2]; c <= axes.steps[2]; c++) {
          const box = [numbers[3 * i] + a, numbers[3 * i + 1] + b, numbers[3 * i + 2] + c];
          const turns = [Math.floor(box[0] / nx), Math.floor(box[1] / ny), Math.floor(box[2] / nz)];
          if ((turns[0] && !pbc[0]) || (turns[1] && !pbc[1]) || (turns[2] && !pbc[2])) continue;
          const at = ((box[0] - turns[0] * nx) * ny + box[1] - turns[1] * ny) * nz + box[2] - turns[2] * nz;
          for (let k = start[at]; k < start[at + 1]; k++) {
            const j = order[k];
            const s0 = turns[0] - wraps[3 * j] + wraps[3 * i];
            const s1 = turns[1] - wraps[3 * j + 1] + wraps[3 * i + 1];
            const s2 = turns[2] - wraps[3 * j + 2] + wraps[3 * i + 2];
            if (j < i || (j === i && !(s0 > 0 || (s0 === 0 && (s1 > 0 || (s1 === 0 && s2 > 0)))))) continue;
            const [va, vb, vc] = cell;
            const dx = positions[3 * j] - positions[3 * i] + s0 * va[0] + s1 * vb[0] + s2 * vc[0];
            const dy = positions[3 * j + 1] - positions[3 * i + 1] + s0 * va[1] + s1 * vb[1] + s2 * vc[1];
            const dz = positions[3 * j + 2] - positions[3 * i + 2] + s0 * va[2] + s1 * vb[2] + s2 * vc[2];
            const limit = factor * (radii[i] + radii[j]);
            if (dx * dx + dy * dy + dz * dz > limit * limit) continue;
            found.first.push(i);
            found.second.push(j);
            found.shift.push(s0, s1, s2);
          }
        }
      }
    }
  }
  return found;
}

/** How fractions of the cell become boxes: along periodic axes they fill the cell, along others the atoms' range. */
function boxAxes(positions, count, cell, pbc, reach) {
  const full = completedCell(cell);
  const inverse = reciprocal(full) ?? [[1, 0, 0], [0, 1, 0], [0, 0, 1]];
  const widths = inverse.map((row) => 1 / norm(row)); // Angstrom between opposite faces
  const low = [0, 0, 0];
  const high = [1, 1, 1];
  for (let k = 0; k < 3; k++) {
    if (pbc[k]) continue;
    low[k] = Infinity;
    high[k] = -Infinity;
    for (let i = 0; i < count; i++) {
      const [x, y, z] = inverse[k];
      const fraction = x * positions[3 * i] + y * positions[3 * i + 1] + z * positions[3 * i + 2];
      low[k] = Math.min(low[k], fraction);
      high[k] = Math.max(high[k], fraction);
    }
    high[k] += 1e-6;
  }
  const most = Math.max(1, Math.ceil(Math.cbrt(count) * 2)); // boxes along an axis: not more than the atoms need
  const counts = widths.map((width, k) => Math.min(most, Math.max(1, Math.floor((width * (high[k] - low[k])) / reach))));
  const steps = widths.map((width, k) => Math.ceil((reach * counts[k]) / (width * (high[k] - low[k])) - 1e-9));
  return { inverse, low, high, counts, steps: steps.map((n, k) => (pbc[k] ? n : Math.min(n, counts[k] - 1))), pbc };
}

/** The box of every atom, how often it was moved by whole cells into it, and the atoms of every box. */
function sortIntoBoxes(positions, count, { inverse, low, high, counts, pbc }) {
  const numbers = new Int32Array(3 * count);
  const wraps = new Int32Array(3 * count);
  const boxes = new Int32Array(count);
  const start = new Int32Array(counts[0] * counts[1] * counts[2] + 1);
  for (let i = 0; i < count; i++) {
    for (let k = 0; k < 3; k++) {
      const [x, y, z] = inverse[k];
      let fraction = x * positions[3 * i] + y * positions[3 * i + 1] + z * positions[3 * i + 2];
      if (pbc[k]) {
        wraps[3 * i + k] = Math.floor(fraction);
        fraction -= wraps[3 * i + k];
      }
      const box = Math.floor(((fraction - low[k]) / (high[k] - low[k])) * counts[k]);
      numbers[3 * i + k] = Math.min(Math.max(box, 0), counts[k] - 1);
    }
    boxes[i] = (numbers[3 * i] * counts[1] + numbers[3 * i + 1]) * counts[2] + numbers[3 * i + 2];
    start[boxes[i] + 1]++;
  }
  for (let b = 1; b < start.length; b++) start[b] += start[b - 1];
  const next = start.slice();
  const order = new Int32Array(count);
  for (let i = 0; i < count; i++) order[next[boxes[i]]++] = i;
  return { numbers, wraps, start, order };
}
