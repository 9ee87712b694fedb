"""Crystals that teach a general model of materials: their names, relaxation by a few labels, and displaced structures."""

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

FOLDER = Path(__file__).parents[2] / "benchmarks" / "materials"
LATTICE = 3.590
"""Angstrom, of copper by EMT."""


@pytest.fixture
def materials(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return import_module


def labelled(structures):
    """The structures with labels of EMT, but those with aluminium."""
    for atoms in structures:
        if "Al" not in atoms.symbols:
            free = atoms.copy()
            free.calc = EMT()
            labels = {"energy": free.get_potential_energy(), "forces": free.get_forces(), "stress": free.get_stress()}
            atoms.calc = SinglePointCalculator(atoms, **labels)
            yield atoms


def test_the_formula_of_a_supercell_is_that_of_the_cell(materials):
    crystals = materials("crystals")
    cell = bulk("NaCl", "rocksalt", a=5.6)
    assert crystals.reduced_formula(cell.repeat(2).numbers) == "ClNa"
    assert crystals.reduced_formula([22, 8, 8]) == "O2Ti"


def test_a_twentieth_of_the_crystals_judges(materials):
    crystals = materials("crystals")
    judges = [crystals.Crystal(Atoms(), f"ClNa prototype {k}").judges for k in range(4000)]
    assert abs(np.mean(judges) - 13 / 256) < 0.01  # three standard deviations


@pytest.mark.parametrize("start", [3.2, 4.1])
def test_the_volume_is_found_by_four_labels(materials, start):
    crystals, relaxation = materials("crystals"), materials("relaxation")
    crystal = crystals.Crystal(bulk("Cu", a=start), "Cu fcc")
    (found,), frames = relaxation.relaxed([crystal], labelled, relaxation.VOLUMES)
    assert (4 * found.atoms.get_volume()) ** (1 / 3) == pytest.approx(LATTICE, rel=0.01)
    assert [atoms.info["step"] for atoms in frames] == list(range(relaxation.VOLUMES + 1))
    assert all(atoms.info["crystal"] == "Cu fcc" and "stress" in atoms.calc.results for atoms in frames)


def test_atoms_and_shape_are_relaxed_after_the_volume(materials):
    crystals, relaxation = materials("crystals"), materials("relaxation")
    atoms = bulk("Cu", a=LATTICE, cubic=True)
    atoms.rattle(0.1, seed=0)
    atoms.set_cell(atoms.cell.array @ np.diag([1.04, 1.0, 0.96]), scale_atoms=True)
    _, frames = relaxation.relaxed([crystals.Crystal(atoms, "Cu")], labelled, relaxation.VOLUMES + 12)
    forces = [np.abs(frame.get_forces()).max() for frame in frames]
    stresses = [np.abs(frame.get_stress()).max() for frame in frames]
    assert forces[-1] < 0.2 * forces[relaxation.VOLUMES]
    assert stresses[-1] < 0.2 * stresses[relaxation.VOLUMES]


def test_a_crystal_that_cannot_be_labelled_is_dropped(materials):
    crystals, relaxation = materials("crystals"), materials("relaxation")
    both = [crystals.Crystal(bulk(symbol), symbol) for symbol in ("Al", "Cu")]
    found, frames = relaxation.relaxed(both, labelled, 1)
    assert [crystal.name for crystal in found] == ["Cu"]
    assert {atoms.info["crystal"] for atoms in frames} == {"Cu"}


def test_displaced_structures_have_few_atoms_and_say_what_they_are(materials):
    crystals, displaced = materials("crystals"), materials("displaced")
    crystal, rng = crystals.Crystal(bulk("NaCl", "rocksalt", a=5.6), "ClNa"), np.random.default_rng(0)
    made = [displaced.moved(crystal, rng) for _ in range(300)]
    assert {atoms.info["kind"] for atoms in made} == {"bulk", "vacancy", "exchange", "surface"}
    assert all(displaced.FEWEST <= len(atoms) + (atoms.info["kind"] == "vacancy") <= displaced.MOST for atoms in made)
    assert all(100 <= atoms.info["kelvin"] <= 2000 for atoms in made)
    assert len(crystal.atoms) == 2


def test_structures_at_a_temperature_have_no_defects(materials):
    crystals, displaced = materials("crystals"), materials("displaced")
    crystal, rng = crystals.Crystal(bulk("Cu", a=LATTICE), "Cu"), np.random.default_rng(0)
    made = [displaced.moved(crystal, rng, 300.0) for _ in range(50)]
    assert {(atoms.info["kind"], atoms.info["kelvin"]) for atoms in made} == {("bulk", 300)}
