"""Where training starts: scales of the features, of energies and forces, and the frames they are taken from."""

from __future__ import annotations

import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator

from latte_ase import LatteCalculator
from latte_ase.io.labels import label
from latte_ase.training.dataset import closest_approaches, fewest_neighbours, prepare
from latte_ase.training.initial import _sample, with_constants


@pytest.fixture
def frames(water_like):
    """Water-like clusters of different sizes with random forces."""
    rng, made = np.random.default_rng(0), []
    for k in range(5):
        atoms = water_like[: len(water_like) - k % 3]
        atoms.rattle(0.1, seed=k)
        atoms.calc = SinglePointCalculator(atoms, energy=0.0, forces=rng.normal(size=(len(atoms), 3)))
        made.append(atoms)
    return made


def test_constants_are_means_and_deviations_over_the_atoms_of_each_element(tiny_potential, frames):
    potential = tiny_potential("latte", repulsion=False)
    found = with_constants(potential, prepare(potential, frames)).constants
    calc = LatteCalculator(potential, dtype="float64")
    features = np.concatenate([calc.get_descriptors(atoms) for atoms in frames])
    species = np.concatenate([potential.species(atoms.numbers) for atoms in frames])
    assert set(species) == {0, 1}
    for s in (0, 1):
        np.testing.assert_allclose(found["mean"][s], features[species == s].mean(axis=0), rtol=1e-4, atol=1e-5)
    forces = np.concatenate([label(atoms, "forces") for atoms in frames])
    assert found["scale"] == pytest.approx(np.sqrt(np.mean(forces**2)), rel=1e-12)


def test_frames_of_a_rare_element_are_in_the_sample(tiny_potential, frames):
    potential = tiny_potential("latte", repulsion=False)
    oxygen_only = frames[0][frames[0].numbers == 8]
    common, rare = prepare(potential, [oxygen_only, frames[0]])
    many = [common] * 1000
    many[3] = many[700] = rare
    found = _sample(many, 2, 64)
    assert {3, 700} <= set(found) and len(found) < 80


def test_the_domain_is_that_of_the_frames(tiny_potential, frames):
    potential = tiny_potential("latte", repulsion=False)
    prepared = prepare(potential, frames)
    domain = with_constants(potential, prepared).domain
    np.testing.assert_array_equal(domain.closest, closest_approaches(prepared, 2))
    np.testing.assert_array_equal(domain.fewest, fewest_neighbours(prepared, 2, domain.radius))
    assert (domain.fewest > 0).all()
