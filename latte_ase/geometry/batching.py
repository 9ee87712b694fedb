"""Batches of similar structures from a stream.

Structures of one kind are collected until they fill a batch.  The number of structures held back is bounded, so a
stream of any length needs a bounded amount of memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ase import Atoms

from latte_ase.geometry.all_pairs import is_molecule
from latte_ase.geometry.structure import Structure

HELD = 16
"""Batches whose structures may wait for others of their kind."""


class Numbered(NamedTuple):
    """Structure with its index in the stream."""

    index: int
    atoms: Atoms | Structure


def batches(structures: Iterable[Atoms | Structure], size: int) -> Iterator[list[Numbered]]:
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
