"""Graphs: padded arrays of one or several structures, the data structure on the device.

Layout.  Atoms are sorted by species and divided into blocks of equal size and one species each, so that parameters of
the central species are looked up once per block.  The neighbours of an atom are grouped by species, the most frequent
first: group q of an atom holds its q-th most frequent neighbour species, so that parameters of the neighbour species are
looked up once per group.  This is efficient for a few species; `Grouping` has the alternatives.

Padding.  A padded place holds a neighbour at the distance `FAR`, beyond any cutoff, where every radial function and all
its derivatives are exactly 0.  There is no other mask on pairs.
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
    """Grouping of atoms and neighbours by species.

    - SPECIES: every block of atoms has one species, and every group of neighbours of an atom.
    - BLOCKS: every block has one species; all neighbours of an atom are in one group.
    - MIXED: neither has one species; parameters are looked up for every atom and every pair.
    """

    SPECIES = "species"
    BLOCKS = "blocks"
    MIXED = "mixed"


class Group(NamedTuple):
    """Group of neighbours of every atom: those of one species, or all of them.

    Attributes:
        edges: (blocks, block, k, 3) float, pair vectors D0 in Angstrom when the list was built; `FAR` where padded.
        neighbour: (blocks, block, k) int32, index of the neighbour in the flat atom order.
        reverse: (blocks, block, k) int32, index of the reverse pair among the pairs of all groups, which are flattened
            one after the other; a padded place refers to itself.
        species: (blocks, block) int32, species of the neighbours; (blocks, block, k) for a group of all species.
    """

    edges: np.ndarray
    neighbour: np.ndarray
    reverse: np.ndarray
    species: np.ndarray


class Graph(NamedTuple):
    """Input of the compiled functions: atoms in blocks, and their neighbours.

    Attributes:
        species: (blocks,) int32, species of the atoms of a block; (blocks, block) with `Grouping.MIXED`.
        is_atom: (blocks, block) float, 1 for an atom that contributes to the energy, 0 for padding.
        structure: (blocks, block) int32, index of the structure of an atom; 0 for padding.
        groups: the neighbours, in groups of one species each, or in one group.
    """

    species: np.ndarray
    is_atom: np.ndarray
    structure: np.ndarray
    groups: tuple[Group, ...]


class Shape(NamedTuple):
    """Sizes of the padded arrays of a graph, a bucket.  Graphs of equal shape share compiled functions.

    Attributes:
        blocks: number of blocks of atoms.
        block: number of atoms of a block.
        neighbours: capacity of every group.
        grouping: grouping by species.
    """

    blocks: int
    block: int
    neighbours: tuple[int, ...]
    grouping: Grouping = Grouping.SPECIES

    def holds(self, need: Shape) -> bool:
        """Whether a graph that needs the sizes `need` fits into this shape."""
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
    """Positions of atoms and pairs in a graph, before its shape is chosen.

    Attributes:
        need: the smallest `Shape` that fits.
        species: (atoms,) species of each atom.
        place: (atoms,) index of each atom in the flat atom order.
        group: (pairs,) group of each pair.
        rank: (pairs,) index of each pair within the group of its atom.
        group_species: (atoms, groups) species of the groups of each atom, where a group has one species.
    """

    need: Shape
    species: np.ndarray
    place: np.ndarray
    group: np.ndarray
    rank: np.ndarray
    group_species: np.ndarray


def choose_block(counts) -> int:
    """Number of atoms per block, for the numbers of atoms of each species.

    It is 16 from 48 atoms per species on, and 8 below, where larger blocks would be half padding.  A training step and
    forces of water took 222 and 45 microseconds per atom with 16 atoms, and 276 and 68 with 64, since the intermediate
    arrays of 16 atoms fit into the cache of a core.
    """
    counts = [c for c in counts if c]
    return 16 if sum(counts) >= 48 * len(counts) else 8


def lay_out(species, pairs: Pairs, block: int | None = None, *, grouping: Grouping = Grouping.SPECIES) -> Layout:
    """Layout of atoms in blocks and of their neighbours in groups.

    Args:
        species: (atoms,) int, indices into the elements of the model.
        pairs: neighbour list of these atoms.
        block: number of atoms per block; default `choose_block`.
        grouping: grouping by species.
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
    """Number of blocks of atoms of one kind, their size, and the index of each atom."""
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
    """Graph of a neighbour list, in arrays of a given shape.

    Args:
        layout: layout of the list, from `lay_out`.
        pairs: the neighbour list.
        structure: (atoms,) int, index of the structure of each atom.
        shape: a shape that holds `layout.need`.
        dtype: type of the pair vectors.
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
    """Indices (pairs,) of pairs with these centres among the places of all groups, one group after the other."""
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
    """Graph on the host with its layout.

    Attributes:
        graph: padded arrays of one or several structures.
        layout: positions of atoms and pairs.
        shape: sizes of the arrays.
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
        """Fraction of the places for pairs, in blocks that are in use, that is empty."""
        return 1 - len(self.layout.group) / max(self.shape._replace(blocks=self.layout.need.blocks).places, 1)

    def spread(self, values, dtype):
        """Values of atoms (atoms, ...) in the order of the graph, (blocks, block, ...); 0 where padded."""
        spread = np.zeros((self.shape.blocks * self.shape.block, *values.shape[1:]), dtype)
        spread[self.layout.place] = values
        return spread.reshape(self.shape.blocks, self.shape.block, *values.shape[1:])

    def gather(self, values):
        """Values of atoms (atoms, ...) in float64, from values in the order of the graph (blocks, block, ...)."""
        return values.reshape(-1, *values.shape[2:])[self.layout.place].astype(np.float64)

    def gather_pairs(self, i, groups):
        """Values of pairs (pairs, ...) in the order of the list, from values in the order of the graph.

        Args:
            i: (pairs,) int, centres of the pairs.
            groups: one array (used blocks, block, k, ...) per group.
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
    """Graph of atoms given as arrays.

    Args:
        species: (atoms,) int, indices into the elements of the model.
        pairs: neighbour list of these atoms.
        choose: function that gives the bucket for the sizes needed, such as `buckets.Buckets.choose`.
        dtype: type of the pair vectors.
        structure: (atoms,) int, index of the structure of each atom; 0 for one structure.
        block: number of atoms per block; default `choose_block`.
        grouping: grouping by species.
    """
    layout = lay_out(species, pairs, block, grouping=grouping)
    shape = choose(layout.need)
    return Packed(fill(layout, pairs, structure, shape, dtype), layout, shape)


def join(pair_lists: Sequence[Pairs], sizes: Sequence[int]) -> tuple[Pairs, np.ndarray]:
    """Neighbour list of several structures together.

    Args:
        pair_lists: neighbour lists of the structures.
        sizes: their numbers of atoms.

    Returns:
        The joined list, and the index of the structure of each atom, (atoms,) int.
    """
    if not pair_lists:
        none, vectors = np.zeros(0, np.int64), np.zeros((0, 3))
        return Pairs(none, none, vectors.astype(np.int64), vectors, none), none
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
