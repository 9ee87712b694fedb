"""Speed of a run."""

from __future__ import annotations

import time

from ase import units


class Clock:
    """Speed of a run, measured from the first call of `look` on, so that compilation is excluded.

    Args:
        timestep: in ASE's unit.

    Attributes:
        seconds_per_step: between the first look and the last one; nan before the second.
    """

    def __init__(self, timestep: float):
        self.seconds_per_step = float("nan")
        self._nanoseconds, self._first = timestep / (1e6 * units.fs), None

    def look(self, step: int) -> None:
        """Note that so many steps are finished."""
        now = time.perf_counter()
        if self._first is None:
            self._first = (step, now)
        elif step > self._first[0]:
            self.seconds_per_step = (now - self._first[1]) / (step - self._first[0])

    @property
    def ns_per_day(self) -> float:
        """The same in nanoseconds per day."""
        return self._nanoseconds / self.seconds_per_step * 86400
