import { add, cross, dot, scaled, subtract, times, transposedTimes, unit } from "./vector.js";

const FIELD_OF_VIEW = (24 * Math.PI) / 180; // narrow, so that a crystal's rows stay almost parallel
const TURN = 0.008; // radians per pixel

/** A perspective camera that orbits a point. Points of the screen are in CSS pixels from the upper left corner. */
export class Camera {
  constructor() {
    this.centre = [0, 0, 0]; // Angstrom
    this.distance = 30; // Angstrom
    this.extent = 10; // Angstrom, the radius of what is shown
    this.rows = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]; // right, up and towards the viewer
    this.width = this.height = 1; // CSS pixels
  }

  get focal() {
    return 1 / Math.tan(FIELD_OF_VIEW / 2);
  }

  /** Angstrom per pixel at a distance of one Angstrom. */
  get pixel() {
    return 2 / (this.focal * this.height);
  }

  get near() {
    return Math.max(0.02 * this.distance, this.distance - this.extent);
  }

  get far() {
    return this.distance + this.extent;
  }

  /** Looks at a sphere, so that it fills the screen; with a pose {from, up} also from another direction. */
  lookAt(centre, radius, pose = null) {
    this.centre = [...centre];
    this.extent = 4 * radius + 20;
    const narrow = Math.min(1, this.width / this.height);
    this.distance = (1.25 * radius * this.focal) / narrow;
    if (!pose) return;
    const back = unit(pose.from);
    const right = unit(cross(pose.up, back));
    this.rows = [right, cross(back, right), back];
  }

  rotate(dx, dy) {
    const [cx, sx] = [Math.cos(dx * TURN), Math.sin(dx * TURN)];
    const [cy, sy] = [Math.cos(dy * TURN), Math.sin(dy * TURN)];
    let [right, up, back] = this.rows;
    [right, back] = [add(scaled(right, cx), scaled(back, sx)), add(scaled(right, -sx), scaled(back, cx))];
    [up, back] = [add(scaled(up, cy), scaled(back, -sy)), add(scaled(up, sy), scaled(back, cy))];
    right = unit(subtract(right, scaled(back, dot(right, back)))); // rounding errors do not add up
    back = unit(back);
    this.rows = [right, cross(back, right), back];
  }

  pan(dx, dy) {
    const step = this.pixel * this.distance;
    this.centre = add(this.centre, transposedTimes(this.rows, [-dx * step, dy * step, 0]));
  }

  zoom(factor) {
    this.distance = Math.min(Math.max(this.distance * factor, 1), 20 * this.extent);
  }

  /** A position as the viewer sees it: right, up, and towards the viewer, who is at the origin. */
  seen(position) {
    const [x, y, z] = times(this.rows, subtract(position, this.centre));
    return [x, y, z - this.distance];
  }

  /** Where a position is on the screen. */
  project(position) {
    const [x, y, z] = this.seen(position);
    const scale = 1 / (this.pixel * -z);
    return { x: this.width / 2 + x * scale, y: this.height / 2 - y * scale, depth: -z, scale };
  }

  /** The direction from the viewer through a point of the screen, as the viewer sees it. */
  ray(x, y) {
    return unit([(x - this.width / 2) * this.pixel, (this.height / 2 - y) * this.pixel, -1]);
  }

  /** The position behind a point of the screen at a depth. */
  unproject(x, y, depth) {
    const right = (x - this.width / 2) * this.pixel * depth;
    const up = (this.height / 2 - y) * this.pixel * depth;
    return add(this.centre, transposedTimes(this.rows, [right, up, this.distance - depth]));
  }
}
