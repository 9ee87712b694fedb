"""What each of ASE's constraints takes away from forces, found from the numbers and the constraint alone."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk, fcc111, molecule
from ase.calculators.emt import EMT
from ase.constraints import (
    ExternalForce,
    FixAtoms,
    FixBondLength,
    FixCartesian,
    FixCom,
    FixedLine,
    FixedMode,
    FixedPlane,
    FixInternals,
    FixScaled,
    FixSubsetCom,
    FixSymmetry,
    Hookean,
)

from latte_ase.io.constrained_forces import known_components


def slab():
    atoms = fcc111("Cu", (2, 2, 3), vacuum=6)
    atoms.rattle(0.05, seed=1)
    return atoms


def ethane():
    atoms = molecule("C2H6")
    atoms.rattle(0.05, seed=1)
    return atoms


FIRST, HEIGHT = np.arange(12)[:, None] < 4, np.array([False, False, True])
WHOLE = np.ones((12, 3), bool)
CONSTRAINTS = {
    "FixAtoms": (slab, lambda a: FixAtoms([0, 1, 2, 3]), FIRST & WHOLE),
    "FixCartesian": (slab, lambda a: FixCartesian([0, 1, 2, 3]), FIRST & WHOLE),
    "FixCartesian z": (slab, lambda a: FixCartesian([0, 1, 2, 3], (False, False, True)), FIRST & HEIGHT),
    "one FixCartesian per atom": (slab, lambda a: [FixCartesian(k) for k in range(4)], FIRST & WHOLE),
    "FixScaled": (slab, lambda a: [FixScaled(k) for k in range(4)], FIRST & WHOLE),
    "FixScaled z": (slab, lambda a: FixScaled([0, 1, 2, 3], (False, False, True)), FIRST & HEIGHT),
    "FixedPlane": (slab, lambda a: FixedPlane([0, 1, 2, 3], (0, 0, 1)), FIRST & HEIGHT),
    "FixedLine": (slab, lambda a: FixedLine([0, 1, 2, 3], (0, 0, 1)), FIRST & ~HEIGHT),
    "FixedMode": (slab, lambda a: FixedMode(np.repeat(FIRST, 3, axis=1) * 1.0), FIRST & WHOLE),
    "FixSubsetCom": (slab, lambda a: FixSubsetCom([0, 1, 2, 3]), FIRST & WHOLE),
    "FixBondLength": (ethane, lambda a: FixBondLength(0, 1), np.arange(8)[:, None] < np.full(3, 2)),
    "FixInternals": (ethane, lambda a: FixInternals(bonds=[[1.5, [0, 1]]]), np.ones((8, 3), bool)),
}


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_what_a_constraint_takes_away(name):
    make, constraint, taken = CONSTRAINTS[name]
    atoms = make()
    atoms.set_constraint(constraint(atoms))
    atoms.calc = EMT()
    np.testing.assert_array_equal(known_components(atoms, atoms.get_forces(apply_constraint=False)), True)
    applied = atoms.get_forces()
    np.testing.assert_array_equal(known_components(atoms, applied), ~taken)
    np.testing.assert_array_equal(known_components(atoms, np.round(applied, 6)), ~taken)  # as a file holds them


def test_constraints_that_true_forces_obey_take_nothing_away():
    atoms = bulk("Cu", cubic=True, a=3.4)
    atoms.set_constraint([FixSymmetry(atoms), FixCom()])
    atoms.calc = EMT()
    np.testing.assert_array_equal(known_components(atoms, atoms.get_forces()), True)


def test_springs_and_external_forces_take_nothing_away():
    atoms = ethane()
    atoms.set_constraint([Hookean(0, 1, 5.0, 1.0), ExternalForce(0, 1, 0.3), FixAtoms([2])])
    atoms.calc = EMT()
    np.testing.assert_array_equal(known_components(atoms, atoms.get_forces()), np.arange(8)[:, None] != [2, 2, 2])


def test_constraints_are_left_as_they_are():
    atoms = ethane()
    constraint = FixBondLength(0, 1)
    atoms.set_constraint(constraint)
    atoms.calc = EMT()
    forces = atoms.get_forces()
    before = vars(constraint).copy()
    known_components(atoms, forces)
    assert vars(constraint).keys() == before.keys()
    assert constraint.constraint_forces is before["constraint_forces"]
