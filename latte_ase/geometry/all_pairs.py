"""Neighbour lists and graphs of many small molecules at once, from all pairs of their atoms.

For a small molecule the distances of all pairs are computed faster than a cell list.  Where most pairs are within the
cutoff, one graph with all pairs serves every frame of the molecule: a pair beyond the cutoff contributes exactly 0, so
only the pair vectors change from frame to frame.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms

from latte_ase.geometry.graph import FAR, Graph, Grouping, Layout, Shape, fill, lay_out
from latte_ase.geometry.neighbours import Pairs
from latte_ase.geometry.structure import Structure

LARGEST = 100
"""Largest number of atoms of a molecule; for more, a cell list is faster."""


def is_molecule(atoms: Atoms | Structure) -> bool:
    """Whether a structure is small and not periodic."""
    return len(atoms) <= LARGEST and not atoms.pbc.any()


def molecule_pairs(positions, sizes, cutoff: float) -> Pairs:
    """Neighbour list of many molecules together, from all distances inside each.

    Args:
        positions: (atoms, 3) in Angstrom, one structure after the other.
        sizes: (structures,) numbers of atoms.
        cutoff: in Angstrom.

    Returns:
        The joined list of the structures.
    """
    sizes = np.asarray(sizes)
    starts = np.cumsum(sizes) - sizes
    widest = int(sizes.max())
    inside = np.arange(widest) < sizes[:, None]
    squared = np.zeros((len(sizes), widest, widest))
    for x in positions.T:
        padded = np.full(inside.shape, np.nan)  # comparisons with nan are false
        padded[inside] = x
        difference = padded[:, None, :] - padded[:, :, None]
        difference *= difference
        squared += difference
    near = squared < cutoff**2
    near[:, np.arange(widest), np.arange(widest)] = False
    flat = np.flatnonzero(near)
    structure, within = np.divmod(flat, widest**2)
    a, b = np.divmod(within, widest)
    rank = np.empty(near.size, np.int64)
    rank[flat] = np.arange(len(flat))
    i, j = starts[structure] + a, starts[structure] + b
    reverse = rank[(structure * widest + b) * widest + a]
    return Pairs(i, j, np.zeros((len(i), 3), np.int64), positions[j] - positions[i], reverse)


class Frames(NamedTuple):
    """The graph of several frames of one molecule, but for the edge vectors.

    Attributes:
        copies: number of frames.
        layout: of all of them side by side.
        graph: with edges that mean nothing.
        centre, neighbour: per group (blocks, block, k) int, the atoms of a pair; two places after the
            last atom, `FAR` apart, where padded.
        pairs: number of pairs.
    """

    copies: int
    layout: Layout
    shape: Shape
    graph: Graph
    centre: tuple[np.ndarray, ...]
    neighbour: tuple[np.ndarray, ...]
    pairs: int

    def with_positions(self, positions) -> Graph:
        """The graph of at most `copies` frames (atoms, 3); the rest repeats them."""
        atoms, given = len(self.layout.place), len(positions)
        where = np.empty((atoms + 2, 3))
        for start in range(0, atoms, given):
            where[start : min(start + given, atoms)] = positions[: atoms - start]
        where[atoms:] = 0.0
        where[atoms + 1, 0] = FAR
        groups = []
        for group, i, j in zip(self.graph.groups, self.centre, self.neighbour, strict=True):
            edges = np.empty(group.edges.shape, group.edges.dtype)
            np.subtract(where.take(j, axis=0), where.take(i, axis=0), out=edges, casting="same_kind")
            groups.append(group._replace(edges=edges))
        return self.graph._replace(groups=tuple(groups))


def frames_of(
    species, copies: int, block: int, choose: Callable[[Shape], Shape], dtype, *, grouping=Grouping.SPECIES
) -> Frames:
    """The graph of `copies` frames of a molecule with all pairs, whatever their distance.

    Args:
        species: (atoms,) int of one molecule.
        copies: number of frames.
        block: atoms per block.
        choose: gives a shape that holds what is needed.
        dtype: of the edge vectors.
        grouping: what has one species.
    """
    everyone = np.tile(species, copies)
    pairs = molecule_pairs(np.zeros((len(everyone), 3)), [len(species)] * copies, np.inf)
    layout = lay_out(everyone, pairs, block, grouping=grouping)
    shape = choose(layout.need)
    graph = fill(layout, pairs, 0, shape, dtype)
    # the same places filled with the numbers of the two atoms instead of edge vectors
    names = np.column_stack([pairs.i, pairs.j, np.ones(len(pairs.i))])
    named: Any = fill(layout, pairs._replace(edge=names), 0, shape, np.float64).groups
    real = [group.edges[..., 2] == 1 for group in named]
    centre = [np.where(r, g.edges[..., 0], len(everyone)).astype(np.int64) for r, g in zip(real, named, strict=True)]
    other = [np.where(r, g.edges[..., 1], len(everyone) + 1).astype(np.int64) for r, g in zip(real, named, strict=True)]
    return Frames(copies, layout, shape, graph, tuple(centre), tuple(other), len(pairs.i))
