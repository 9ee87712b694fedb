"""Both differences are those of their formulas, and of order |u|^2 where forces are the gradient of the energy."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from latte_ase import LatteCalculator
from latte_ase.model.derivatives import of_structures
from latte_ase.model.program import Program, weights_of
from latte_ase.training.batch_rules import buckets_of
from latte_ase.training.batches import make_batch
from latte_ase.training.config import TrainingConfig, load_config
from latte_ase.training.consistency import _directions, differences, inconsistency
from latte_ase.training.dataset import prepare
from latte_ase.training.initial import initial_potential

SKIN = 0.2


def structures():
    alloy = bulk("Cu", cubic=True, a=3.8)
    alloy.symbols = "CuAlAlCu"
    alloy.rattle(0.1, seed=1)
    return [alloy, Atoms("AlCuAl", [(0, 0, 0), (2.3, 0.3, 0), (0.5, 2.4, 0.6)])]


@pytest.fixture(scope="module")
def potential():
    model = {"name": "tiny", "contractions": "4,-:4,a,a", "cutoff": 4.0, "elements": ["Al", "Cu"], "hidden": [8]}
    return initial_potential(load_config({"model": model, "data": {"train": ""}}), [])


@pytest.fixture(scope="module")
def batch(potential):
    """Two structures in double precision, with room for a third."""
    prepared = prepare(potential, structures(), skin=SKIN)
    with jax.enable_x64(True):
        return make_batch(prepared, np.zeros(2), buckets_of(prepared, 3), 3, np.float64)


@pytest.fixture(scope="module")
def found(potential, batch):
    """Function (displacement, factor on the forces) -> both differences per structure."""
    program, weights = Program(potential.architecture), weights_of(potential, np.float64)

    @partial(jax.jit, static_argnums=())
    def both(displacement, factor):
        predicted = of_structures(program, weights, batch.graph, 3)
        predicted = predicted._replace(forces=factor * predicted.forces)
        key = jax.random.key(0)
        return differences(program, weights, batch, predicted, key, displacement)

    def call(displacement, factor=1.0):
        with jax.enable_x64(True):
            return np.array(both(displacement, factor))

    return call


def test_differences_equal_those_of_displaced_atoms(potential, batch, found):
    with jax.enable_x64(True):
        u, v = (np.asarray(0.05 * _directions(k, batch)) for k in jax.random.split(jax.random.key(0)))
    calc = LatteCalculator(potential, dtype="float64")

    def energy_and_forces(atoms, displacement):
        moved = atoms.copy()
        moved.positions += displacement
        moved.calc = calc
        return moved.get_potential_energy(), moved.get_forces()

    prepared = prepare(potential, structures(), skin=SKIN)
    species = np.concatenate([f.species for f in prepared])
    place = np.empty(len(species), int)
    blocks = np.asarray(batch.graph.species)
    for s in (0, 1):  # atoms of a species, in order, fill the blocks of that species
        free = np.flatnonzero((np.asarray(batch.graph.is_atom) * (blocks == s)[:, None]).ravel())
        place[species == s] = free
    start = 0
    for k, atoms in enumerate(structures()):
        rows = place[start : start + len(atoms)]
        start += len(atoms)
        here, there = u.reshape(-1, 3)[rows], v.reshape(-1, 3)[rows]
        e, f = energy_and_forces(atoms, 0)
        e_u, _ = energy_and_forces(atoms, here)
        e_v, f_v = energy_and_forces(atoms, there)
        expected = e - (here * f).sum()
        taylor, spatial = (e_u - expected) / len(atoms), (e_v - ((here - there) * f_v).sum() - expected) / len(atoms)
        np.testing.assert_allclose(found(0.05)[:, k], [taylor, spatial], rtol=1e-9)


def test_both_are_of_second_order(found):
    large, small = found(4e-3)[:, :2], found(2e-3)[:, :2]
    np.testing.assert_allclose(large / small, 4, rtol=0.1)
    assert np.abs(small).min() > 1e-9


def test_of_first_order_where_forces_are_not_the_gradient(found):
    """The test above can fail."""
    large, small = found(4e-3, 1.1)[0, :2], found(2e-3, 1.1)[0, :2]
    np.testing.assert_allclose(large / small, 2, rtol=0.3)


def test_the_loss_weighs_mean_squares(potential, batch, found):
    program, weights = Program(potential.architecture), weights_of(potential, np.float64)
    config = TrainingConfig(taylor_weight=3.0, spatial_weight=0.5, displacement=0.05)
    with jax.enable_x64(True):
        predicted = of_structures(program, weights, batch.graph, 3)
        squares, structures = inconsistency(program, weights, batch, predicted, jax.random.key(0), config)
    taylor, spatial = found(0.05)
    assert taylor[2] == spatial[2] == 0  # room for a third structure, empty
    assert float(squares) == pytest.approx(3 * (taylor**2).sum() + 0.5 * (spatial**2).sum(), rel=1e-9)
    assert structures == 2


def test_pairs_reach_as_far_as_two_atoms_may_come_closer():
    config = TrainingConfig(taylor_weight=1.0, displacement=0.03)
    assert config.consistency and config.skin == pytest.approx(0.06)
    assert replace(config, taylor_weight=0.0).skin == 0


def test_directions_are_uniform_on_the_sphere(batch):
    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(0), 400)
        found = np.asarray(jax.jit(jax.vmap(lambda key: _directions(key, batch)))(keys)).reshape(-1, 3)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-12)
    count = len(found)
    assert np.abs(found.mean(axis=0)).max() < 4 / np.sqrt(3 * count)
    # x^2 has the variance 4/45, x y has 1/15
    np.testing.assert_allclose(found.T @ found / count, np.eye(3) / 3, atol=4 * np.sqrt(4 / 45 / count))
