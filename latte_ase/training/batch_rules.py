"""Rules by which frames are divided into batches: as many frames in each, or as many atoms.

A rule makes a plan for a set: which frames form a batch in an epoch, and the few shapes that hold all batches.  Both depend on
the set and on the order of the epoch alone, so a training that is resumed has the same batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from latte_ase.geometry.buckets import Buckets, capacity, planned
from latte_ase.geometry.graph import Grouping, Shape, choose_block, lay_out
from latte_ase.training.dataset import Frame

MOST_CLASSES = 4
"""Largest number of classes of frames by the places that their atoms need for neighbours."""
CLASS_RATIO = 1.5
"""Least ratio of the places of two classes: the padding that a class of its own saves has to pay for its compilation."""
FEWEST_BATCHES = 4
"""Batches that a class fills at least; a smaller one joins the next larger one, since its last batch is never full."""
SHARE_GROWTH = 1.125
"""Ratio of the sizes that the share of a device can have."""


class BatchPlan(NamedTuple):
    """Batches of a set of frames.

    Attributes:
        buckets: shapes that hold every share of a batch.
        size: most frames of a share.
        parts: function of the order of the frames in an epoch that gives the frames of each batch, arrays of indices.
    """

    buckets: Buckets
    size: int
    parts: Callable[[np.ndarray], list[np.ndarray]]


class BatchRule(Protocol):
    """A rule: makes the plan of a set, whose batches several devices may share."""

    def plan(self, frames: Sequence[Frame], *, grouping: Grouping, shares: int = 1) -> BatchPlan:
        """Plan of a set.

        Args:
            frames: the set.
            grouping: grouping of atoms by species.
            shares: number of devices that share a batch.
        """
        ...


@dataclass(frozen=True)
class ByFrames:
    """As many frames in each batch.

    Attributes:
        size: number of frames.
    """

    size: int

    def plan(self, frames: Sequence[Frame], *, grouping: Grouping, shares: int = 1) -> BatchPlan:
        """See `BatchRule`."""
        size = min(self.size, len(frames))
        each = -(-size // shares)

        def parts(order):
            return [order[k : k + size] for k in range(0, len(order), size)]

        return BatchPlan(buckets_of(frames, each, grouping=grouping), each, parts)


@dataclass(frozen=True)
class ByAtoms:
    """About as many atoms in each batch, of frames whose atoms have about as many neighbours.

    A batch has `atoms` places, in blocks of one species each.  Frames enter it in the order of the epoch as long as their blocks
    fit; one that is too large for any batch is a batch by itself.  Frames with few and with many neighbours are kept apart, in at
    most `MOST_CLASSES` classes, since all atoms of a batch have as many places for neighbours.

    Attributes:
        atoms: places for atoms.
    """

    atoms: int

    def plan(self, frames: Sequence[Frame], *, grouping: Grouping, shares: int = 1) -> BatchPlan:
        """See `BatchRule`."""
        counts, neighbours = _needs(frames, grouping)
        block = choose_block(self.atoms * counts.sum(axis=0) // counts.sum())
        room = -(-self.atoms // block)
        alone = _blocks(counts, block) > room
        classes = np.where(alone, -1, 0)
        classes[~alone] = _classes(neighbours[~alone], counts[~alone].sum(axis=1), room * block)

        def parts(order):
            return _filled(order, counts, classes, room, block)

        shapes = [
            Shape(blocks, block, _widths(neighbours[classes == c]), grouping)
            for c in range(classes.max() + 1)
            for blocks in _sizes(room, shares)
        ]
        if alone.any():
            shapes.append(Shape(int(_blocks(counts, block).max()), block, _widths(neighbours[alone]), grouping))
        most = [int((np.cumsum(np.sort(counts.sum(axis=1)[classes == c])) <= room * block).sum()) for c in set(classes)]
        known = sorted(set(shapes), key=lambda s: s.places)
        return BatchPlan(Buckets(known=known), max(1, *most), parts)


def buckets_of(frames: Sequence[Frame], size: int, *, grouping: Grouping = Grouping.SPECIES) -> Buckets:
    """Buckets for batches of `size` of these frames; see `buckets.planned`."""
    counts, neighbours = _needs(frames, grouping)
    block = choose_block(size * counts.mean(axis=0).astype(int))
    return planned(counts, neighbours, size, block=block, grouping=grouping)


def _needs(frames: Sequence[Frame], grouping: Grouping) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of atoms (frames, species), in one column where blocks mix species, and capacities (frames, groups) for neighbours."""
    sizes, neighbours = [], []
    for frame in frames:
        sizes.append([len(frame.species)] if grouping is Grouping.MIXED else np.bincount(frame.species))
        neighbours.append(lay_out(frame.species, frame.pairs, grouping=grouping).need.neighbours)
    return _table(sizes), _table(neighbours)


def _table(rows) -> np.ndarray:
    """Rows of different lengths as one array, 0 where they end."""
    table = np.zeros((len(rows), max(map(len, rows))), int)
    for row, values in zip(table, rows, strict=True):
        row[: len(values)] = values
    return table


def _blocks(counts, block: int) -> np.ndarray:
    """Number of blocks of atoms by species (..., species)."""
    return (-(-counts // block)).sum(axis=-1)


def _widths(neighbours: np.ndarray) -> tuple[int, ...]:
    """Capacities of groups that hold frames with these needs (frames, groups)."""
    most = [int(n) for n in neighbours.max(axis=0)]
    return tuple(capacity(n) for n in most if n) or (capacity(1),)


def _sizes(room: int, shares: int) -> list[int]:
    """Numbers of blocks that a share of a batch of so many blocks may have."""
    sizes, size = [], room / shares
    while size < room:
        sizes.append(int(np.ceil(size)))
        size *= SHARE_GROWTH
    return [*sizes, room]


def _classes(neighbours: np.ndarray, atoms: np.ndarray, places: int) -> np.ndarray:
    """Class (frames,) of each frame, by its places for the neighbours of an atom.

    Args:
        neighbours: (frames, groups) capacities that each needs.
        atoms: (frames,) numbers of atoms.
        places: atoms of a batch.
    """
    if len(neighbours) == 0:
        return np.zeros(0, int)
    width = np.maximum(neighbours, 1).sum(axis=1)
    number = min(MOST_CLASSES, 1 + int(np.log(width.max() / width.min()) / np.log(CLASS_RATIO)))
    classes = np.digitize(width, np.geomspace(width.min(), width.max(), number + 1)[1:-1])
    for c in range(number - 1):
        if atoms[classes == c].sum() < FEWEST_BATCHES * places:
            classes[classes == c] = c + 1
    return np.unique(classes, return_inverse=True)[1]


def _filled(order, counts: np.ndarray, classes: np.ndarray, room: int, block: int) -> list[np.ndarray]:
    """Frames of each batch, in the order of their first frames."""
    done: list[list[int]] = []
    filling: dict[int, tuple[list[int], np.ndarray]] = {}
    for k in order:
        kind = int(classes[k])
        members, total = filling.get(kind, ([], np.zeros_like(counts[k])))
        if members and (kind < 0 or _blocks(total + counts[k], block) > room):
            done.append(members)
            members, total = [], np.zeros_like(counts[k])
        members.append(int(k))
        filling[kind] = members, total + counts[k]
    done += [members for members, _ in filling.values()]
    place = {int(k): position for position, k in enumerate(order)}
    return [np.array(members) for members in sorted(done, key=lambda members: place[members[0]])]
