"""Viewers of a live simulation, whatever carries their messages.

A transport (a socket, the messages of a notebook) calls `Hub.join`, gives what it receives to `Viewer.receive`, and sends what
`Viewer.due` returns.  A slow viewer loses frames: the next one is due when it said that it has drawn the last one, or after `PATIENCE`.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple

import numpy as np

from latte_ase.live import commands, protocol
from latte_ase.live.commands import Command, CommandError
from latte_ase.live.conditions import LIMITS
from latte_ase.live.editing import molecules
from latte_ase.live.frame import LiveFrame

PATIENCE = 0.25
"""Seconds after which a frame is sent to a viewer that has not drawn the last one."""

SILENCE = 10.0
"""Seconds without a command after which another viewer may steer."""

MOST_WAITING = 200
"""Commands of a viewer that wait to be carried out; more are refused."""

RECORDED = (".traj", ".extxyz", ".xyz")
"""Suffixes of files that a viewer may have written."""


class View(NamedTuple):
    """What viewers see.

    Attributes:
        frame: the last one.
        status: content of the message; another object when it changed.
        uncertainty: (revision, values (atoms,) or None); another object when it changed.
    """

    frame: LiveFrame
    status: dict[str, Any]
    uncertainty: tuple[int, np.ndarray | None] | None


class Hub:
    """Viewers of one simulation, one of whom steers.

    Args:
        submit: hands a command to the simulation.
        watch: told whether some viewer wants uncertainties.
        facts: content of the first message to a viewer.
        view: the first one.
    """

    def __init__(
        self, submit: Callable[[Command], Future], watch: Callable[[bool], None], facts: dict[str, Any], view: View
    ):
        self._submit, self._watch, self.facts, self.view = submit, watch, facts, view
        self._lock, self._viewers = threading.RLock(), list[Viewer]()
        self._steering: Viewer | None = None
        self._encoded: tuple[LiveFrame | None, bytes] = (None, b"")

    def __len__(self):
        return len(self._viewers)

    def publish(self, view: View) -> None:
        """Show something new."""
        self.view = view
        for viewer in tuple(self._viewers):
            viewer.wake()

    def join(self, wake: Callable[[], None]) -> Viewer:
        """A new viewer, who steers if nobody does.

        Args:
            wake: called from any thread where something may be due.
        """
        viewer = self.attend(wake)
        with self._lock:
            if self._steering is None:
                self._steering = viewer
        return viewer

    def attend(self, wake: Callable[[], None]) -> Viewer:
        """A new viewer, who does not steer before its first command."""
        with self._lock:
            viewer = Viewer(self, wake)
            self._viewers.append(viewer)
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """Forget a viewer; the pulls of the one who steered end."""
        with self._lock:
            if viewer not in self._viewers:
                return
            self._viewers.remove(viewer)
            steered = self._steering is viewer
            if steered:
                self._steering = None
        self.rewatch()
        if steered:
            self._submit(commands.Release())

    def steers(self, viewer: Viewer) -> bool:
        """Whether this viewer steers."""
        return self._steering is viewer

    def take(self, viewer: Viewer) -> bool:
        """Let a viewer steer if nobody does, or who does is silent; whether it steers."""
        with self._lock:
            before = self._steering
            if before is not None and before is not viewer and time.monotonic() - before.heard < SILENCE:
                return False
            self._steering = viewer
        if before is not viewer:
            for each in filter(None, (before, viewer)):
                each.tell(protocol.text("steers", value=each is viewer))
        return True

    def free(self) -> bool:
        """Whether nobody steers."""
        return self._steering is None

    def rewatch(self) -> None:
        """Tell the simulation whether somebody wants uncertainties."""
        self._watch(any(viewer.watches for viewer in tuple(self._viewers)))

    def submit(self, command: Command) -> Future:
        """Hand a command to the simulation."""
        return self._submit(command)

    def encoded(self, frame: LiveFrame) -> bytes:
        """Message of a frame, made once for all viewers."""
        known, message = self._encoded
        if known is not frame:
            message = protocol.frame_bytes(frame)
            self._encoded = frame, message
        return message


class Viewer:
    """A viewer; made by `Hub.join`.

    Attributes:
        wake: called where something may be due.
        watches: whether it wants uncertainties.
        heard: time of its last command, of the monotonic clock.
    """

    def __init__(self, hub: Hub, wake: Callable[[], None]):
        self._hub, self.wake = hub, wake
        self.watches, self.heard = False, time.monotonic()
        self._outbox: deque[str] = deque(maxlen=1000)
        self._greeted, self._revision = False, -1
        self._status: Any = None
        self._uncertainty: Any = None
        self._sent, self._sent_at, self._drawn = -1, 0.0, -1
        self._waiting = 0

    def tell(self, message: str) -> None:
        """Send a message besides those that are due by themselves."""
        self._outbox.append(message)
        self.wake()

    def receive(self, message: str | bytes) -> None:
        """Take a message of the viewer; what is wrong with it is answered."""
        try:
            command, id = commands.parse(message)
        except CommandError as error:
            self.tell(protocol.text("error", text=str(error)))
            return
        if isinstance(command, commands.Ack):
            self._drawn = max(self._drawn, command.frame)
            self.wake()
        elif isinstance(command, commands.Watch):
            self.watches, self._uncertainty = command.uncertainty, None
            self._hub.rewatch()
            self._answer(id)
        elif isinstance(command, commands.Steer):
            if self._hub.take(self):
                self.heard = time.monotonic()
                self._answer(id)
            else:
                self._refuse(id, f"Another viewer steers; ask again when it was silent for {SILENCE:g} s.")
        else:
            self.command(command, id)

    def command(self, command: Command, id: Any = None) -> None:
        """Have a command carried out, if this viewer steers; errors are answered."""
        hub = self._hub
        if not hub.steers(self) and not (hub.free() and hub.take(self)):
            self._refuse(id, "Another viewer steers; this one may ask to, by the message 'steer'.")
        elif self._waiting >= MOST_WAITING:
            self._refuse(id, f"{MOST_WAITING} commands wait already; send fewer.")
        elif isinstance(command, commands.Record) and not _allowed(command.path):
            self._refuse(
                id,
                f"A recording goes to a file of the working folder, NAME{', NAME'.join(RECORDED)}; {command.path!r} is none.",
            )
        else:
            self.heard = time.monotonic()
            self._waiting += 1
            hub.submit(command).add_done_callback(lambda future: self._done(id, future))

    def _done(self, id: Any, future: Future) -> None:
        self._waiting -= 1
        error = None if future.cancelled() else future.exception()
        if error is None:
            self._answer(id)
        else:
            self._refuse(id, str(error))

    def _answer(self, id: Any) -> None:
        if id is not None:
            self.tell(protocol.text("done", id=id))

    def _refuse(self, id: Any, why: str) -> None:
        self.tell(protocol.text("error", text=why, **({} if id is None else {"id": id})))

    def due(self) -> list[str | bytes]:
        """Messages to send now, in this order."""
        hub, view = self._hub, self._hub.view
        found: list[str | bytes] = []
        if not self._greeted:
            self._greeted = True
            limits = {name: list(limit) for name, limit in LIMITS.items()}
            found.append(
                protocol.text(
                    "hello",
                    protocol=protocol.VERSION,
                    steers=hub.steers(self),
                    mode=view.status["mode"],
                    limits=limits,
                    molecules=molecules(),
                    **hub.facts,
                )
            )
        while self._outbox:
            found.append(self._outbox.popleft())
        frame = view.frame
        if frame.structure.revision != self._revision:
            self._revision = frame.structure.revision
            found.append(protocol.structure_text(frame.structure, frame.moment.cell))
        if view.status is not self._status:
            self._status = view.status
            found.append(protocol.text("status", **view.status))
        if self.watches and view.uncertainty is not None and view.uncertainty is not self._uncertainty:
            self._uncertainty = view.uncertainty
            revision, values = view.uncertainty
            listed = None if values is None else [float(f"{v:.4g}") for v in values]
            found.append(protocol.text("uncertainty", revision=revision, values=listed))
        now = time.monotonic()
        if frame.number != self._sent and (self._drawn >= self._sent or now - self._sent_at >= PATIENCE):
            self._sent, self._sent_at = frame.number, now
            found.append(hub.encoded(frame))
        return found

    def leave(self) -> None:
        """Be forgotten."""
        self._hub.leave(self)


def _allowed(path: str | None) -> bool:
    """Whether a viewer may have this file written: it has no folder, and a known suffix."""
    if path is None:
        return True
    return path.endswith(RECORDED) and not set(path) & set("/\\:\0") and not path.startswith(".")
