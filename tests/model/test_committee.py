"""Committees: the spread of the members, whatever the descriptor, kept by the model file and dropped by training."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from safetensors import safe_open
from safetensors.numpy import save as to_bytes

from latte_ase import LatteCalculator, finetune, load_model
from latte_ase.io.model_file import ModelFileError, digest, save_model
from latte_ase.model.committee import Committee


def with_committee(potential, members=3):
    """Members with other last layers."""
    rng = np.random.default_rng(0)
    kernel = potential.params["network"]["Dense_1"]["kernel"]
    kernels = kernel + rng.normal(scale=0.1, size=(members, *kernel.shape))
    shifts = rng.normal(size=(members, len(potential.elements)))
    members = {"network": {"Dense_1": {"kernel": kernels}}}
    committee = Committee(members, energy_factor=2.0, forces_factor=3.0, shifts=shifts)
    return replace(potential, committee=committee)


@pytest.fixture
def atoms():
    atoms = bulk("Al", cubic=True) * (2, 1, 1)
    atoms.symbols[[1, 4, 6]] = "Cu"
    atoms.rattle(0.1, seed=3)
    return atoms


@pytest.mark.parametrize("kind", ["latte", "reduced", "vectors", "messages", "cace", "hiphop"])
def test_an_uncertainty_is_the_spread_of_calculators_of_the_members(kind, tiny_potential, atoms):
    potential = with_committee(tiny_potential(kind, ("Al", "Cu"), repulsion=False))
    committee = potential.committee
    alone = [
        replace(
            potential,
            params=committee.params(potential.params, k),
            reference_energies=potential.reference_energies + committee.shifts[k],
        )
        for k in range(3)
    ]
    found = [LatteCalculator(p, dtype="float64").engine.evaluate(atoms) for p in alone]
    result = LatteCalculator(potential, dtype="float64").get_uncertainty(atoms)
    energy = 2 * np.std([f.energy for f in found], ddof=1)
    assert energy > 1e-6
    assert result.energy == pytest.approx(energy, rel=1e-9)
    np.testing.assert_allclose(result.energies, 2 * np.std([f.energies for f in found], axis=0, ddof=1), atol=1e-12)
    np.testing.assert_allclose(result.forces, 3 * np.std([f.forces for f in found], axis=0, ddof=1), atol=1e-12)
    assert result.worst == pytest.approx(np.sqrt((result.forces**2).sum(axis=1)).max())


def test_it_changes_neither_energies_nor_forces(tiny_potential, atoms):
    potential = tiny_potential("latte", ("Al", "Cu"), repulsion=False)
    plain, calc = LatteCalculator(potential), LatteCalculator(with_committee(potential))
    before = calc.engine.evaluate(atoms)
    calc.get_uncertainty(atoms)
    for a, b, c in zip(plain.engine.evaluate(atoms), before, calc.engine.evaluate(atoms), strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(b, c)


def test_members_are_compiled_once(tiny_potential, atoms):
    calc = LatteCalculator(with_committee(tiny_potential("latte", ("Al", "Cu"), repulsion=False)))
    calc.engine.evaluate(atoms)
    compiled = calc.stats.compilations
    calc.get_uncertainty(atoms)
    assert calc.stats.compilations == compiled


def test_turning_the_structure_changes_no_uncertainty(tiny_potential, atoms):
    calc = LatteCalculator(with_committee(tiny_potential("latte", ("Al", "Cu"), repulsion=False)), dtype="float64")
    turned = atoms.copy()
    turned.rotate(50, (1, 2, 3), rotate_cell=True)
    a, b = calc.get_uncertainty(atoms), calc.get_uncertainty(turned)
    assert b.energy == pytest.approx(a.energy, rel=1e-9)
    np.testing.assert_allclose(b.of_atoms, a.of_atoms, rtol=1e-8)


def test_a_model_without_one_says_what_to_do(tiny_potential, atoms):
    calc = LatteCalculator(tiny_potential("latte", ("Al", "Cu")))
    with pytest.raises(ValueError, match=r"'tiny-latte' has no committee.*latte_ase\.uncertainty\.last_layer"):
        calc.get_uncertainty(atoms)


def test_the_model_file_keeps_it(tiny_potential, atoms, tmp_path):
    potential = with_committee(tiny_potential("latte", ("Al", "Cu"), repulsion=False))
    again = load_model(save_model(potential, tmp_path / "model.safetensors"))
    assert (again.committee.energy_factor, again.committee.forces_factor) == (2.0, 3.0)
    jax.tree.map(np.testing.assert_array_equal, again.committee.members, potential.committee.members)
    a, b = (LatteCalculator(p).get_uncertainty(atoms) for p in (potential, again))
    np.testing.assert_array_equal(a.forces, b.forces)
    assert a.energy == b.energy
    without = replace(potential, committee=replace(potential.committee, shifts=None))
    assert load_model(save_model(without, tmp_path / "without.safetensors")).committee.shifts is None


def test_a_file_with_an_impossible_committee_is_refused(tiny_potential, tmp_path):
    potential = with_committee(tiny_potential("latte", ("Al", "Cu")))
    strange = Committee({"network": {"Dense_1": {"kernel": np.zeros((2, 7))}}})
    path = save_model(replace(potential, committee=strange), tmp_path / "shape.safetensors")
    with pytest.raises(ModelFileError, match=r"committee/members/network/Dense_1/kernel' has the shape \(2, 7\)"):
        load_model(path)
    unknown = Committee({"nothing": np.zeros((2, 1))})
    path = save_model(replace(potential, committee=unknown), tmp_path / "name.safetensors")
    with pytest.raises(ModelFileError, match="committee/members/nothing"):
        load_model(path)


def test_a_file_with_factors_and_no_members_is_refused(tiny_potential, tmp_path):
    path = save_model(with_committee(tiny_potential("latte", ("Al", "Cu"))), tmp_path / "model.safetensors")
    with safe_open(path, framework="numpy") as file:
        text = file.metadata()["latte_ase"]
        arrays = {name: file.get_tensor(name) for name in file.keys() if "members" not in name and "shifts" not in name}  # noqa: SIM118
    path.write_bytes(to_bytes(arrays, {"latte_ase": text, "sha256": digest(arrays, text)}))
    with pytest.raises(ModelFileError, match=r"arrays for \[\] members"):
        load_model(path)


def test_shifts_are_those_of_the_members():
    with pytest.raises(ValueError, match="A committee of 3 members has shifts of E0 for 2"):
        Committee({"a": np.zeros((3, 2))}, shifts=np.zeros((2, 1)))


@pytest.mark.parametrize(
    ("sizes", "factors", "message"),
    [
        ((1,), {}, r"arrays for \[1\] members; it needs two or more, all as many"),
        ((0,), {}, r"arrays for \[0\] members"),
        ((2, 3), {}, r"arrays for \[2, 3\] members"),
        ((3,), {"forces_factor": float("nan")}, r"factors of a committee are 1\.0 and nan; finite ones, not below 0"),
        ((3,), {"forces_factor": -1.0}, r"factors of a committee are 1\.0 and -1\.0"),
        ((3,), {"energy_factor": float("inf")}, r"factors of a committee are inf and 1\.0"),
    ],
)
def test_what_a_committee_is_not(sizes, factors, message):
    with pytest.raises(ValueError, match=message):
        Committee({str(k): np.zeros((size, 2)) for k, size in enumerate(sizes)}, **factors)


def test_training_further_drops_it(tiny_potential, atoms):
    potential = with_committee(tiny_potential("latte", ("Al", "Cu"), repulsion=False))
    frames = []
    for seed in range(3):
        frame = atoms.copy()
        frame.rattle(0.05, seed=seed)
        frame.calc = SinglePointCalculator(frame, energy=float(seed), forces=np.ones((len(atoms), 3)))
        frames.append(frame)
    assert finetune(potential, frames, epochs=1, report=lambda *_: None).potential.committee is None
