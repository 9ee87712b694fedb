import { add, cross, dot, nearestImage, norm, subtract, unit } from "./vector.js";

const DEGREES = 180 / Math.PI;

/** Positions of a chain of atoms, each the nearest image to the one before. */
export function chain(positions, atoms, cell, pbc) {
  const at = (i) => [...positions.slice(3 * i, 3 * i + 3)];
  const points = [at(atoms[0])];
  for (let k = 1; k < atoms.length; k++) {
    const before = points[k - 1];
    points.push(add(before, nearestImage(subtract(at(atoms[k]), before), cell, pbc)));
  }
  return points;
}

/** What a chain of one to four points measures: {name, value, unit}, or null. */
export function measured(points) {
  if (points.length === 2) return { name: "distance", value: norm(subtract(points[1], points[0])), unit: "Å" };
  if (points.length === 3) return { name: "angle", value: angle(...points), unit: "°" };
  if (points.length === 4) return { name: "dihedral", value: dihedral(...points), unit: "°" };
  return null;
}

function angle(a, b, c) {
  const cosine = dot(unit(subtract(a, b)), unit(subtract(c, b)));
  return Math.acos(Math.min(Math.max(cosine, -1), 1)) * DEGREES;
}

/** From 0 to 360 degrees, in the convention of ASE. */
function dihedral(a, b, c, d) {
  const [u, v, w] = [subtract(b, a), subtract(c, b), subtract(d, c)];
  const [n, m] = [cross(u, v), cross(v, w)];
  const value = Math.atan2(norm(v) * dot(u, m), dot(n, m)) * DEGREES;
  return value < 0 ? value + 360 : value;
}
