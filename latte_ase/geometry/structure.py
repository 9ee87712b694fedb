"""A structure as it was at one moment: what an interatomic potential reads of ase.Atoms, copied."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.cell import Cell

from latte_ase.geometry.neighbours import equal


@dataclass(frozen=True, slots=True)
class Structure:
    """Positions, cell, atomic numbers and periodicity, under the names of ase.Atoms; a tenth of the cost of `Atoms.copy`.

    Attributes:
        positions: (atoms, 3) float64 Angstrom.
        cell: lattice vectors as rows, Angstrom.
        numbers: (atoms,) atomic numbers.
        pbc: (3,) bool.
    """

    positions: np.ndarray
    cell: Cell
    numbers: np.ndarray
    pbc: np.ndarray

    @classmethod
    def of(cls, atoms: Atoms) -> Structure:
        """A copy of what `atoms` are now."""
        return cls(atoms.positions.copy(), atoms.cell.copy(), atoms.numbers.copy(), atoms.pbc.copy())

    def is_same(self, atoms: Atoms) -> bool:
        """Whether `atoms` are this structure still, to the last bit."""
        return (
            equal(atoms.positions, self.positions)
            and equal(atoms.cell.array, self.cell.array)
            and equal(atoms.numbers, self.numbers)
            and equal(atoms.pbc, self.pbc)
        )

    def __len__(self) -> int:
        return len(self.numbers)
