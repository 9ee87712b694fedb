import { add, dot, subtract, transposedTimes } from "./vector.js";

const CLICK = { mouse: 4, pen: 6, touch: 9 }; // pixels that a pointer may move in a click

/** The atom in front at a point of the screen, as {atom, image, position, depth}, or null. */
export function pick(x, y, camera, { positions, radii, size, cell, images }) {
  const ray = camera.ray(x, y);
  let found = null;
  for (const image of images) {
    const shift = transposedTimes(cell, image);
    for (let i = 0; i < radii.length; i++) {
      const position = [0, 1, 2].map((k) => positions[3 * i + k] + shift[k]);
      const seen = camera.seen(position);
      const reach = dot(seen, ray);
      const radius = radii[i] * size;
      const inside = radius * radius - dot(seen, seen) + reach * reach;
      if (reach <= 0 || inside < 0) continue;
      const distance = reach - Math.sqrt(inside);
      if (!found || distance < found.distance) found = { atom: i, image: shift, position, depth: -seen[2], distance };
    }
  }
  return found;
}

/**
 * Turns mouse, pen and fingers into actions.
 *
 * A drag from an atom pulls it, a drag from elsewhere turns the view (with the right button, or two fingers: moves it),
 * a wheel or two fingers zoom, a click selects. `view` has camera, pick(x, y), mayPull(), and the actions grab, pull,
 * release, click, point, place and changed.
 */
export class Pointers {
  constructor(canvas, view) {
    this.canvas = canvas;
    this.view = view;
    this.down = new Map();
    this.grip = null;
    const listen = (name, handler, options) => canvas.addEventListener(name, handler, options);
    listen("pointerdown", (event) => this.pressed(event));
    listen("pointermove", (event) => this.moved(event));
    listen("pointerup", (event) => this.lifted(event));
    listen("pointercancel", (event) => this.lifted(event));
    listen("pointerleave", () => this.down.size || view.point(null));
    listen("wheel", (event) => this.turnedWheel(event), { passive: false });
    listen("contextmenu", (event) => event.preventDefault());
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  pressed(event) {
    event.preventDefault();
    this.canvas.focus({ preventScroll: true });
    this.canvas.setPointerCapture(event.pointerId);
    const { x, y } = this.place(event);
    this.down.set(event.pointerId, { x, y, startX: x, startY: y, moved: false, kind: event.pointerType });
    if (this.down.size > 1) this.letGo();
    else if (event.button === 0) {
      const hit = this.view.pick(x, y);
      this.grip = hit ? { ...hit, x, y, pulling: false } : null;
    }
  }

  moved(event) {
    const at = this.place(event);
    const finger = this.down.get(event.pointerId);
    if (!finger) return this.view.point(this.view.pick(at.x, at.y));
    const before = { ...finger };
    Object.assign(finger, at);
    const far = Math.hypot(at.x - finger.startX, at.y - finger.startY);
    finger.moved ||= far > (CLICK[finger.kind] ?? CLICK.mouse);
    if (!finger.moved) return;
    if (this.down.size === 2) this.pinch(finger, before);
    else if (this.grip) this.drag(at);
    else this.turn(event, at, before);
  }

  drag({ x, y }) {
    const { grip, view } = this;
    if (!view.mayPull()) return;
    if (!grip.pulling) {
      grip.pulling = true;
      grip.depth = view.camera.project(grip.position).depth;
      grip.offset = subtract(grip.position, view.camera.unproject(grip.x, grip.y, grip.depth));
      view.grab(grip);
    }
    view.pull(subtract(add(view.camera.unproject(x, y, grip.depth), grip.offset), grip.image));
  }

  turn(event, at, before) {
    const { camera } = this.view;
    const [dx, dy] = [at.x - before.x, at.y - before.y];
    if (event.buttons & 6 || event.shiftKey) camera.pan(dx, dy);
    else camera.rotate(dx, dy);
    this.view.changed();
  }

  pinch(finger, before) {
    const other = [...this.down.values()].find((one) => one !== finger);
    const spread = (one) => Math.hypot(one.x - other.x, one.y - other.y) || 1;
    this.view.camera.zoom(spread(before) / spread(finger));
    this.view.camera.pan((finger.x - before.x) / 2, (finger.y - before.y) / 2);
    this.view.changed();
  }

  lifted(event) {
    const finger = this.down.get(event.pointerId);
    this.down.delete(event.pointerId);
    if (!finger) return;
    const click = !finger.moved && event.type === "pointerup" && event.button === 0;
    const grip = this.grip;
    this.letGo();
    if (click) this.view.click(grip, finger, event.shiftKey || event.ctrlKey || event.metaKey || finger.kind === "touch");
  }

  letGo() {
    if (this.grip?.pulling) this.view.release();
    this.grip = null;
  }

  turnedWheel(event) {
    event.preventDefault();
    const pixels = event.deltaY * (event.deltaMode === 1 ? 30 : 1);
    this.view.camera.zoom(Math.exp(Math.min(Math.max(pixels, -200), 200) * 0.0015));
    this.view.changed();
  }
}
