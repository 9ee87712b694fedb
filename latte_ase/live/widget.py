"""The page of a live simulation in a notebook: JupyterLab, Notebook 7, VS Code, Colab, marimo.

The page connects to the server of the session, as in a browser, so that it moves and pulls while a cell runs.  Where the browser cannot reach
the server (the notebook runs on another machine), messages of the notebook carry the same content: these wait while a cell runs, and are few.
"""

from __future__ import annotations

import json
import re
import threading
import time
from importlib import resources
from typing import Any, Protocol

import numpy as np

from latte_ase.live.hub import Hub, Viewer
from latte_ase.live.protocol import FRAME_HEADER

try:
    from anywidget import AnyWidget
    from traitlets import Int, Unicode
except ImportError:
    raise ImportError(
        "The package anywidget is not installed, which shows a live simulation in a notebook. Install it: pip install 'latte_ase[live]'; "
        "or open the address in a browser: print(session.url)."
    ) from None


class Shown(Protocol):
    """What a widget shows: a `Session`."""

    @property
    def url(self) -> str:
        """Address of the page, with its token."""
        ...

    @property
    def running(self) -> bool:
        """Whether the simulation has not ended."""
        ...

    hub: Hub


PERIOD = 0.1
"""Seconds between two frames that the notebook's messages carry."""

IMPORT = re.compile(r'^import \{[^}]*\} from "\./(\w+)\.js";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)


def page_module(name: str = "notebook") -> str:
    """Module of the page with all that it imports, as one text: a notebook loads a single one."""
    folder = resources.files("latte_ase.live") / "page"
    texts: dict[str, str] = {}

    def gather(module: str) -> None:
        text = (folder / f"{module}.js").read_text(encoding="utf-8")
        for other in IMPORT.findall(text):
            if other not in texts:
                gather(other)
        texts[module] = EXPORT.sub("", IMPORT.sub("", text))

    gather(name)
    return "\n".join(texts.values())


class LiveWidget(AnyWidget):
    """Widget of a live simulation; made by `widget`.

    Args:
        session: the simulation.
        height: of the page in pixels.
    """

    _esm = page_module()
    _css = (resources.files("latte_ase.live") / "page" / "style.css").read_text(encoding="utf-8")
    url = Unicode().tag(sync=True)
    height = Int(540).tag(sync=True)

    def __init__(self, session: Shown, height: int = 540):
        super().__init__(url=session.url, height=height)
        self._session, self._relay = session, None
        self.on_msg(self._receive)

    def _receive(self, widget: Any, content: Any, buffers: Any) -> None:
        """Take a message of a page that does not reach the server."""
        kind = content.get("type") if isinstance(content, dict) else None
        if kind in ("open", "close"):
            if self._relay is not None:
                self._relay.stop()
            self._relay = _Relay(self._session, self) if kind == "open" else None
        elif self._relay is not None:
            self._relay.viewer.receive(json.dumps(content))

    def close(self) -> None:
        """End the widget; the session goes on."""
        if self._relay is not None:
            self._relay.stop()
            self._relay = None
        super().close()


def widget(session: Shown, height: int = 540) -> LiveWidget:
    """Widget that shows a session in a notebook.

    Args:
        session: the simulation.
        height: of the page in pixels.

    Returns:
        The widget, an anywidget.
    """
    return LiveWidget(session, height)


class _Relay:
    """Thread that sends to a widget's pages what is due to a viewer."""

    def __init__(self, session: Shown, widget: LiveWidget):
        self._session, self._widget = session, widget
        self._ended = threading.Event()
        self.viewer: Viewer = session.hub.join(lambda: None)
        threading.Thread(target=self._run, name="latte_ase live widget", daemon=True).start()

    def stop(self) -> None:
        self._ended.set()
        self.viewer.leave()

    def _run(self) -> None:
        while not self._ended.is_set() and self._session.running:
            started = time.monotonic()
            for message in self.viewer.due():
                self._send(message)
            self._ended.wait(max(0.0, started + PERIOD - time.monotonic()))

    def _send(self, message: str | bytes) -> None:
        if isinstance(message, str):
            self._widget.send(json.loads(message))
            return
        self._widget.send({"type": "frame"}, buffers=[message])
        number = int(np.frombuffer(message, FRAME_HEADER, count=1)["number"][0])
        self.viewer.receive(json.dumps({"type": "ack", "frame": number}))  # pages send none through the kernel
