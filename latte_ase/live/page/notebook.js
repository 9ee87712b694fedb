import { mount } from "./live.js";

/** The page in a notebook's output, for anywidget. */
function render({ model, el }) {
  const place = document.createElement("div");
  place.style.height = `${model.get("height")}px`;
  el.append(place);
  const page = mount(place, { url: model.get("url"), channel: kernelChannel(model), theme: notebookTheme() });
  return () => page.close();
}

export default { render };

/** Messages through the notebook's kernel, which waits until a running cell ends. */
function kernelChannel(model) {
  let handler = null;
  return {
    send: (message) => model.send(message),
    listen(receive) {
      this.close();
      handler = (message, buffers) => {
        const [data] = buffers ?? [];
        receive(data ? data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength) : message);
      };
      model.on("msg:custom", handler);
    },
    close() {
      if (handler) model.off("msg:custom", handler);
    },
  };
}

/** "light" or "dark" as JupyterLab, VS Code and marimo say it; null where the system's is used. */
function notebookTheme() {
  const { body, documentElement: top } = document;
  if (body.dataset.jpThemeLight) return body.dataset.jpThemeLight === "false" ? "dark" : "light";
  const classes = `${body.className} ${top.className}`;
  if (/\b(vscode-dark|vscode-high-contrast|dark)\b/.test(classes)) return "dark";
  return /\b(vscode-light|light)\b/.test(classes) ? "light" : null;
}
