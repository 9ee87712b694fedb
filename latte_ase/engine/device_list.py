"""Neighbour list of one structure on the device, reused while it is complete, in few shapes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from latte_ase.engine import out_of_memory
from latte_ase.engine.domain_watch import DomainWatch
from latte_ase.engine.evaluator import Stats
from latte_ase.engine.parts import Part, split
from latte_ase.geometry.buckets import Buckets, parts_of
from latte_ase.geometry.graph import Graph, Packed, Shape, pack
from latte_ase.geometry.neighbours import VerletList, equal
from latte_ase.model.potential import Potential
from latte_ase.model.program import Motion

SMALLEST = Shape(blocks=4, block=8, neighbours=(8,))
"""Every bucket has room for this: compiling one more for a smaller structure would not pay."""


@dataclass(frozen=True)
class DeviceList:
    """A pair list and its arrays on the device.

    Attributes:
        verlet: the list, and the rule for its reuse.
        packed: padded numpy arrays, all blocks, and where each atom is in them.
        parts: the same on the device, cut into parts for the threads.
        reverse: per group, the index of reverse pairs of all blocks, on the device; none for one part.
        watch: compares the structure with the model's domain.
        references: (atoms,) float64 E0 in eV.
        put: moves arrays to the device.
    """

    verlet: VerletList
    packed: Packed
    parts: list[Part]
    reverse: tuple
    watch: DomainWatch
    references: np.ndarray
    put: Callable

    @property
    def shape(self) -> Shape:
        """The bucket."""
        return self.packed.shape

    @cached_property
    def graph(self) -> Graph:
        """All blocks on the device."""
        return self.parts[0].graph if len(self.parts) == 1 else self.put(self.packed.graph)

    def motion(self, displacements, deformation, dtype) -> Motion:
        """Displacements (atoms, 3) and deformation (3, 3) since the list was built, in the order of the graph."""
        return Motion(self.packed.spread(displacements, dtype), deformation.astype(dtype)[None])

    def joined(self, results):
        """(blocks, ...) from the results of all parts."""
        values = [np.asarray(r)[: int(p.used)] for r, p in zip(results, self.parts, strict=True)]
        room = np.zeros((self.shape.blocks - int(self.packed.used), *values[0].shape[1:]), values[0].dtype)
        return np.concatenate([*values, room])

    def total(self, energies):
        """Site energies (atoms,) in eV with E0, from those of the network in the order of the graph."""
        return self.references + self.packed.gather(energies)


class Target(NamedTuple):
    """Device, precision and number of threads for which lists are built.

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
    """Current pair list and known buckets of an engine.

    Args:
        potential: whose cutoff, elements and domain count.
        skin: Angstrom added to the cutoff.
        target: where lists go.
        stats: counters, which are kept up to date.

    Attributes:
        buckets: a list takes one that fits, or adds one.
        present: the list, None before the first.
    """

    def __init__(self, potential: Potential, *, skin: float, target: Target, stats: Stats):
        self.potential, self.skin, self.target, self.stats = potential, skin, target, stats
        self.buckets = Buckets(
            blocks=SMALLEST.blocks,
            neighbours=SMALLEST.neighbours[0],
            spare=2,
            threads=target.threads,
        )
        self.present: DeviceList | None = None
        self._last: tuple | None = None

    def place(self, atoms) -> tuple[DeviceList, np.ndarray, np.ndarray]:
        """Pair list of a structure, and the motion of its atoms since it was built.

        Args:
            atoms: the structure.

        Returns:
            `DeviceList`; u (atoms, 3) in Angstrom; F (3, 3).

        Raises:
            ValueError: no atoms, an unknown element, a position that is not finite, a bad cell.
        """
        if len(atoms) == 0:
            raise ValueError("The structure has no atoms; at least one is needed.")
        asked = (atoms.positions, atoms.cell.array, atoms.numbers, atoms.pbc)  # what changes most stands first
        if self._last is not None and all(map(equal, asked, self._last[0])):
            return self._last[1]
        present = self.present
        motion = None if present is None else present.verlet.motion(atoms)
        if present is None or motion is None:
            self.present = present = self._build(atoms)
            motion = np.zeros((len(atoms), 3)), np.eye(3)
        displacements, deformation = motion
        # the domain, the energies and the forces of one structure are asked for one after the other
        self._last = tuple(array.copy() for array in asked), (present, displacements, deformation)
        return present, displacements, deformation

    def adopt(self, other: PairLists) -> None:
        """Take over the list of another one, as if it had been built here, and its buckets."""
        self.present = other.present
        self.buckets.known = list(dict.fromkeys([*self.buckets.known, *other.buckets.known]))
        self.stats.list_builds += 1
        self.stats.padding_waste = other.stats.padding_waste

    def _build(self, atoms) -> DeviceList:
        species, (device, dtype, threads, put) = self.potential.species(atoms.numbers), self.target
        verlet = VerletList.build(atoms, cutoff=self.potential.cutoff, skin=self.skin)
        grouping = self.potential.architecture.descriptor.grouping(len(np.unique(species)))
        packed = pack(species, verlet.pairs, self.buckets.choose, dtype, grouping=grouping)
        watch = DomainWatch(self.potential.domain, species, verlet)
        self.stats.list_builds += 1
        self.stats.padding_waste = packed.padding_waste
        count = parts_of(packed.shape.blocks, threads)
        with out_of_memory.explained(len(species), len(verlet.pairs.i), device=device, dtype=dtype):
            parts = [p._replace(graph=put(p.graph)) for p in split(packed.graph, int(packed.used), count)]
            reverse = put(tuple(group.reverse for group in packed.graph.groups)) if count > 1 else ()
        references = self.potential.reference_energies[species]
        return DeviceList(verlet, packed, parts, reverse, watch, references, put)
