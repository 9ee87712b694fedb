"""Every shipped model: its folder is complete, and it gives the numbers it was shipped with."""

from __future__ import annotations

import json
import tomllib

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress

from latte_ase import LatteCalculator, list_models, load_model
from latte_ase.io import model_file
from latte_ase.io.pretrained import models_folder
from latte_ase.model.domain import DomainError

MODELS = (
    "latte-3bpa",
    "latte-cu",
    "latte-ge",
    "latte-h2-combustion",
    "latte-li",
    "latte-mo",
    "latte-monbtaw",
    "latte-ni",
    "latte-organic",
    "latte-si",
    "latte-si-large",
    "latte-water",
    "latte-water-large",
)


@pytest.fixture(scope="module", params=MODELS)
def name(request):
    """Of a shipped model; pytest runs all tests of one before the next."""
    return request.param


@pytest.fixture(scope="module")
def calculators(name):
    """Of the model by precision: each is compiled once for the tests below."""
    return {dtype: LatteCalculator.from_pretrained(name, dtype=dtype) for dtype in ("float64", "float32")}


def test_all_are_tested():
    assert tuple(list_models()) == MODELS


BEFORE = {"optimiser": "adamw", "mixing_decay": 0.0}
"""Settings of training as they were before a recipe could choose them: older files do not name them."""


def test_the_folder_is_complete_and_says_where_the_model_comes_from(name):
    folder = models_folder() / name
    sums = (folder / "SHA256SUMS").read_text()
    assert sums == f"{model_file.file_sha256(folder / 'model.safetensors')}  model.safetensors\n"
    metadata = load_model(name).metadata
    assert metadata["name"] == name
    assert metadata["level_of_theory"] in (folder / "README.md").read_text(encoding="utf-8")
    assert metadata["data"]
    assert np.isfinite(metadata["metrics"]["valid_forces_rmse"])
    recipe = tomllib.loads((folder / "recipe.toml").read_text())
    used = {"model": metadata["recipe"]["model"], "training": BEFORE | metadata["recipe"]["training"]}
    for table, entries in used.items():
        assert entries | recipe[table] == entries


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_model_gives_the_numbers_it_was_shipped_with(name, calculators, dtype):
    reference = json.loads((models_folder() / name / "reference.json").read_text())
    tolerance = reference["tolerance"][dtype]
    assert len(reference["structures"]) >= 2
    for entry in reference["structures"]:
        atoms = Atoms(**entry["atoms"], calculator=calculators[dtype])
        np.testing.assert_allclose(atoms.get_forces(), entry["forces"], rtol=0, atol=tolerance["forces"])
        np.testing.assert_allclose(atoms.get_stress(), entry["stress"], rtol=0, atol=tolerance["stress"])
        assert abs(atoms.get_potential_energy() - entry["energy"]) <= tolerance["energy"] * len(atoms)
        assert np.abs(entry["forces"]).max() > 100 * tolerance["forces"]  # numbers, not zeros
        assert np.abs(entry["stress"]).max() > 100 * tolerance["stress"]


def test_both_precisions_agree(name, calculators):
    reference = json.loads((models_folder() / name / "reference.json").read_text())
    single, double = (calculators[dtype] for dtype in ("float32", "float64"))
    for entry in reference["structures"]:
        atoms = Atoms(**entry["atoms"])
        forces = [calc.get_property("forces", atoms) for calc in (single, double)]
        energies = [calc.get_property("energy", atoms) / len(atoms) for calc in (single, double)]
        assert abs(energies[0] - energies[1]) < 1e-5
        assert np.abs(forces[0] - forces[1]).max() < 1e-4 * np.sqrt((forces[1] ** 2).mean())
        assert (forces[0] != forces[1]).any()  # two precisions, not one
        stress = [calc.get_property("stress", atoms) for calc in (single, double)]
        assert np.abs(stress[0] - stress[1]).max() < 1e-4 * np.abs(stress[1]).max()


