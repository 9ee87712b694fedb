/** Parts of the page as text: icons, and a way to make elements. */

const STROKES = {
  play: "M8 5v14l11-7z",
  pause: "M9 5v14M15 5v14",
  step: "M6 5v14l9-7zM18 5v14",
  rewind: "M12 6v12l-8-6zM20 6v12l-8-6z",
  reset: "M4 12a8 8 0 1 0 2.6-5.9M4 4v4.5h4.5",
  record: "M12 7a5 5 0 1 0 0 10a5 5 0 1 0 0-10",
  keep: "M7 4h10v16l-5-4-5 4z",
  center: "M12 3v4M12 17v4M3 12h4M17 12h4M12 9a3 3 0 1 0 0 6a3 3 0 1 0 0-6",
  theme: "M12 4a8 8 0 1 0 8 8a6 6 0 0 1-8-8",
  contrast: "M12 4a8 8 0 1 0 0 16a8 8 0 1 0 0-16M12 4v16M12 8h6M12 12h8M12 16h6",
  panel: "M4 5h16v14H4zM14 5v14",
  help: "M9 9.5a3 3 0 1 1 4.2 2.7c-.8.4-1.2 1-1.2 1.8M12 17.5v.1",
  close: "M6 6l12 12M18 6L6 18",
};

/** An icon of 24 by 24 units in the colour of the text. */
export function icon(name) {
  const filled = ["play", "record", "rewind", "step"].includes(name);
  const holder = document.createElement("template");
  holder.innerHTML = `<svg viewBox="0 0 24 24" width="18" height="18" aria-hidden="true" fill="${filled ? "currentColor" : "none"}"
    stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round"><path d="${STROKES[name]}"/></svg>`;
  return holder.content.firstElementChild;
}

/** An element with properties, attributes (their names contain "-", or are role and for) and content. */
export function make(tag, properties = {}, ...content) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role" || name === "for") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...content);
  return element;
}

/** A button that shows an icon and says in words what it does. */
export function iconButton(name, title, onclick) {
  return make("button", { type: "button", className: "icon", title, "aria-label": title, onclick }, icon(name));
}
