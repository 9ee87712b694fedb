"""Progress on the terminal: a bar over steps with the speed in nanoseconds per day."""

from __future__ import annotations

import time
from contextlib import contextmanager

from ase import units


class Clock:
    """Speed of a run; its first look starts the clock, so that compilation before it does not count.

    Args:
        timestep: in ASE's unit.
    """

    def __init__(self, timestep: float):
        self._nanoseconds, self._first = timestep / (1e6 * units.fs), None

    def look(self, step: int) -> float:
        """Seconds per step since the first look; nan before the second."""
        now = time.perf_counter()
        if self._first is None:
            self._first = (step, now)
        steps = step - self._first[0]
        return (now - self._first[1]) / steps if steps else float("nan")

    def ns_per_day(self, seconds_per_step: float) -> float:
        """The same in nanoseconds per day."""
        return self._nanoseconds / seconds_per_step * 86400


@contextmanager
def step_bar(steps: int, *, done: int = 0, show: bool = True):
    """Yield a function (step, ns_per_day) that moves a bar; `done` were finished before."""
    if not show:
        yield lambda step, speed: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[speed]}"),
    )
    with Progress(*columns) as bar:
        task = bar.add_task("dynamics", total=steps, completed=done, speed="")

        def move(step, speed):
            text = f"{speed:.3g} ns/day" if speed == speed else ""  # nan before the second look
            bar.update(task, completed=step, speed=text)

        yield move
