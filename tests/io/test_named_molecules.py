"""Molecules that a text stands for."""

import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.io import write

from latte_ase.io.frames import read_frames
from latte_ase.io.named_molecules import named_molecule


def test_a_smiles_string_is_a_relaxed_conformer_with_its_charge():
    acid, ion = named_molecule("smiles:C[C@H](N)C(=O)O"), named_molecule("smiles:C[C@H](N)C(=O)[O-]")
    assert acid.get_chemical_formula() == "C3H7NO2" and ion.get_chemical_formula() == "C3H6NO2"
    assert (acid.info["charge"], ion.info["charge"]) == (0, -1)
    assert not acid.pbc.any()
    assert np.sort(acid.get_all_distances()[np.triu_indices(len(acid), 1)])[0] == pytest.approx(0.97, abs=0.03)  # O-H
    np.testing.assert_array_equal(named_molecule("smiles:C[C@H](N)C(=O)O").positions, acid.positions)


@pytest.mark.parametrize("source", ["molecule:CH3CH2OH", Path("molecule:CH3CH2OH"), ["molecule:CH3CH2OH"]])
def test_a_name_is_read_wherever_a_file_is(source):
    (found,) = read_frames(source)
    np.testing.assert_array_equal(found.positions, molecule("CH3CH2OH").positions)


def test_a_smiles_string_with_an_at_sign_is_no_index():
    (found,) = read_frames(Path("smiles:C[C@@H](O)F"))
    assert found.get_chemical_formula() == "C2H5FO"


def test_a_file_of_that_name_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("smiles:CCO", Atoms("He"), format="extxyz")
    assert [atoms.get_chemical_formula() for atoms in read_frames("smiles:CCO")] == ["He"]


def test_without_rdkit_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "rdkit", None)
    with pytest.raises(
        ImportError,
        match=r"smiles:CCO needs the package rdkit: pip install 'latte_ase\[molecules\]'\. Without it give .*molecule:CH3CH2OH, or a file",
    ):
        named_molecule("smiles:CCO")
    assert len(named_molecule("molecule:H2O")) == 3


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("molecule:CH3CH2OHH", r"ASE has no molecule 'CH3CH2OHH'\. Did you mean CH3CH2OH"),
        ("molecule:", r"ASE has no molecule ''\. It knows those of ase\.build\.molecule"),
        ("smiles:C(C", r"'C\(C' is no SMILES string that RDKit .* reads; ethanol is smiles:CCO"),
        ("smiles:", r"'' is no SMILES string"),
        ("smiles:C1C[C@@H]2C[C@@H]1C2", r"RDKit finds no conformer of"),
    ],
)
def test_what_is_no_molecule_is_refused(source, message, capfd):
    with pytest.raises(ValueError, match=message):
        named_molecule(source)
    assert capfd.readouterr() == ("", "")
