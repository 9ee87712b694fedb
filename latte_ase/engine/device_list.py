"""Pair lists of an engine on its device: reused while that is exact, in few shapes.

Shapes grow geometrically and are kept, so that few are ever compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from latte_ase.engine import out_of_memory
from latte_ase.engine.placed import Placed
from latte_ase.engine.stats import Stats
from latte_ase.engine.threads import parts_of, split
from latte_ase.geometry.graph import Shape, block_capacity, capacity, fill, lay_out
from latte_ase.geometry.neighbours import VerletList, equal
from latte_ase.model.potential import Potential

SLACK = 0.08
"""Room left in a new bucket of neighbours, as a fraction, and for two more at least: densities fluctuate."""

SMALLEST = Shape(blocks=4, block=8, neighbours=(8,))
"""Every bucket has room for this: compiling one more for a smaller structure would not pay."""

FEW = 3
"""Groups of neighbours up to which each has the room of `SMALLEST`."""


class Target(NamedTuple):
    """Where lists go.

    Attributes:
        device: of JAX.
        dtype: of distances.
        threads: how many share the work; a list is cut into as many parts.
        put: moves arrays to the device.
    """

    device: Any
    dtype: np.dtype
    threads: int
    put: Callable


class PairLists:
    """The present pair list, and the buckets that are known.

    Args:
        potential: whose cutoff, elements and domain count.
        skin: Angstrom added to the cutoff.
        target: where lists go.
        stats: counters, which are kept up to date.

    Attributes:
        shapes: buckets; a list takes one that fits, or adds one.
        placed: the present list, None before the first.
    """

    def __init__(self, potential: Potential, *, skin: float, target: Target, stats: Stats):
        self.potential, self.skin, self.target, self.stats = potential, skin, target, stats
        self.shapes: list[Shape] = []
        self.placed: Placed | None = None
        self._last: tuple | None = None

    def place(self, atoms):
        """The list of a structure, and what moved since it was built.

        Args:
            atoms: the structure.

        Returns:
            `Placed`; u (atoms, 3) in Angstrom; F (3, 3).

        Raises:
            ValueError: no atoms, an unknown element, a position that is not finite, a bad cell.
        """
        if len(atoms) == 0:
            raise ValueError("The structure has no atoms; at least one is needed.")
        asked = (atoms.positions, atoms.cell.array, atoms.numbers, atoms.pbc)  # what changes most stands first
        if self._last is not None and all(map(equal, asked, self._last[0])):
            return self._last[1]
        placed = self.placed
        motion = None if placed is None else placed.verlet.motion(atoms)
        if placed is None or motion is None:
            self.placed = placed = self._build(atoms)
            motion = np.zeros((len(atoms), 3)), np.eye(3)
        # the domain, the energies and the forces of one structure are asked for one after the other
        self._last = tuple(array.copy() for array in asked), (placed, *motion)
        return placed, *motion

    def adopt(self, other: PairLists) -> None:
        """Take over the list of another one, as if it had been built here, and its buckets."""
        self.placed = other.placed
        self.shapes = list(dict.fromkeys([*self.shapes, *other.shapes]))
        self.stats.list_builds += 1
        self.stats.padding_waste = other.stats.padding_waste

    def _build(self, atoms) -> Placed:
        species, (device, dtype, threads, put) = self.potential.species(atoms.numbers), self.target
        verlet = VerletList.build(atoms, cutoff=self.potential.cutoff, skin=self.skin)
        grouping = self.potential.architecture.descriptor.grouping(len(np.unique(species)))
        layout = lay_out(species, verlet.pairs, grouping=grouping)
        shape = self._choose(layout.need)
        graph = fill(layout, verlet.pairs, np.zeros(len(species), np.int64), shape, dtype)
        suspects = self.potential.domain.suspects(species, verlet.pairs, self.skin)
        self.stats.list_builds += 1
        self.stats.padding_waste = 1 - len(verlet.pairs.i) / shape._replace(blocks=layout.need.blocks).places
        count = parts_of(shape.blocks, threads)
        with out_of_memory.explained(len(species), len(verlet.pairs.i), device=device, dtype=dtype):
            parts = [p._replace(graph=put(p.graph)) for p in split(graph, layout.need.blocks, count)]
            reverse = put(tuple(group.reverse for group in graph.groups)) if count > 1 else ()
        references = self.potential.reference_energies[species]
        return Placed(verlet, layout, shape, graph, parts, reverse, suspects, references, put)

    def _choose(self, need: Shape) -> Shape:
        """The known bucket that serves `need` best without much waste, else a new one.

        Blocks that are not in use cost memory and a little time, empty places in used blocks cost time.
        """
        blocks = block_capacity(max(need.blocks, SMALLEST.blocks))
        parts = parts_of(blocks, self.target.threads)
        if len(need.neighbours) <= FEW:
            neighbours = tuple(capacity(max(n + 2, SMALLEST.neighbours[0], n * (1 + SLACK))) for n in need.neighbours)
        else:  # most of many groups hold one or two neighbours, and rounding each one up would be most of the work
            neighbours = tuple(capacity(n, slack=SLACK, step=1) for n in need.neighbours)
        new = need._replace(blocks=-(-blocks // parts) * parts, neighbours=neighbours)
        width = sum(new.neighbours)
        fitting = [s for s in self.shapes if s.holds(need) and sum(s.neighbours) <= 1.5 * width]
        fitting = [s for s in fitting if s.blocks <= 4 * new.blocks]
        if fitting:
            return min(fitting, key=lambda s: sum(s.neighbours) * (need.blocks + 0.2 * s.blocks))
        self.shapes.append(new)
        return new
