/** Vectors of three numbers, and cells of three of them, in Angstrom. */

export const add = (a, b) => [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
export const subtract = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
export const scaled = (a, factor) => [a[0] * factor, a[1] * factor, a[2] * factor];
export const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
export const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
export const norm = (a) => Math.hypot(a[0], a[1], a[2]);
export const unit = (a) => scaled(a, 1 / (norm(a) || 1));

/** The product of a matrix, given by its rows, and a vector. */
export const times = (rows, a) => rows.map((row) => dot(row, a));

/** The product of the transpose of a matrix and a vector: with a cell, from fractions to Angstrom. */
export const transposedTimes = (rows, a) =>
  add(add(scaled(rows[0], a[0]), scaled(rows[1], a[1])), scaled(rows[2], a[2]));

/** Rows of the matrix that turns Angstrom into fractions of a cell, or null where the cell has no volume. */
export function reciprocal(cell) {
  const volume = dot(cell[0], cross(cell[1], cell[2]));
  if (Math.abs(volume) < 1e-9) return null;
  return [0, 1, 2].map((i) => scaled(cross(cell[(i + 1) % 3], cell[(i + 2) % 3]), 1 / volume));
}

/** A cell with a vector of unit length, at right angles to the others, in place of each that is missing. */
export function completedCell(cell) {
  const full = cell.map((vector) => [...vector]);
  for (let i = 0; i < 3; i++) {
    if (norm(full[i]) > 1e-9) continue;
    const [b, c] = [full[(i + 1) % 3], full[(i + 2) % 3]];
    let normal = cross(b, c);
    if (norm(normal) < 1e-9) {
      const other = norm(b) > 1e-9 ? b : norm(c) > 1e-9 ? c : [0, 0, 0];
      const axes = [0, 1, 2].map((k) => [0, 1, 2].map((j) => (j === k ? 1 : 0)));
      const axis = axes.reduce((best, e) => (Math.abs(dot(e, other)) < Math.abs(dot(best, other)) ? e : best), axes[i]);
      normal = norm(other) > 1e-9 ? cross(other, axis) : axis;
    }
    full[i] = unit(normal);
  }
  return full;
}

/** The nearest periodic image of a difference of positions; exact for differences below half the cell's width. */
export function nearestImage(difference, cell, pbc) {
  if (!pbc.some(Boolean)) return difference;
  const inverse = reciprocal(completedCell(cell));
  if (!inverse) return difference;
  const shift = times(inverse, difference).map((fraction, k) => (pbc[k] ? -Math.round(fraction) : 0));
  return add(difference, transposedTimes(cell, shift));
}
