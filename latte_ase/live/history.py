"""Ring buffer of past states, to which a live simulation can be rewound."""

from __future__ import annotations

from collections import deque

from latte_ase.live.frame import Moment

MOST_STATES = 1000
"""Number of states that are kept."""

MOST_BYTES = 128 * 2**20
"""Bytes that they may take."""


class History:
    """Ring buffer of states; the last one is the present."""

    def __init__(self):
        self._states: deque[Moment] = deque()
        self._bytes = 0

    def __len__(self):
        return len(self._states)

    def append(self, state: Moment) -> None:
        """Add a state, and forget the oldest ones where there are too many."""
        self._states.append(state)
        self._bytes += _size(state)
        while len(self._states) > 1 and (len(self._states) > MOST_STATES or self._bytes > MOST_BYTES):
            self._bytes -= _size(self._states.popleft())

    def rewind(self, frames: int) -> Moment:
        """Take out the last states, or all but the oldest, and the one before them, which is returned: it becomes the present."""
        for _ in range(min(frames, len(self._states) - 1)):
            self._bytes -= _size(self._states.pop())
        state = self._states.pop()
        self._bytes -= _size(state)
        return state


def _size(state: Moment) -> int:
    return state.positions.nbytes + state.momenta.nbytes
