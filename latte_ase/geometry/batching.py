"""A stream of structures in batches of like ones, and few shapes for all batches.

Structures of one kind wait for each other until they fill a batch; what is held back is bounded,
so that a stream of any length passes through a memory of fixed size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import NamedTuple

from ase import Atoms

from latte_ase.geometry.all_pairs import is_molecule
from latte_ase.geometry.graph import Shape, capacity

HELD = 16
"""Batches whose structures may wait for others of their kind."""
SLACK = 0.08
"""Room left in a new shape for neighbours, as a fraction."""
MORE = 0.4
"""The same for the second shape of nearly the same size."""


class Numbered(NamedTuple):
    """A structure and its place in the stream."""

    index: int
    atoms: Atoms


def batches(structures: Iterable[Atoms], size: int) -> Iterator[list[Numbered]]:
    """Lists of like structures: molecules apart from others, and each within a factor of two in size.

    Args:
        structures: read once, in order.
        size: atoms in a batch; a larger structure is a batch by itself.

    Raises:
        ValueError: a structure without atoms.
    """
    waiting: dict[tuple[bool, int], _Group] = {}
    held = 0
    for index, atoms in enumerate(structures):
        if len(atoms) == 0:
            raise ValueError(f"Structure {index} has no atoms; at least one is needed.")
        kind = is_molecule(atoms), min(len(atoms), size).bit_length()
        if kind in waiting and waiting[kind].atoms + len(atoms) > size:
            held -= waiting[kind].atoms
            yield waiting.pop(kind).members
        group = waiting.setdefault(kind, _Group([]))
        group.members.append(Numbered(index, atoms))
        group.atoms += len(atoms)
        held += len(atoms)
        # results come in order: whatever follows the oldest one that waits has to be kept
        while waiting and (held > HELD * size or index - _oldest(waiting)[0] > HELD * size):
            group = waiting.pop(_oldest(waiting)[1])
            held -= group.atoms
            yield group.members
    yield from (group.members for group in waiting.values())


@dataclass
class _Group:
    members: list[Numbered]
    atoms: int = 0


def _oldest(waiting):
    return min((group.members[0].index, kind) for kind, group in waiting.items())


class Shapes:
    """The shapes of batches so far.

    A batch takes the smallest one that holds it and has at most twice the places it needs.  Where
    there is none a new one is made; of shapes that differ by less than a doubling there are two at
    most in the long run, since the second has room for what the first lacked.

    Args:
        blocks: that a batch has at least; one shape serves full batches and the last.
    """

    def __init__(self, blocks: int):
        self.blocks = blocks
        self.known: list[Shape] = []

    def choose(self, need: Shape, *, exact: bool = False) -> Shape:
        """A shape that holds `need`; a new one has room for a little more, or `exact`, for nothing more."""
        wanted = self._with_room(need, 0.0 if exact else SLACK)
        fitting = [s for s in self.known if s.holds(need) and s.places <= 2 * wanted.places]
        if fitting:
            return min(fitting, key=lambda s: s.places)
        alike = [s for s in self.known if s.grouping == need.grouping]
        near = [s for s in alike if wanted.places <= 2 * s.places and s.places <= 2 * wanted.places]
        if near:
            wanted = self._with_room(_hull([need, *near]), MORE)
        self.known.append(wanted)
        return wanted

    def _with_room(self, need, slack):
        blocks = self.blocks if need.blocks <= self.blocks else capacity(need.blocks, slack=slack)
        widths = tuple(capacity(max(n, 1), slack=slack, step=4 if slack else 2) for n in need.neighbours)
        return Shape(blocks, need.block, widths, need.grouping)


def _hull(shapes):
    widths = zip_longest(*(s.neighbours for s in shapes), fillvalue=0)
    return shapes[0]._replace(blocks=max(s.blocks for s in shapes), neighbours=tuple(max(w) for w in widths))
