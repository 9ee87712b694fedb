"""Stresses in other units or with another sign are told from energies and forces, right ones pass."""

from __future__ import annotations

import numpy as np
import pytest
from ase import units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from latte_ase.io.stress_plausibility import check_stress, stress_doubt

VOLUME = 2 * 3.61**3


def rattled(factor=1.0, *, strain=0.02, seed=0, count=20):
    """Copper in random cells, or in one, with EMT's labels, the stress in other units."""
    rng, frames = np.random.default_rng(seed), []
    for _ in range(count):
        atoms = bulk("Cu", cubic=True) * (2, 1, 1)
        symmetric = rng.normal(0, strain, (3, 3))
        atoms.set_cell(atoms.cell @ (np.eye(3) + symmetric + symmetric.T), scale_atoms=True)
        atoms.positions += rng.normal(0, 0.04, atoms.positions.shape)
        atoms.calc = EMT()
        energy, forces, stress = atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces, stress=factor * stress)
        frames.append(atoms)
    return frames


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("strain", [0.0, 0.005, 0.02])
def test_right_stresses_pass(strain):
    for seed in range(5):
        check_stress(rattled(strain=strain, seed=seed))


@pytest.mark.parametrize(
    ("factor", "guess"),
    [
        (1 / units.GPa, "they are in GPa"),
        (-1 / units.GPa, "they are in GPa, with the opposite sign"),
        (10 / units.GPa, "they are in kbar"),
        (-10 / units.GPa, "they are in kbar with VASP's sign"),
        (-1.0, "they have the opposite sign"),
        (-VOLUME, "they are virials in eV"),
        (units.Bohr**3 / units.Hartree, r"they are in Hartree/Bohr\^3"),
    ],
)
def test_other_units_are_named_where_cells_differ(factor, guess):
    with pytest.raises(
        ValueError, match=rf"Stresses and energies of mine do not belong .*as if {guess}( or [^.]*)?\. Stress in eV/Ang"
    ):
        check_stress(rattled(factor), "mine")


@pytest.mark.parametrize("factor", [1 / units.GPa, -10 / units.GPa])
def test_the_size_tells_where_they_do_not(factor):
    with pytest.raises(
        ValueError,
        match=r"Stresses of mine are too large.*They look like stresses in GPa or kbar, or like vir.*trust_labels",
    ):
        check_stress(rattled(factor, strain=0.0), "mine")


def test_the_forces_tell_what_is_large():
    """Small displacements: these stresses in GPa are no larger than others in eV/Angstrom^3."""
    frames = rattled(strain=0.0)
    for atoms in frames:
        results = atoms.calc.results
        results["forces"] *= 0.1
        results["stress"] *= 0.1 / units.GPa
        results["stress"] -= np.mean([a.calc.results["stress"] for a in frames], axis=0)
    with pytest.raises(
        ValueError, match=r"too large beside the forces: V stress varies by .* frames of Cu8 in one cell"
    ):
        check_stress(frames)


def test_a_slope_near_no_unit_is_doubtful():
    with pytest.warns(UserWarning, match=r"do not belong together: .* energies change by .* times what stresses"):
        check_stress(rattled(1 / 3))


@pytest.mark.filterwarnings("error")
def test_few_frames_and_frames_without_energies_say_nothing():
    assert stress_doubt(rattled(-1.0, count=4)) is None
    frames = rattled(-1.0)
    for atoms in frames:
        del atoms.calc.results["energy"]
    assert stress_doubt(frames) is None
