"""Timing: calls take turns, so that a machine that slows down slows all of them."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Mapping

import numpy as np


def seconds(call: Callable) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def take_turns(
    calls: Mapping[str, Callable], *, budget: float = 3.0, fewest: int = 3, most: int = 200
) -> dict[str, list[float]]:
    """Wall times of calls that take turns, every second round in reverse order.

    Args:
        calls: by name; each is called once before the clock counts.
        budget: seconds to spend, more or less.
        fewest, most: bounds of the number of rounds.

    Returns:
        The times of each call in seconds, one per round.
    """
    once = sum(seconds(call) for call in calls.values())
    rounds = int(np.clip(budget / max(once, 1e-9), fewest, most))
    times: dict[str, list[float]] = {name: [] for name in calls}
    for k in range(rounds):
        for name in list(calls)[:: 1 if k % 2 == 0 else -1]:
            times[name].append(seconds(calls[name]))
    return times


def peak_memory() -> int:
    """Largest memory of this process so far, in bytes (not on Windows)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
