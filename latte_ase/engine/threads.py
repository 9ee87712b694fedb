"""Blocks of a structure on several CPU cores: one compiled call per thread.

XLA runs the loop over blocks on one core, however many there are.  Blocks do not know of each other
until pairs are put together into forces, so a graph is cut into parts of equal shape, one compiled
function serves them all, and each thread calls it for one part (the call releases Python's lock).
Each atom's numbers do not depend on the number of threads; the last digits of the virial do.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, NamedTuple

import jax
import numpy as np

from latte_ase.geometry.graph import Graph

FEWEST = 4
"""Blocks that are worth a thread.  Measured: two threads gain nothing for 192 atoms in 13 blocks, 1.4 times for 384."""


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def parts_of(blocks: int, threads: int) -> int:
    """Number of parts that pays for so many blocks; their number should be a multiple of it."""
    return max(1, min(threads, blocks // FEWEST))


class Part(NamedTuple):
    """Some consecutive blocks of a graph, padded to the shape that all parts have.

    Attributes:
        graph: arrays of this part's blocks; what follows the first `used` ones belongs to others.
        start: () int32, the first block among all.
        used: () int32, number of blocks that are this part's.
    """

    graph: Graph
    start: Any
    used: Any

    def of(self, everything):
        """The rows of an array over all blocks that go with this part."""
        return everything[int(self.start) : int(self.start) + len(self.graph.species)]


def split(graph: Graph, used: int, parts: int) -> list[Part]:
    """Parts with nearly equal numbers of blocks in use.

    Args:
        graph: numpy arrays, of which the parts are views; its number of blocks is a multiple of `parts`.
        used: number of blocks that hold atoms; the first ones.
        parts: how many.
    """
    size, each = len(graph.species) // parts, -(-used // parts)
    starts = [min(k * each, used) for k in range(parts)]
    return [
        Part(
            jax.tree.map(lambda a, s=start: a[s : s + size], graph),
            np.int32(start),
            np.int32(min(each, used - start)),
        )
        for start in starts
    ]


@cache
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="latte_ase")


def at_once(function: Callable, parts: Sequence) -> list:
    """`function` of every part, the first one in the calling thread; raises what one of them raises."""
    if len(parts) == 1:
        return [function(parts[0])]
    others = [_pool(cores()).submit(function, part) for part in parts[1:]]
    return [function(parts[0]), *(other.result() for other in others)]
