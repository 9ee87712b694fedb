"""Calculator under test, with its structures and tolerances, and the comparison of results."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.stress import full_3x3_to_voigt_6_stress

from latte_ase.testing.samples import Samples
from latte_ase.testing.tolerances import Tolerances


class NotApplicable(Exception):
    """Raised by a check that does not apply to a calculator or to the structures; the text is the reason."""


class Deviation(NamedTuple):
    """Difference between a result and its expected value.

    Attributes:
        value: size of the difference in `unit`.
        tolerance: largest value that passes.
        unit: unit of both; "" for a number of violations.
        detail: quantity and structure.
    """

    value: float
    tolerance: float
    unit: str
    detail: str

    @property
    def excess(self) -> float:
        """Ratio of value and tolerance; infinite for a value that is not finite."""
        if not np.isfinite(self.value):
            return np.inf
        if self.tolerance == 0:
            return np.inf if self.value > 0 else 0.0
        return self.value / self.tolerance


class Answer(NamedTuple):
    """Results of a calculator for one structure.

    Attributes:
        energy: eV.
        forces: (atoms, 3) in eV/Angstrom.
        stress: (6,) in eV/Angstrom^3, or None.
    """

    energy: float
    forces: np.ndarray
    stress: np.ndarray | None = None


@dataclass(frozen=True)
class Subject:
    """Calculator under test, with all that the checks need.

    Attributes:
        calc: the calculator.
        samples: structures.
        tolerances: tolerances, and steps of finite differences.
        precision: "float32" or "float64".
        seed: seed of random directions and displacements.
        scans: scans of dimers, a cache of `smoothness`.
    """

    calc: Any
    samples: Samples
    tolerances: Tolerances
    precision: str
    seed: int
    scans: dict = field(default_factory=dict)

    @property
    def rng(self) -> np.random.Generator:
        """New random generator: the result of a check does not depend on the checks before it."""
        return np.random.default_rng([self.seed, 1])

    @property
    def crystals(self) -> tuple[Atoms, ...]:
        """Periodic structures; raises `NotApplicable` where there is none."""
        if not self.samples.crystals:
            raise NotApplicable("no structure is periodic along all directions")
        return self.samples.crystals

    @property
    def everything(self) -> tuple[Atoms, ...]:
        """Periodic structures and clusters."""
        return self.samples.crystals + self.samples.clusters

    def implements(self, name: str) -> bool:
        """Whether the calculator declares a property in `implemented_properties`."""
        return name in getattr(self.calc, "implemented_properties", ())

    def energy(self, atoms) -> float:
        """Energy of a structure in eV."""
        return float(self.calc.get_property("energy", atoms))

    def answer(self, atoms, *, calc=None, stress: bool | None = None) -> Answer:
        """Energy, forces, and for a crystal the stress where it is implemented."""
        calc = self.calc if calc is None else calc
        if stress is None:
            stress = bool(atoms.pbc.all()) and self.implements("stress")
        # stress first: the other properties then come from the cache
        found = voigt(calc.get_property("stress", atoms)) if stress else None
        forces = np.asarray(calc.get_property("forces", atoms), float)
        return Answer(float(calc.get_property("energy", atoms)), forces, found)

    def compare(self, found: Answer, expected: Answer, where: str) -> list[Deviation]:
        """Deviations of energy per atom, forces and stress; the two structures may differ in the number of atoms."""
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
        """Deviation of two arrays (atoms, 3) of forces."""
        tolerance = self.tolerances.forces * scale(expected, 1.0)
        return Deviation(largest(found - expected), tolerance, "eV/Å", f"forces of {where}")

    def stresses(self, found: Answer, expected: Answer, where: str) -> list[Deviation]:
        """Deviation of the stress; an empty list where there is none."""
        if found.stress is None or expected.stress is None:
            return []
        tolerance = self.tolerances.stress * scale(expected.stress, 0.1)
        return [Deviation(largest(found.stress - expected.stress), tolerance, "eV/Å³", f"stress of {where}")]


def voigt(stress) -> np.ndarray:
    """Stress in Voigt form (6,), converted from (3, 3) as in `Atoms.get_stress`."""
    stress = np.asarray(stress, float)
    return full_3x3_to_voigt_6_stress(stress) if stress.shape == (3, 3) else stress


def largest(array) -> float:
    """Largest absolute element: NaN where there is one, 0 for an empty array."""
    return float(np.abs(array).max(initial=0.0))


def scale(array, unit: float) -> float:
    """Scale of rounding errors: the largest absolute element in units of `unit`, but at least 1."""
    return max(1.0, largest(array) / unit)


def violations(problems: list[str], satisfied: str) -> list[Deviation]:
    """Number of violated rules as a deviation, with the rules as its detail."""
    return [Deviation(float(len(problems)), 0.0, "", "; ".join(problems) if problems else satisfied)]
