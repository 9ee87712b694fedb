"""The calculator under test with its samples and tolerances, and how two answers are compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.stress import full_3x3_to_voigt_6_stress

from latte_ase.testing.samples import Samples
from latte_ase.testing.tolerances import Tolerances


class NotApplicable(Exception):
    """A property that this calculator, or these structures, cannot have; the text is the reason."""


class Deviation(NamedTuple):
    """One measured difference.

    Attributes:
        value: its size, in `unit`.
        tolerance: the largest that passes.
        unit: of both; "" for a count.
        detail: which quantity of which structure.
    """

    value: float
    tolerance: float
    unit: str
    detail: str

    @property
    def excess(self) -> float:
        """Value over tolerance; infinite for a value that is not a number."""
        if not np.isfinite(self.value):
            return np.inf
        if self.tolerance == 0:
            return np.inf if self.value > 0 else 0.0
        return self.value / self.tolerance


class Answer(NamedTuple):
    """Energy in eV, forces (atoms, 3) in eV/Angstrom, stress (6,) in eV/Angstrom^3 or None."""

    energy: float
    forces: np.ndarray
    stress: np.ndarray | None = None


@dataclass(frozen=True)
class Subject:
    """What the checks are given.

    Attributes:
        calc: the calculator.
        samples: structures.
        tolerances: and steps.
        precision: "float32" or "float64".
        seed: of random directions and displacements.
        scans: of dimers, filled by `smoothness`.
    """

    calc: Any
    samples: Samples
    tolerances: Tolerances
    precision: str
    seed: int
    scans: dict = field(default_factory=dict)

    @property
    def rng(self) -> np.random.Generator:
        """A fresh generator: a check does not depend on those before it."""
        return np.random.default_rng([self.seed, 1])

    @property
    def crystals(self) -> tuple[Atoms, ...]:
        """Periodic samples, of which there is at least one."""
        if not self.samples.crystals:
            raise NotApplicable("no structure is periodic along all directions")
        return self.samples.crystals

    @property
    def everything(self) -> tuple[Atoms, ...]:
        """Crystals and clusters."""
        return self.samples.crystals + self.samples.clusters

    def implements(self, name: str) -> bool:
        """Whether the calculator says that it has this property."""
        return name in getattr(self.calc, "implemented_properties", ())

    def energy(self, atoms) -> float:
        """Energy in eV."""
        return float(self.calc.get_property("energy", atoms))

    def answer(self, atoms, *, calc=None, stress: bool | None = None) -> Answer:
        """Energy, forces, and the stress of a crystal if there is one."""
        calc = self.calc if calc is None else calc
        if stress is None:
            stress = bool(atoms.pbc.all()) and self.implements("stress")
        # the largest question first: the others are then answered from the cache
        found = voigt(calc.get_property("stress", atoms)) if stress else None
        forces = np.asarray(calc.get_property("forces", atoms), float)
        return Answer(float(calc.get_property("energy", atoms)), forces, found)

    def compare(self, found: Answer, expected: Answer, where: str) -> list[Deviation]:
        """Deviations of energy per atom, forces and stress; the numbers of atoms may differ."""
        return [
            self.energies(found, expected, where),
            self.forces(found.forces, expected.forces, where),
            *self.stresses(found, expected, where),
        ]

    def energies(self, found: Answer, expected: Answer, where: str) -> Deviation:
        """Deviation of the energy per atom."""
        difference = found.energy / len(found.forces) - expected.energy / len(expected.forces)
        return Deviation(abs(difference), self.tolerances.energy, "eV/atom", f"energy of {where}")

    def forces(self, found, expected, where: str) -> Deviation:
        """Deviation of forces, two arrays (atoms, 3)."""
        tolerance = self.tolerances.forces * scale(expected, 1.0)
        return Deviation(largest(found - expected), tolerance, "eV/Å", f"forces of {where}")

    def stresses(self, found: Answer, expected: Answer, where: str) -> list[Deviation]:
        """Deviation of the stress, or nothing where there is none."""
        if found.stress is None or expected.stress is None:
            return []
        tolerance = self.tolerances.stress * scale(expected.stress, 0.1)
        return [Deviation(largest(found.stress - expected.stress), tolerance, "eV/Å³", f"stress of {where}")]


def voigt(stress) -> np.ndarray:
    """A stress as six components; one of shape (3, 3) is converted, as `Atoms.get_stress` does."""
    stress = np.asarray(stress, float)
    return full_3x3_to_voigt_6_stress(stress) if stress.shape == (3, 3) else stress


def largest(array) -> float:
    """The largest absolute element; a NaN counts as the largest, no element as 0."""
    return float(np.abs(array).max(initial=0.0))


def scale(array, unit: float) -> float:
    """The largest absolute element in units of `unit`, but at least 1: what rounding is relative to."""
    return max(1.0, largest(array) / unit)


def violations(problems: list[str], satisfied: str) -> list[Deviation]:
    """A count of broken rules as a deviation, with the rules as its detail."""
    return [Deviation(float(len(problems)), 0.0, "", "; ".join(problems) if problems else satisfied)]
