"""Threads: the number of cores that a process may use, and calls in parallel.

A compiled call releases the global interpreter lock, so threads run in parallel.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from latte_ase.engine.cpu_quota import cpu_quota


def cores() -> int:
    """CPU cores that this process may use: those it is bound to, and no more than its quota (`cpu_quota`) rounded up."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return bound if cpu_quota() >= bound else max(1, math.ceil(cpu_quota()))


@cache
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="latte_ase")


def at_once(function: Callable, parts: Sequence) -> list:
    """`function` of every part, the first one in the calling thread; raises what one of them raises."""
    if len(parts) == 1:
        return [function(parts[0])]
    others = [_pool(cores()).submit(function, part) for part in parts[1:]]
    return [function(parts[0]), *(other.result() for other in others)]
