"""Which structures are isolated atoms, and which of several counts."""

from __future__ import annotations

import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.singlepoint import SinglePointCalculator

from latte_ase.training.isolated_atoms import isolated_atom_energies


def stored(atoms, energy, **info):
    atoms.calc = SinglePointCalculator(atoms, energy=energy)
    atoms.info |= info
    return atoms


def boxed(symbol, energy, length=12.0, **info):
    return stored(Atoms(symbol, cell=[length] * 3, pbc=True), energy, **info)


def test_a_crystal_of_one_atom_is_no_isolated_atom():
    frames = [boxed("Cu", 3.5), stored(bulk("Cu"), -0.006), stored(molecule("H2O"), -14.0), stored(Atoms("H"), -13.6)]
    assert isolated_atom_energies(frames, 5.0, "mine") == {"Cu": 3.5, "H": -13.6}
    assert isolated_atom_energies([boxed("Cu", 3.5, 5.01)], 5.0, "mine") == {"Cu": 3.5}


def test_a_file_without_any_is_refused():
    with pytest.raises(
        ValueError, match=r"no isolated atom in mine: 1 structures have more than one atom and 2 one-atom"
    ) as error:
        isolated_atom_energies(
            [stored(molecule("H2O"), 0.0), stored(bulk("Cu"), 0.0), boxed("Cu", 1.0, 4.0)], 5.0, "mine"
        )
    assert "a periodic image as near as 2.55 Angstrom" in str(error.value)
    assert "cutoff of 5 Angstrom, periodic images included. Give a file" in str(error.value)


def test_several_of_an_element_have_to_agree():
    assert isolated_atom_energies([boxed("Cu", 3.5), boxed("Cu", 3.5004, 15.0)], 5.0, "mine") == {"Cu": 3.5}
    with pytest.raises(
        ValueError, match=r"The isolated atoms of Cu in mine have different energies: -1, 3\.5 eV\. Leave one"
    ):
        isolated_atom_energies([boxed("Cu", 3.5), boxed("Cu", -1.0), boxed("Cu", 3.5)], 5.0, "mine")


@pytest.mark.parametrize("tag", ["IsolatedAtom", "isolated_atom"])
def test_those_that_are_marked_come_first(tag):
    frames = [boxed("Cu", -1.0), boxed("Cu", 3.5, config_type=tag), boxed("H", -13.6, config_type="other")]
    assert isolated_atom_energies(frames, 5.0, "mine") == {"Cu": 3.5, "H": -13.6}
    with pytest.raises(ValueError, match="different energies"):
        isolated_atom_energies([*frames, boxed("Cu", 2.0, config_type=tag)], 5.0, "mine")
