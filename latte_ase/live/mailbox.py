"""Mailbox with one slot: the writer never waits, and readers find the latest frame."""

from __future__ import annotations

import threading

from latte_ase.live.frame import LiveFrame


class Mailbox:
    """Slot for the latest frame."""

    def __init__(self):
        self._changed, self._frame = threading.Condition(), None

    def put(self, frame: LiveFrame) -> None:
        """Replace the frame."""
        with self._changed:
            self._frame = frame
            self._changed.notify_all()

    @property
    def latest(self) -> LiveFrame:
        """The latest frame."""
        assert self._frame is not None
        return self._frame

    def wait(self, after: int, timeout: float | None = None) -> LiveFrame:
        """The first frame found with a larger number than `after`, or the latest one when the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: self.latest.number > after, timeout)
            return self.latest
