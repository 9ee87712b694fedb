"""What a label is, and under which names it may stand."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write

from latte_ase.io.labels import count_labels, label, labels_of, with_keys


def stored(atoms, **labels):
    """The structure with labels of its own."""
    atoms.calc = SinglePointCalculator(atoms, **labels)
    return atoms


def copper(seed=0):
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=seed)
    return atoms


def test_labels_come_in_one_shape_whatever_is_stored():
    voigt = np.arange(1.0, 7.0)
    tensor = [[1, 6, 5], [6, 2, 4], [5, 4, 3]]
    for stress in (voigt, np.array(tensor), np.ravel(tensor), np.array([[1, 7, 6], [5, 2, 5], [4, 3, 3]])):
        np.testing.assert_array_equal(label(stored(copper(), stress=stress), "stress"), tensor)
    for energy in (-1, np.float32(-1), np.array(-1.0), np.array([-1.0])):
        assert label(stored(copper(), energy=energy), "energy") == -1.0
    assert labels_of(copper()) == {}
    assert count_labels([stored(copper(), energy=0.0), copper()]) == {"energy": 1, "forces": 0, "stress": 0}


def test_without_a_volume_there_is_no_stress():
    assert label(stored(Atoms("H"), stress=np.ones(6)), "stress") is None


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"energy": np.ones(2)}, r"an energy of shape \(2,\), where one number in eV is needed"),
        ({"forces": np.ones((3, 3))}, r"forces of shape \(3, 3\), where \(4, 3\) in eV/Angstrom is needed"),
        ({"stress": np.ones(3)}, r"a stress of shape \(3,\), where \(6,\) or \(3, 3\) in eV/Angstrom\^3 is needed"),
    ],
)
def test_other_shapes_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        label(stored(copper(), **labels), *labels)


def test_keys_name_labels_in_info_arrays_and_results(tmp_path):
    atoms = stored(copper(), energy=-1.0, free_energy=-1.5, forces=np.zeros((4, 3)))
    atoms.info["REF_energy"], atoms.arrays["dft_forces"] = -2.0, np.ones((4, 3))
    write(tmp_path / "set.extxyz", atoms)
    for source in (atoms, read(tmp_path / "set.extxyz")):
        found = with_keys(source, {"energy": "REF_energy", "forces": "dft_forces"})
        assert label(found, "energy") == -2.0
        np.testing.assert_array_equal(label(found, "forces"), np.ones((4, 3)))
        found = with_keys(source, {"energy": "free_energy"})
        assert label(found, "energy") == -1.5
        np.testing.assert_array_equal(label(found, "forces"), np.zeros((4, 3)))
    assert label(atoms, "energy") == -1.0


def test_a_label_with_a_key_is_taken_from_there_alone():
    """The energy of another calculation never stands in for one that a frame lacks."""
    assert labels_of(with_keys(stored(copper(), energy=-1.0), {"energy": "REF_energy"})) == {}


def test_a_virial_becomes_a_stress_with_ases_sign(tmp_path):
    """That of EMT, from minus the derivative of its energy by strain, as QUIP and MACE store virials."""
    atoms = copper()
    atoms.calc = EMT()
    stress, virial = atoms.get_stress(voigt=False), np.zeros((3, 3))
    for i, j in np.ndindex(3, 3):
        energies = []
        for h in (1e-4, -1e-4):
            strained, strain = atoms.copy(), np.eye(3)
            strain[i, j] += h
            strained.set_cell(atoms.cell @ strain, scale_atoms=True)
            strained.calc = EMT()
            energies.append(strained.get_potential_energy())
        virial[i, j] = -(energies[0] - energies[1]) / 2e-4
    atoms.info["virial"] = virial
    write(tmp_path / "set.extxyz", atoms, columns=["symbols", "positions"])
    found = with_keys(read(tmp_path / "set.extxyz"), {"virial": "virial"})
    np.testing.assert_allclose(label(found, "stress"), stress, atol=1e-5)
    molecule = Atoms("H", info={"virial": np.eye(3)})
    assert label(with_keys(molecule, {"virial": "virial"}), "stress") is None


def test_keys_for_other_things_are_refused():
    with pytest.raises(ValueError, match=r"keys name dipole, enrgy; the labels .* are energy, forces, stress, virial"):
        with_keys(copper(), {"enrgy": "e", "dipole": "d"})
    with pytest.raises(ValueError, match="both stress and virial, which are one label; give one of them"):
        with_keys(copper(), {"stress": "s", "virial": "v"})
