"""Padded arrays of a structure, or of several: the one data structure on the device.

Layout.  Atoms are sorted by species and cut into blocks of equal size that hold one species
each, so that everything that depends on the central species is looked up once per block.  The
neighbours of an atom are grouped by their species, most frequent first: group q of an atom holds
its q-th most frequent neighbour species, so that everything that depends on the neighbour
species is looked up once per group.  That pays for a few species; `Grouping` has the others.

Padding.  A padded place holds a neighbour at `FAR`, beyond any cutoff, where every radial
function and all its derivatives are exactly 0.  There is no other mask on pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np

from latte_ase.geometry.neighbours import Pairs

FAR = 1.0e4
"""Distance in Angstrom of a padded neighbour."""


class Grouping(StrEnum):
    """What has one species.

    SPECIES: every block of atoms, and every group of neighbours of an atom.
    BLOCKS: every block; the neighbours stand in one group.
    MIXED: nothing; all that depends on species is looked up atom by atom and pair by pair.
    """

    SPECIES = "species"
    BLOCKS = "blocks"
    MIXED = "mixed"


class Group(NamedTuple):
    """One group of neighbours of every atom: those of one species, or all.

    Attributes:
        edges: (blocks, block, k, 3) float, D0 in Angstrom at the list build; `FAR` where padded.
        neighbour: (blocks, block, k) int32, place of the neighbour in the flat atom order.
        reverse: (blocks, block, k) int32, place of the reverse pair among the pairs of all groups,
            flattened one group after the other; a padded place points at itself.
        species: (blocks, block) int32, the neighbours' species; of a group of all (blocks, block, k).
    """

    edges: np.ndarray
    neighbour: np.ndarray
    reverse: np.ndarray
    species: np.ndarray


class Graph(NamedTuple):
    """What the compiled functions take.

    Attributes:
        species: (blocks,) int32, the species of the atoms of a block; in `Grouping.MIXED` (blocks, block).
        is_atom: (blocks, block) float, 1 for an atom that counts in the energy, 0 for padding.
        structure: (blocks, block) int32, the structure that an atom belongs to; padding says 0.
        groups: the neighbours, in groups of one species each, or in one group.
    """

    species: np.ndarray
    is_atom: np.ndarray
    structure: np.ndarray
    groups: tuple[Group, ...]


class Shape(NamedTuple):
    """The bucket: sizes of the padded arrays.  Equal shapes share one compiled function.

    Attributes:
        blocks: number of blocks of atoms.
        block: atoms in a block.
        neighbours: capacity of every group.
        grouping: what has one species.
    """

    blocks: int
    block: int
    neighbours: tuple[int, ...]
    grouping: Grouping = Grouping.SPECIES

    def holds(self, need: Shape) -> bool:
        """True if a graph that needs `need` fits in."""
        mine = self.neighbours + (0,) * (len(need.neighbours) - len(self.neighbours))
        return (
            self.block == need.block
            and self.grouping == need.grouping
            and self.blocks >= need.blocks
            and all(a >= b for a, b in zip(mine, need.neighbours, strict=False))
        )

    @property
    def places(self) -> int:
        """Number of places for pairs."""
        return self.blocks * self.block * sum(self.neighbours)


class Layout(NamedTuple):
    """Where every atom and every pair goes, before any padding is chosen.

    Attributes:
        need: the smallest `Shape` that fits.
        species: (atoms,) species of each atom.
        place: (atoms,) place of each atom in the flat atom order.
        group: (pairs,) group of each pair.
        rank: (pairs,) place of each pair within its atom's group.
        group_species: (atoms, groups) species of the groups of each atom; nothing where a group has many.
    """

    need: Shape
    species: np.ndarray
    place: np.ndarray
    group: np.ndarray
    rank: np.ndarray
    group_species: np.ndarray


def choose_block(counts) -> int:
    """Atoms per block for these numbers of atoms per species.

    16 from 48 atoms per species on, below 8: a smaller structure would fill half of its blocks with padding.
    Measured for a training step and for forces of water: 16 took 222 and 45 microseconds per atom, 64 took 276
    and 68, since the intermediates of 16 atoms stay in a core's cache.
    """
    counts = [c for c in counts if c]
    return 16 if sum(counts) >= 48 * len(counts) else 8


def lay_out(species, pairs: Pairs, block: int | None = None, *, grouping: Grouping = Grouping.SPECIES) -> Layout:
    """Sort atoms into blocks and neighbours into groups.

    Args:
        species: (atoms,) int, index into the model's elements.
        pairs: the pair list of these atoms.
        block: atoms per block; default `choose_block`.
        grouping: what has one species.
    """
    species = np.asarray(species, np.int64)
    blocks, block, place = _place_atoms(species if grouping is not Grouping.MIXED else 0 * species, block)
    present, local = np.unique(species, return_inverse=True)
    if grouping is not Grouping.SPECIES:
        present, local = present[:1], 0 * local
    kinds = len(present)
    table = np.bincount(pairs.i * kinds + local[pairs.j], minlength=len(species) * kinds)
    table = table.reshape(len(species), kinds)
    by_count = np.argsort(-table, axis=1, kind="stable")  # group -> local species
    group_of = np.argsort(by_count, axis=1, kind="stable")  # local species -> group
    group = group_of[pairs.i, local[pairs.j]]
    key = pairs.i * kinds + group
    by_key = np.argsort(key, kind="stable")
    sizes = np.bincount(key, minlength=len(species) * kinds)
    rank = np.empty(len(key), np.int64)
    rank[by_key] = np.arange(len(key)) - (np.cumsum(sizes) - sizes)[key[by_key]]
    widths = sizes.reshape(len(species), kinds).max(axis=0, initial=0)
    need = Shape(blocks, block, tuple(int(c) for c in widths if c) or (0,), grouping)
    return Layout(need, species, place, group, rank, present[by_count][:, : len(need.neighbours)])


def _place_atoms(kinds, block):
    """Blocks of atoms of one kind: how many, their size, and the place of each atom."""
    local = np.unique(kinds, return_inverse=True)[1]
    counts = np.bincount(local)
    block = block or choose_block(counts)
    blocks_of = -(-counts // block)
    first_block = np.cumsum(blocks_of) - blocks_of
    order = np.argsort(local, kind="stable")
    within = np.arange(len(local)) - (np.cumsum(counts) - counts)[local[order]]
    place = np.empty(len(local), np.int64)
    place[order] = first_block[local[order]] * block + within
    return int(blocks_of.sum()), block, place


def fill(layout: Layout, pairs: Pairs, structure, shape: Shape, dtype) -> Graph:
    """Write a laid-out pair list into arrays of the given shape.

    Args:
        layout: from `lay_out`.
        pairs: the same pair list.
        structure: (atoms,) int, index of the structure of each atom.
        shape: a bucket that holds `layout.need`.
        dtype: of the edge vectors.
    """
    size = shape.blocks * shape.block
    capacity = np.array(shape.neighbours, np.int64)
    offset = size * (np.cumsum(capacity) - capacity)
    flat = _places_of_pairs(layout, pairs.i, shape)

    total = size * int(capacity.sum())
    edges = np.zeros((total, 3), dtype)
    edges[:, 0] = FAR
    edges[flat] = pairs.edge
    reverse = np.arange(total, dtype=np.int32)
    reverse[flat] = flat[pairs.reverse]
    neighbour = np.empty(total, np.int32)
    for start, width in zip(offset, capacity, strict=True):
        neighbour[start : start + size * width] = np.repeat(np.arange(size, dtype=np.int32), width)
    neighbour[flat] = layout.place[pairs.j]

    leading = (shape.blocks, shape.block)
    species, is_atom, owner = np.zeros(size, np.int32), np.zeros(size, dtype), np.zeros(size, np.int32)
    species[layout.place], is_atom[layout.place], owner[layout.place] = layout.species, 1, structure
    groups = []
    for q, (start, width) in enumerate(zip(offset, capacity, strict=True)):
        rows = slice(int(start), int(start + size * width))
        groups.append(
            Group(
                edges[rows].reshape(*leading, width, 3),
                neighbour[rows].reshape(*leading, width),
                reverse[rows].reshape(*leading, width),
                _kinds(layout, neighbour[rows], species, q, shape),
            )
        )
    species = species.reshape(leading)
    if shape.grouping is not Grouping.MIXED:
        species = species[:, 0]  # every block begins with an atom, or is empty
    return Graph(species, is_atom.reshape(leading), owner.reshape(leading), tuple(groups))


def _places_of_pairs(layout: Layout, i, shape: Shape):
    """(pairs,) int, where pairs with these centres are among the places of all groups, one after the other."""
    capacity = np.array(shape.neighbours, np.int64)
    offset = shape.blocks * shape.block * (np.cumsum(capacity) - capacity)
    return offset[layout.group] + layout.place[i] * capacity[layout.group] + layout.rank


def _kinds(layout: Layout, neighbour, species, q: int, shape: Shape):
    """Species of the neighbours in group q."""
    leading = (shape.blocks, shape.block)
    if shape.grouping is not Grouping.SPECIES:
        return species[neighbour].reshape(*leading, -1)
    kind = np.zeros(len(species), np.int32)
    if q < layout.group_species.shape[1]:
        kind[layout.place] = layout.group_species[:, q]
    return kind.reshape(leading)


class Packed(NamedTuple):
    """A graph on the host, and where each atom is in it.

    Attributes:
        graph: padded arrays of one or several structures.
        layout: where atoms and pairs are.
        shape: the bucket.
    """

    graph: Graph
    layout: Layout
    shape: Shape

    @property
    def used(self) -> np.int32:
        """Number of blocks that hold atoms, the first ones."""
        return np.int32(self.layout.need.blocks)

    @property
    def padding_waste(self) -> float:
        """Share of the places for pairs, in blocks that are in use, that is empty."""
        return 1 - len(self.layout.group) / max(self.shape._replace(blocks=self.layout.need.blocks).places, 1)

    def spread(self, values, dtype):
        """Values of atoms (atoms, ...) in the order of the graph, (blocks, block, ...); 0 where padded."""
        spread = np.zeros((self.shape.blocks * self.shape.block, *values.shape[1:]), dtype)
        spread[self.layout.place] = values
        return spread.reshape(self.shape.blocks, self.shape.block, *values.shape[1:])

    def gather(self, values):
        """Values in the order of the graph, (blocks, block, ...), as those of atoms, (atoms, ...) in float64."""
        return values.reshape(-1, *values.shape[2:])[self.layout.place].astype(np.float64)

    def gather_pairs(self, i, groups):
        """Values of pairs in the order of the graph, per group (used blocks, block, k, ...), as (pairs, ...) in the list's.

        Args:
            i: (pairs,) int, centres of the pairs.
            groups: what a graph of the same blocks in use gave.
        """
        flat = _places_of_pairs(self.layout, i, self.shape._replace(blocks=int(self.used)))
        return np.concatenate([values.reshape(-1, *values.shape[3:]) for values in groups])[flat]


def pack(
    species,
    pairs: Pairs,
    choose: Callable[[Shape], Shape],
    dtype,
    *,
    structure: Any = 0,
    block: int | None = None,
    grouping: Grouping = Grouping.SPECIES,
) -> Packed:
    """Graph of bare arrays.

    Args:
        species: (atoms,) int, index into the model's elements.
        pairs: of these atoms.
        choose: the bucket for what is needed, such as `buckets.Buckets.choose`.
        dtype: of the edge vectors.
        structure: (atoms,) int, index of the structure of each atom; 0 for one structure.
        block: atoms per block; default `choose_block`.
        grouping: what has one species.
    """
    layout = lay_out(species, pairs, block, grouping=grouping)
    shape = choose(layout.need)
    return Packed(fill(layout, pairs, structure, shape, dtype), layout, shape)


def join(pair_lists: Sequence[Pairs], sizes: Sequence[int]) -> tuple[Pairs, np.ndarray]:
    """One pair list for several structures side by side.

    Args:
        pair_lists: one per structure.
        sizes: their numbers of atoms.

    Returns:
        The joined `Pairs`, and (atoms,) int, the structure of each atom.
    """
    atoms = np.cumsum(sizes) - sizes
    counts = np.array([len(p.i) for p in pair_lists])
    starts = np.cumsum(counts) - counts
    add = np.repeat(atoms, counts)
    joined = Pairs(
        np.concatenate([p.i for p in pair_lists]) + add,
        np.concatenate([p.j for p in pair_lists]) + add,
        np.concatenate([p.shift for p in pair_lists]),
        np.concatenate([p.edge for p in pair_lists]),
        np.concatenate([p.reverse for p in pair_lists]) + np.repeat(starts, counts),
    )
    return joined, np.repeat(np.arange(len(sizes)), sizes)
