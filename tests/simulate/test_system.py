"""What dynamics reads from ase.Atoms, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.constraints import FixAtoms, FixBondLength

from latte_ase.simulate import NVE, Bussi, CellRescaling, Langevin
from latte_ase.simulate.system import degrees_of_freedom, mobile_atoms, require_fitting

BUSSI = Bussi(300, 1.0)


def moving(atoms, *, at_rest=True, seed=0):
    """Random momenta; `at_rest` takes the total momentum and the total angular momentum out."""
    from ase.md.velocitydistribution import Stationary, ZeroRotation

    atoms.set_momenta(np.random.default_rng(seed).normal(size=(len(atoms), 3)))
    if at_rest:
        Stationary(atoms)
        if not atoms.pbc.any():
            ZeroRotation(atoms)
    return atoms


@pytest.mark.parametrize(
    "atoms, ensemble, expected",
    [
        (moving(molecule("H2O"), at_rest=False), BUSSI, 9),
        (moving(molecule("H2O")), BUSSI, 3),
        (moving(molecule("H2O")), Langevin(300, 0.1), 9),
        (moving(molecule("CH4")), NVE(), 9),
        (molecule("CO2"), NVE(), 4),
        (moving(molecule("H2O", cell=[5] * 3, pbc=True)), BUSSI, 6),
        (moving(molecule("H2O", cell=[5] * 3, pbc=(True, False, False))), BUSSI, 6),
        (moving(molecule("H2O", constraint=FixAtoms([0]))), BUSSI, 6),
        (moving(Atoms("H"), at_rest=False), BUSSI, 3),
    ],
)
def test_conserved_momenta_are_no_degrees_of_freedom(atoms, ensemble, expected):
    assert degrees_of_freedom(atoms, mobile_atoms(atoms), ensemble) == expected


def test_an_atom_at_rest_has_no_degree_of_freedom():
    with pytest.raises(ValueError, match="1 atom at rest whose momentum is conserved"):
        degrees_of_freedom(Atoms("H"), np.array([True]), NVE())


def test_velocities_of_zero_cannot_be_scaled():
    with pytest.raises(ValueError, match=r"Bussi scales velocities, but all are zero\. Set them first"):
        degrees_of_freedom(molecule("H2O"), np.ones(3, bool), BUSSI)


def test_fixed_atoms_are_found():
    atoms = molecule("CH4", constraint=[FixAtoms([0]), FixAtoms(mask=np.array([0, 0, 1, 0, 0], bool))])
    assert mobile_atoms(atoms).tolist() == [False, True, False, True, True]


@pytest.mark.parametrize(
    "change, error, message",
    [
        (
            lambda a: a.set_constraint(FixBondLength(0, 1)),
            NotImplementedError,
            "the constraint FixBondLengths?; dynamics on",
        ),
        (lambda a: a.set_constraint(FixAtoms([0, 1, 2])), ValueError, "All 3 atoms are fixed"),
        (lambda a: a.set_masses([16, 0, 1]), ValueError, r"Atom 1 \(H\) has the mass 0.0 u; a mobile atom needs one"),
        (lambda a: a.__delitem__(slice(None)), ValueError, "has no atoms; at least one is needed"),
    ],
)
def test_atoms_that_cannot_move_are_refused(change, error, message):
    atoms = molecule("H2O")
    change(atoms)
    with pytest.raises(error, match=message):
        mobile_atoms(atoms)


@pytest.mark.parametrize(
    "ensemble, pbc, fixed, error, message",
    [
        ("nvt", True, [], TypeError, "ensemble is 'nvt'; an object is needed, one of NVE, Langevin, Bussi, NoseHoover"),
        (Langevin, True, [], TypeError, "an object is needed"),
        (CellRescaling(300, 0, 1, 1), (True, True, False), [], ValueError, "CellRescaling scales the cell, but pbc is"),
        (CellRescaling(300, 0, 1, 1), True, [1], ValueError, "and all positions with it, but 1 atoms are fixed"),
    ],
)
def test_ensembles_that_do_not_fit_are_refused(ensemble, pbc, fixed, error, message):
    atoms = molecule("H2O", cell=[5] * 3, pbc=pbc, constraint=FixAtoms(fixed))
    with pytest.raises(error, match=message):
        require_fitting(atoms, ensemble, mobile_atoms(atoms))
