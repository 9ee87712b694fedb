"""Frames of a live simulation: a structure, and its state at one time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms

from latte_ase.simulate.pull import Pull


class LiveStructure:
    """Atoms without what moves; not changed once it is made.

    Args:
        atoms: as given by the user; constraints other than FixAtoms are refused by the dynamics.
        revision: number of this structure in the session.

    Attributes:
        revision: number of this structure in the session.
        fixed: (atoms,) bool.
    """

    def __init__(self, atoms: Atoms, revision: int):
        self._atoms, self.revision = atoms.copy(), revision
        self.numbers, self.masses, self.pbc = atoms.numbers.copy(), atoms.get_masses(), atoms.pbc.copy()
        self.symbols = atoms.get_chemical_symbols()
        self.fixed = np.zeros(len(atoms), bool)
        for constraint in atoms.constraints:
            if isinstance(constraint, FixAtoms):
                self.fixed[constraint.index] = True
        self.mobile = int((~self.fixed).sum())

    def __len__(self):
        return len(self.numbers)

    def atoms(self, positions, cell, momenta) -> Atoms:
        """The atoms elsewhere."""
        atoms = self._atoms.copy()
        atoms.set_cell(cell)
        atoms.positions[:] = positions
        atoms.set_momenta(momenta, apply_constraint=False)
        return atoms

    def kinetic_energy(self, momenta) -> float:
        """Kinetic energy in eV of momenta (atoms, 3)."""
        return float(((momenta**2).sum(axis=1) / (2 * np.maximum(self.masses, 1e-300))).sum())

    def temperature(self, kinetic: float) -> float:
        """Temperature in Kelvin, with three degrees of freedom for each mobile atom."""
        return 2 * kinetic / (3 * max(self.mobile, 1) * units.kB)


class Moment(NamedTuple):
    """What moves: as much as it takes to go on from there.

    Attributes:
        structure: the atoms.
        time: in ASE's unit.
        positions: (atoms, 3) Angstrom.
        cell: (3, 3) Angstrom.
        momenta: (atoms, 3) in ASE's unit.
    """

    structure: LiveStructure
    time: float
    positions: np.ndarray
    cell: np.ndarray
    momenta: np.ndarray

    def atoms(self) -> Atoms:
        """ase.Atoms there, without results."""
        return self.structure.atoms(self.positions, self.cell, self.momenta)


@dataclass(frozen=True)
class LiveFrame:
    """A finished step with its results.

    Attributes:
        number: of the frame in the session; it grows.
        moment: the atoms.
        computed: results of the calculator, without the pulls.
        pulls: on the atoms.
        pull_energy: their energy, eV.
        pull_forces: (pulls, 3) their forces, eV/Angstrom.
    """

    number: int
    moment: Moment
    computed: dict[str, Any]
    pulls: tuple[Pull, ...]
    pull_energy: float
    pull_forces: np.ndarray

    @property
    def structure(self) -> LiveStructure:
        """The atoms without what moves."""
        return self.moment.structure

    @property
    def time_fs(self) -> float:
        """Simulated time in fs."""
        return self.moment.time / units.fs

    @property
    def kinetic_energy(self) -> float:
        """Kinetic energy in eV."""
        return self.structure.kinetic_energy(self.moment.momenta)

    def results(self) -> dict[str, Any]:
        """Results of the calculator, without the pulls."""
        return self.computed

    def atoms(self) -> Atoms:
        """ase.Atoms with results and the time in fs, which belong to whoever asks."""
        atoms = self.moment.atoms()
        atoms.info["time_fs"] = self.time_fs
        atoms.calc = SinglePointCalculator(
            atoms, **{k: np.array(v) if np.ndim(v) else v for k, v in self.computed.items()}
        )
        return atoms
