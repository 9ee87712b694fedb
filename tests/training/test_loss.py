"""The loss of a batch is the formula of its docstring, whatever labels are there."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator

from latte_ase import LatteCalculator
from latte_ase.model.derivatives import of_structures
from latte_ase.model.program import Program, weights_of
from latte_ase.training.batch_rules import buckets_of
from latte_ase.training.batches import make_batch, mean_weights
from latte_ase.training.config import load_config
from latte_ase.training.dataset import prepare
from latte_ase.training.initial import initial_potential
from latte_ase.training.loss import Errors, add, criterion, errors, loss, metrics


@pytest.fixture(scope="module")
def potential():
    """A random potential of aluminium and copper."""
    model = {"name": "tiny", "contractions": "2,-:2,a,a", "cutoff": 4.0, "elements": ["Al", "Cu"], "hidden": [8]}
    made = initial_potential(load_config({"model": model, "data": {"train": ""}}), [])
    return replace(made, reference_energies=np.array([-3.0, -4.0]))


def labelled(atoms, names, seed):
    """The atoms with random labels."""
    rng = np.random.default_rng(seed)
    labels = {"energy": rng.normal(), "forces": rng.normal(size=(len(atoms), 3)), "stress": rng.normal(size=6)}
    atoms.calc = SinglePointCalculator(atoms, **{name: labels[name] for name in names})
    return atoms


def alloy():
    atoms = bulk("Cu", cubic=True, a=3.8)
    atoms.symbols = "CuAlAlCu"
    atoms.rattle(0.1, seed=1)
    return atoms


def cluster():
    return Atoms("AlCuAl", [(0, 0, 0), (2.3, 0.3, 0), (0.5, 2.4, 0.6)])


@pytest.mark.parametrize(
    ("first", "second"),
    [(("energy", "forces", "stress"), ("energy", "forces")), (("energy", "stress"), ("forces",))],
    ids=["full", "partial"],
)
def test_the_sums_of_a_batch_equal_numpy(potential, first, second):
    frames = [labelled(alloy(), first, 1), labelled(cluster(), second, 2)]
    prepared = prepare(potential, frames)
    shapes = buckets_of(prepared, 3)
    with jax.enable_x64(True):
        batch = make_batch(prepared, potential.reference_energies, shapes, 3, np.float64)  # room for a third
        sums = _errors(Program(potential.architecture), weights_of(potential, np.float64), batch, 0.7)
        total = float(loss(sums, (10.0, 1.0, 5.0)))
    found = Errors(*(float(x) for x in sums))

    calc = LatteCalculator(potential, dtype="float64")
    energy, forces, stress = [], [], []
    for atoms in frames:
        labels, copy = atoms.calc.results, atoms.copy()
        copy.calc = calc
        if "energy" in labels:
            energy.append((copy.get_potential_energy() - labels["energy"]) / len(atoms))
        if "forces" in labels:
            forces.append((copy.get_forces() - labels["forces"]).ravel())
        if "stress" in labels:
            xx, yy, zz, yz, xz, xy = copy.get_stress() - labels["stress"]
            stress.append(np.array([xx, yy, zz, yz, yz, xz, xz, xy, xy]))  # nine components of a tensor
    energy, forces, stress = np.array(energy), np.concatenate(forces), np.concatenate(stress)
    expected = Errors(
        np.abs(energy).sum(), (energy**2).sum(), np.abs(forces).sum(), (forces**2).sum(),
        np.abs(stress).sum(), (stress**2).sum(),
        linear(energy).sum(), linear(forces).sum(), linear(stress).sum(),
        len(energy), len(forces), len(stress),
    )  # fmt: skip
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    means = [np.mean(linear(x)) for x in (energy, forces, stress)]
    assert total == pytest.approx(np.dot((10.0, 1.0, 5.0), means), rel=1e-10)


def linear(x):
    """Squares, and beyond 0.7 the tangent there."""
    return np.where(abs(x) < 0.7, x**2, 0.7**2 + 2 * 0.7 * (abs(x) - 0.7))


@partial(jax.jit, static_argnums=0)
def _errors(program, weights, batch, delta):
    return errors(of_structures(program, weights, batch.graph, 3), batch, delta)


@pytest.mark.parametrize("weight", [2.0, 3.0])
def test_a_frame_of_a_whole_weight_is_that_frame_so_many_times(potential, weight):
    """Loss and gradient, in one batch and in batches of one frame, of a mixed set."""
    frames = [labelled(alloy(), ("energy", "forces", "stress"), 1), labelled(cluster(), ("forces",), 2)]
    frames += [labelled(cluster(), ("energy", "forces"), 3)]
    frames[0].info["weight"] = weight
    weighted = prepare(potential, frames)
    repeated = [replace(frame, weight=1.0) for frame in [*int(weight) * [weighted[0]], *weighted[1:]]]

    with jax.enable_x64(True):
        weights = weights_of(potential, np.float64)

        def value_of(params, batch):
            predicted = of_structures(Program(potential.architecture), weights._replace(params=params), batch.graph, 5)
            return loss(errors(predicted, batch, 0.7), (10.0, 1.0, 5.0))

        gradient_of = jax.jit(jax.value_and_grad(value_of))
        shapes = buckets_of(repeated, 5)

        def results(chosen, whole):
            mean = mean_weights(whole)
            batch = make_batch(chosen, potential.reference_energies, shapes, 5, np.float64, weights=mean)
            return gradient_of(weights.params, batch)

        for one, other in zip(
            *map(jax.tree.leaves, (results(weighted, weighted), results(repeated, repeated))), strict=True
        ):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
        alone, plain = results(weighted[:1], weighted), results(repeated[:1], repeated)
    # energies: mean of weight, 1; forces: 12 components of weight, 18; stress: the only one
    parts = mean_weights(weighted)
    np.testing.assert_allclose(parts, [(weight + 1) / 2, (12 * weight + 18) / 30, weight])
    assert alone[0] > plain[0]  # its weight counts in a batch of its own too


def sums_of(**known):
    """Sums that are zero but for the known ones."""
    return Errors(**(dict.fromkeys(Errors._fields, 0.0) | known))


def test_no_label_at_all_costs_nothing():
    assert loss(sums_of(), (1.0, 1.0, 1.0)) == 0
    assert criterion(sums_of(), (1.0, 1.0, 1.0)) == 0


def test_one_odd_frame_does_not_choose_the_epoch():
    """Errors 1, 1, 1, 1 and 7 against 2, 2, 2, 2 and 5: most frames are better at first, squares say the opposite."""
    first, second = (
        sums_of(forces_abs=sum(x), forces_sq=sum(v * v for v in x), forces_loss=sum(v * v for v in x), n_forces=5.0)
        for x in ((1.0, 1.0, 1.0, 1.0, 7.0), (2.0, 2.0, 2.0, 2.0, 5.0))
    )
    weights = (10.0, 4.0, 0.0)
    assert criterion(first, weights) == pytest.approx(2.0 * 11 / 5)
    assert criterion(first, weights) < criterion(second, weights)
    assert loss(first, weights) > loss(second, weights)


def test_metrics_are_means_in_milli_units():
    sums = add(
        sums_of(energy_abs=1.0, energy_sq=2.0, forces_abs=3.0, forces_sq=6.0, n_energy=1.0, n_forces=2.0),
        sums_of(energy_abs=1.0, energy_sq=2.0, forces_abs=5.0, forces_sq=12.0, n_energy=1.0, n_forces=2.0),
    )
    assert metrics(sums) == pytest.approx(
        {
            "energy_mae": 1000.0,
            "energy_rmse": 1000 * 2**0.5,
            "forces_mae": 2000.0,
            "forces_rmse": 1000 * 4.5**0.5,
        }
    )
    assert np.isnan(metrics(sums_of())["forces_mae"])
    assert metrics(sums_of(stress_sq=9.0, n_stress=1.0))["stress_rmse"] == pytest.approx(3000)


def test_the_criterion_weighs_absolute_errors_by_the_roots_of_the_weights():
    sums = sums_of(energy_abs=6.0, n_energy=3.0, forces_abs=10.0, n_forces=5.0, stress_abs=8.0, n_stress=2.0)
    assert criterion(sums, (9.0, 4.0, 25.0)) == pytest.approx(3 * 2 + 2 * 2 + 5 * 4)
