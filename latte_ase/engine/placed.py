"""A pair list and its arrays on the device: where every atom is, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from latte_ase.engine.threads import Part
from latte_ase.geometry.graph import Graph, Layout, Shape
from latte_ase.geometry.neighbours import VerletList
from latte_ase.model.domain import Suspects


@dataclass(frozen=True)
class Placed:
    """A pair list and its place on the device.

    Attributes:
        verlet: the list, and the rule for its use.
        layout, shape: where atoms and pairs are, and the bucket.
        arrays: padded numpy arrays, all blocks.
        parts: the same on the device, cut into parts for the threads.
        reverse: per group, the index of reverse pairs of all blocks, on the device; none for one part.
        suspects: pairs that may leave the model's domain.
        references: (atoms,) float64 E0 in eV.
        put: moves arrays to the device.
    """

    verlet: VerletList
    layout: Layout
    shape: Shape
    arrays: Graph
    parts: list[Part]
    reverse: tuple
    suspects: Suspects
    references: np.ndarray
    put: Callable

    @property
    def used(self):
        """() int32, number of blocks that hold atoms."""
        return np.int32(self.layout.need.blocks)

    @cached_property
    def graph(self) -> Graph:
        """All blocks on the device."""
        return self.parts[0].graph if len(self.parts) == 1 else self.put(self.arrays)

    def spread(self, values, dtype):
        """(atoms, ...) to (blocks, block, ...); padding is 0."""
        size = self.shape.blocks * self.shape.block
        spread = np.zeros((size, *values.shape[1:]), dtype)
        spread[self.layout.place] = values
        return spread.reshape(self.shape.blocks, self.shape.block, *values.shape[1:])

    def joined(self, results):
        """(blocks, ...) from the results of all parts."""
        values = [np.asarray(r)[: int(p.used)] for r, p in zip(results, self.parts, strict=True)]
        room = np.zeros((self.shape.blocks - int(self.used), *values[0].shape[1:]), values[0].dtype)
        return np.concatenate([*values, room])

    def gather(self, values):
        """The inverse, in float64."""
        return values.reshape(-1, *values.shape[2:])[self.layout.place].astype(np.float64)

    def total(self, energies):
        """Site energies (atoms,) in eV with E0, from those of the network in the order of the graph."""
        return self.references + self.gather(energies)