def test_a_model_is_less_certain_of_a_structure_that_falls_apart(name, calculators):
    reference = json.loads((models_folder() / name / "reference.json").read_text())
    calc = calculators["float32"]
    atoms = Atoms(**reference["structures"][0]["atoms"])
    if name == "latte-h2-combustion":  # a molecule, in a reference structure that nothing in its data is like
        atoms.pbc, atoms.cell = False, None
    near = calc.get_uncertainty(atoms)
    atoms.rattle(0.4, seed=1)
    far = calc.get_uncertainty(atoms)
    assert 1e-4 < near.worst < 0.3 * far.worst
    assert 0 < near.energy < far.energy
    assert near.forces.shape == (len(atoms), 3)


@pytest.fixture(scope="module")
def silicon_calculator():
    return LatteCalculator.from_pretrained("latte-si", dtype="float64")


def _bulk(deformation=((1, 0, 0), (0, 1, 0), (0, 0, 1)), **changes):
    atoms = bulk("Si", **{"cubic": True} | changes)
    atoms.rattle(0.1, seed=2)
    atoms.set_cell(atoms.cell.array @ deformation, scale_atoms=True)
    return atoms


def _slab():
    atoms = _bulk()
    atoms.pbc = (True, True, False)
    atoms.cell[2, 2] = 15.0
    return atoms


def _molecule():
    atoms = _bulk()[:5]
    atoms.pbc, atoms.cell = False, None
    return atoms


STRUCTURES = {
    "bulk": _bulk,
    "triclinic": lambda: _bulk(((1.02, 0.05, -0.03), (0.04, 0.97, 0.02), (0.01, -0.06, 1.01))),
    "slab": _slab,
    "left-handed": lambda: _bulk(((-1, 0.02, 0), (0, 1, 0.01), (0.02, 0, 1))),
    "cell smaller than the cutoff": lambda: _bulk(((1.01, 0.02, 0), (0, 1, 0.01), (0.02, 0, 1)), cubic=False),
    "molecule without a cell": _molecule,
    "one atom": lambda: Atoms("Si"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", STRUCTURES)
def test_forces_and_stress_of_silicon_are_derivatives(silicon_calculator, name):
    atoms = STRUCTURES[name]()
    atoms.calc = silicon_calculator
    np.testing.assert_allclose(atoms.get_forces(), calculate_numerical_forces(atoms, eps=1e-4), rtol=0, atol=1e-6)
    if atoms.cell.rank == 3:
        numerical = calculate_numerical_stress(atoms, eps=1e-5)
        assert (np.abs(numerical) > 1e-6).all()
        np.testing.assert_allclose(atoms.get_stress(), numerical, rtol=0, atol=1e-7)


CLUSTERS = {
    "atom": Atoms("Si"),
    "dimer": Atoms("Si2", [(0, 0, 0), (0, 0, 2.25)]),
    "chain": Atoms("Si", cell=[2.25, 12, 12], pbc=(True, False, False)),
    "layer": Atoms(
        "Si2", [(0, 0, 0), (1.935, 1.117, 0.78)], cell=[(3.87, 0, 0), (1.935, 3.351, 0), (0, 0, 20)], pbc=(1, 1, 0)
    ),
}


@pytest.mark.parametrize("name", ["latte-si", "latte-si-large"])
def test_silicon_of_fewer_dimensions_is_outside_the_domain(name):
    calc = LatteCalculator.from_pretrained(name, strict=True)
    for kind, atoms in CLUSTERS.items():
        with pytest.raises(DomainError, match=r"outside the range of .*: Si (with|has) .* neighbour"):
            pytest.fail(f"{kind}: {calc.get_property('energy', atoms)}")
    assert np.isfinite(calc.get_property("energy", bulk("Si", cubic=True)))


@pytest.mark.parametrize("name", MODELS)
def test_a_model_knows_its_fewest_neighbours_and_the_limit_of_its_committee(name):
    potential = load_model(name)
    assert set(potential.domain.neighbours) == set(potential.elements)
    assert (potential.domain.fewest > 0).all() and 0.1 < potential.committee.limit < 5
    assert potential.domain.isolated == (name == "latte-h2-combustion")  # all others have fitted E0
