const KEY_STEP = 0.25; // Angstrom per key of a pull
const KEY_TURN = 25; // pixels of a drag, per key

/** What keys do, in words, in the order of the help. */
export const KEYS = [
  ["space", "play or pause"],
  [". and ,", "one step; back"],
  ["R", "reset to the start"],
  ["arrows, + −", "turn the view, zoom"],
  ["N and P", "select the next or previous atom"],
  ["shift + arrows", "pull what is selected"],
  ["Esc", "let go; select nothing"],
  ["F", "fix or free what is selected"],
  ["Delete", "delete what is selected"],
  ["A", "add an atom or a molecule"],
  ["K", "keep this frame for labelling"],
  ["C", "centre the view"],
  ["?", "this list"],
];

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/** Handles a key; true where it meant something. `page` has help() and add(). */
export function pressKey(event, viewer, page) {
  if (event.ctrlKey || event.metaKey || event.altKey) return false;
  const arrow = ARROWS[event.key];
  if (arrow && event.shiftKey) viewer.nudge(arrow[0] * KEY_STEP, arrow[1] * KEY_STEP);
  else if (arrow) {
    viewer.camera.rotate(arrow[0] * KEY_TURN, -arrow[1] * KEY_TURN);
    viewer.changed();
  } else return pressLetter(event.key, viewer, page);
  return true;
}

function pressLetter(key, viewer, page) {
  const actions = {
    " ": () => viewer.togglePlay(),
    ".": () => viewer.command("step", { n: 1 }),
    ",": () => viewer.command("rewind", { frames: 5 }),
    r: () => viewer.command("reset"),
    "+": () => zoom(viewer, 0.88),
    "=": () => zoom(viewer, 0.88),
    "-": () => zoom(viewer, 1.14),
    n: () => selectNext(viewer, 1),
    p: () => selectNext(viewer, -1),
    Escape: () => (viewer.placing ? viewer.setPlacing(null) : viewer.grip ? viewer.release() : viewer.select([])),
    f: () => viewer.fixSelection(),
    Delete: () => viewer.deleteSelection(),
    Backspace: () => viewer.deleteSelection(),
    a: () => page.add(),
    k: () => viewer.command("keep"),
    c: () => viewer.lookAtAll(),
    "?": () => page.help(),
    Enter: () => viewer.placing && viewer.addAt(viewer.camera.centre),
  };
  const action = actions[key.length === 1 ? key.toLowerCase() : key];
  action?.();
  return Boolean(action);
}

function zoom(viewer, factor) {
  viewer.camera.zoom(factor);
  viewer.changed();
}

function selectNext(viewer, step) {
  const count = viewer.structure?.radii.length ?? 0;
  if (!count) return;
  const now = viewer.selection.at(-1) ?? (step > 0 ? -1 : 0);
  viewer.select([(now + step + count) % count]);
}
