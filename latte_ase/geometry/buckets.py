"""Buckets: a small number of shapes of padded arrays, which bounds the number of compilations.

A graph takes the cheapest known bucket that holds it and costs at most `WASTE` times as much as a new one.  Otherwise a new
bucket is made, with room for fluctuations and sizes that grow geometrically, so that the number of buckets grows with
the logarithm of the range of sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

import numpy as np

from latte_ase.geometry.graph import Grouping, Shape

WASTE = 1.5
"""Largest cost of a known bucket, in units of the cost of a new one for the graph."""

IDLE = 0.2
"""Cost of an empty block on a CPU, which skips it, in units of a used one: arrays are still allocated and read back."""

SLACK = 0.08
"""Free room of a new bucket for neighbours, as a fraction: densities fluctuate."""

FEWEST_BLOCKS = 4
"""Smallest number of blocks per thread.  Two threads gain nothing for 192 atoms in 13 blocks, and 1.4 times for 384."""

FEW_GROUPS = 3
"""Largest number of groups whose sizes are rounded up to multiples of 4; many groups have one or two neighbours each, and
rounding would multiply their cost."""


def capacity(need: float, *, slack: float = 0.0, step: int = 4) -> int:
    """Smallest bucket size for `need` places: multiples of `step` that grow geometrically, by 1/16 or more.

    Args:
        need: places needed now.
        slack: room to add before rounding, as a fraction.
        step: granularity of the small sizes.
    """
    want = int(np.ceil(need * (1 + slack)))
    size = step
    while size < want:
        size += max(step, (size // 8) // step * step)
    return size


def block_capacity(need: int) -> int:
    """Number of blocks of a bucket, of which a CPU computes only those in use: doubles up to 4096, then grows by an eighth."""
    return 1 << (need - 1).bit_length() if need <= 4096 else capacity(need, step=1)


def parts_of(blocks: int, threads: int) -> int:
    """Number of parts, one for each thread, into which it pays to cut so many blocks."""
    return max(1, min(threads, blocks // FEWEST_BLOCKS))


@dataclass(kw_only=True)
class Buckets:
    """Known buckets, and the rule by which graphs choose among them.

    Attributes:
        known: buckets so far.
        blocks: least number of blocks of a new bucket.
        threads: that share a graph; the number of blocks of a new bucket is a multiple of `parts_of` them.
        neighbours: least capacity of a group of a new bucket.
        spare: places for neighbours that a new bucket has at least beyond the need.
        idle: cost of an empty block in units of a used one.
        second_slack: in place of `SLACK` for a second bucket of nearly the same size, which then also holds what the first
            holds; None makes every new bucket by `SLACK` alone.
        margin: where no known bucket has this much free room for neighbours, as a fraction, a larger one is made and chosen now:
            counts of neighbours fluctuate, so it would be needed later, where compiling it interrupts a simulation.
    """

    known: list[Shape] = field(default_factory=list)
    blocks: int = 1
    threads: int = 1
    neighbours: int = 1
    spare: int = 0
    idle: float = IDLE
    second_slack: float | None = None
    margin: float = 0.0

    def choose(self, need: Shape) -> Shape:
        """Bucket that holds `need`: a known one, or a new one, which is known from then on."""
        chosen = self._cheapest(need)
        later = need._replace(neighbours=tuple(int(np.ceil((1 + self.margin) * n)) for n in need.neighbours))
        return chosen if any(s.holds(later) for s in self.known) else self._cheapest(later)

    def _cheapest(self, need: Shape) -> Shape:
        new = self._with_room(need, SLACK)
        fitting = [s for s in self.known if s.holds(need) and self._cost(s, need) <= WASTE * self._cost(new, need)]
        if fitting:
            return min(fitting, key=lambda s: self._cost(s, need))
        if self.second_slack is not None:
            alike = [s for s in self.known if (s.block, s.grouping) == (need.block, need.grouping)]
            near = [s for s in alike if 1 / WASTE <= s.places / new.places <= WASTE]
            new = self._with_room(hull([need, *near]), self.second_slack) if near else new
        self.known.append(new)
        return new

    def tight(self, need: Shape) -> Shape:
        """New bucket with no more room than rounding leaves, for graphs whose pairs never change; known from then on."""
        new = need._replace(
            blocks=self._blocks(need.blocks), neighbours=tuple(capacity(max(n, 1), step=2) for n in need.neighbours)
        )
        if new not in self.known:
            self.known.append(new)
        return new

    def holding(self, need: Shape) -> Shape:
        """Smallest known bucket that holds `need`; nothing new is made.

        Raises:
            ValueError: none does.
        """
        fitting = [s for s in self.known if s.holds(need)]
        if not fitting:
            raise ValueError(f"None of {len(self.known)} buckets holds a graph that needs {need}.")
        return min(fitting, key=lambda s: s.places)

    def _with_room(self, need: Shape, slack: float) -> Shape:
        if len(need.neighbours) <= FEW_GROUPS:
            room = [max(n + self.spare, self.neighbours, n * (1 + slack)) for n in need.neighbours]
            neighbours = tuple(capacity(n) for n in room)
        else:
            neighbours = tuple(capacity(max(n, 1), slack=slack, step=1) for n in need.neighbours)
        return need._replace(blocks=self._blocks(need.blocks), neighbours=neighbours)

    def _blocks(self, need: int) -> int:
        blocks = self.blocks if need <= self.blocks else block_capacity(need)
        parts = parts_of(blocks, self.threads)
        return -(-blocks // parts) * parts

    def _cost(self, shape: Shape, need: Shape) -> float:
        return sum(shape.neighbours) * (need.blocks + self.idle * (shape.blocks - need.blocks))


def hull(shapes: Sequence[Shape]) -> Shape:
    """Smallest shape that holds all of these."""
    neighbours = zip_longest(*(s.neighbours for s in shapes), fillvalue=0)
    return shapes[0]._replace(blocks=max(s.blocks for s in shapes), neighbours=tuple(max(n) for n in neighbours))


def planned(counts, neighbours, size: int, *, block: int, grouping: Grouping) -> Buckets:
    """Buckets for batches of `size` structures drawn from a set, known before the first batch is made.

    Where structures are alike there is one.  Where they are not, the worst batch (the largest structures, with the densest
    among them) can need a hundred times the places of a usual one: the first bucket then holds nine of ten random batches,
    and each further one has at least four times the places.  They depend on the set alone, so a training that is resumed
    has the same ones.

    Args:
        counts: (structures, species) numbers of atoms.
        neighbours: (structures, groups) capacities that the graph of each needs.
        size: structures in a batch.
        block: atoms per block.
        grouping: what has one species.
    """
    counts, neighbours = np.asarray(counts), np.asarray(neighbours)

    def bucket(need) -> Shape:
        blocks, *widths = (int(x) for x in need)
        return Shape(blocks, block, tuple(capacity(max(n, 1)) for n in widths), grouping)

    def blocks_of(atoms):
        return (-(-atoms // block)).sum(axis=-1)

    worst = np.array([blocks_of(np.sort(counts, axis=0)[-size:].sum(axis=0)), *neighbours.max(axis=0)])
    draws = np.random.default_rng(0).integers(len(counts), size=(200, size))
    usual = np.column_stack([blocks_of(counts[draws].sum(axis=1)), neighbours[draws].max(axis=1)])
    usual = np.ceil(np.quantile(usual, 0.9, axis=0))
    largest, known = bucket(worst), []
    while 2 * (smaller := bucket(np.minimum(usual, worst))).places < largest.places:
        if not known or smaller.places >= 4 * known[-1].places:
            known.append(smaller)
        usual = 2 * usual
    return Buckets(known=[*known, largest])
