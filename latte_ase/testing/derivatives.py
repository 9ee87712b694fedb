"""Checks that forces and stress are derivatives of the energy: finite differences, and the drift of dynamics."""

from __future__ import annotations

import numpy as np
from ase import units
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.md.verlet import VelocityVerlet

from latte_ase.testing.samples import sheared
from latte_ase.testing.subject import Deviation, NotApplicable, Subject, largest, scale

STENCIL = ((-2, 1 / 12), (-1, -2 / 3), (1, 2 / 3), (2, -1 / 12))
"""Central difference of fourth order: displacements in steps, and weights."""
PROBED = 4
"""Number of atoms of a structure whose forces are compared."""
VOIGT = ("xx", "yy", "zz", "yz", "xz", "xy")
INDEX = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
NVE_STEPS = 300
KELVIN = 300.0


def forces(subject: Subject) -> list[Deviation]:
    """Forces agree with central differences of the energy with respect to the coordinates of a few atoms."""
    found = []
    for atoms in subject.everything:
        expected = subject.answer(atoms, stress=False).forces
        probed = _spread(atoms, PROBED)
        numerical = np.array([[_force(subject, atoms, i, axis) for axis in range(3)] for i in probed])
        tolerance = subject.tolerances.forces_difference * scale(expected, 1.0)
        where = f"{len(probed)} atoms of {atoms.get_chemical_formula()}"
        found.append(Deviation(largest(numerical - expected[probed]), tolerance, "eV/Å", where))
    return found


def stress(subject: Subject) -> list[Deviation]:
    """The stress agrees with central differences of the energy with respect to the six strains."""
    return [_stress(subject, atoms) for atoms in subject.crystals]


def stress_triclinic(subject: Subject) -> list[Deviation]:
    """The stress agrees with central differences of the energy in a triclinic cell."""
    return [_stress(subject, sheared(atoms, subject.rng)) for atoms in subject.crystals]


def drift(subject: Subject) -> list[Deviation]:
    """The total energy has no drift in velocity Verlet dynamics at 300 K, after a quarter of the steps."""
    found = []
    for sample in subject.samples.crystals or subject.samples.clusters:
        atoms = sample.copy()
        atoms.calc = subject.calc
        # at most a tenth of the period of a vibration of the lightest atom
        step = min(0.25 * np.sqrt(atoms.get_masses().min()), 2.0)
        MaxwellBoltzmannDistribution(atoms, temperature_K=KELVIN, rng=subject.rng)
        energies = []
        for _ in VelocityVerlet(atoms, step * units.fs).irun(NVE_STEPS):
            energies.append(1e3 * (subject.energy(atoms) + atoms.get_kinetic_energy()) / len(atoms))
        later = np.array(energies[NVE_STEPS // 4 :])
        picoseconds = 1e-3 * step * np.arange(len(later))
        slope = np.polyfit(picoseconds, later - later[0], 1)[0] if np.isfinite(later).all() else np.nan
        where = f"{atoms.get_chemical_formula()}, {NVE_STEPS} steps of {step:.2f} fs"
        found.append(Deviation(abs(float(slope)), subject.tolerances.drift, "meV/atom/ps", where))
    return found


def _spread(atoms, count):
    """Indices of up to `count` atoms, with every element among them where possible."""
    _, first = np.unique(atoms.numbers, return_index=True)
    order = [*first, *np.setdiff1d(np.arange(len(atoms)), first)]
    return np.array(order[:count])


def _force(subject, atoms, i, axis):
    slope, step = 0.0, subject.tolerances.step
    for place, weight in STENCIL:
        moved = atoms.copy()
        moved.positions[i, axis] += place * step
        slope += weight * subject.energy(moved) / step
    return -slope


def _stress(subject, atoms):
    if not subject.implements("stress"):
        raise NotApplicable("the calculator has no stress")
    expected = subject.answer(atoms, stress=True).stress
    step = subject.tolerances.strain
    numerical = np.zeros(6)
    for k, (a, b) in enumerate(INDEX):
        for place, weight in STENCIL:
            deformation = np.eye(3)
            deformation[a, b] += 0.5 * place * step
            deformation[b, a] += 0.5 * place * step
            moved = atoms.copy()
            moved.set_cell(atoms.cell.array @ deformation, scale_atoms=True)
            numerical[k] += weight * subject.energy(moved) / step
    numerical /= atoms.get_volume()
    difference = np.abs(numerical - expected)
    worst = VOIGT[int(np.argmax(difference))]
    tolerance = subject.tolerances.stress_difference * scale(expected, 0.1)
    where = f"worst component {worst} of {atoms.get_chemical_formula()}"
    return Deviation(largest(difference), tolerance, "eV/Å³", where)
