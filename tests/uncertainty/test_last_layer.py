"""Last-layer committees: rows against differences, draws against the covariance, coverage on frames not seen."""

from __future__ import annotations

import sys
from dataclasses import replace

import jax
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from jax.flatten_util import ravel_pytree

from latte_ase import LatteCalculator, load_model
from latte_ase.io.model_file import save_model
from latte_ase.model.committee import replaced
from latte_ase.model.program import Program, weights_of
from latte_ase.training.batch_rules import buckets_of
from latte_ase.training.batches import make_batch
from latte_ase.training.dataset import prepare
from latte_ase.uncertainty import assess, last_layer
from latte_ase.uncertainty.assessment import calibrated
from latte_ase.uncertainty.last_layer import _draw, _information, _last, _loss_weights, _rows


@pytest.mark.parametrize("kind", ["latte", "cace"])
def test_rows_are_differences_since_energies_are_linear(kind, tiny_potential, water_like):
    potential = tiny_potential(kind, repulsion=False)
    frame, batch, weights = _batched(potential, water_like)
    probes = np.zeros((1, *batch.graph.is_atom.shape, 3), np.float32)
    probes[0, 0, 1, 2] = 1.0  # the force on one atom along z
    of_energy, of_forces = _rows(Program(potential.architecture), weights, batch.graph, probes)
    energies, forces = _differences(potential, water_like)
    place = int(np.flatnonzero(_place(frame, batch) == 1)[0])
    for found, expected in ((of_energy, energies), (of_forces[0], forces[:, place, 2])):
        assert np.abs(expected).max() > 1e-2
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())


def test_information_is_the_weighted_sum_of_squares(tiny_potential, water_like, monkeypatch):
    """Of the energy exactly, of forces in the mean over many directions; a frame counts for the labels that it has."""
    potential = tiny_potential("latte", repulsion=False)
    labelled = water_like.copy()
    labelled.calc = SinglePointCalculator(labelled, energy=0.0, forces=np.zeros((len(labelled), 3)))
    energies, forces = _differences(potential, water_like)
    n = len(water_like)
    found = _information(potential, [labelled], (7.0, 0.0), 0, None)
    expected = 7 * np.outer(energies, energies) / n**2
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())
    monkeypatch.setattr(sys.modules[_information.__module__], "DIRECTIONS", 4000)
    assert not np.any(_information(potential, [water_like], (7.0, 3.0), 0, None))
    found = _information(potential, [labelled], (0.0, 3.0), 0, None)
    # the trace of 4000 samples scatters by about 2 %
    assert np.trace(found) == pytest.approx(3 * (forces**2).sum() / (3 * n), rel=0.1)


def test_the_likeliest_ridge_is_kept(base, copper, monkeypatch):
    module = sys.modules[_information.__module__]
    likelihoods, made = {}, {}

    def observed(potential, held):
        made[len(made)], found = potential, calibrated(potential, held)
        likelihoods[found[0].committee.forces_factor] = found[1].likelihood
        return found

    monkeypatch.setattr(module, "calibrated", observed)
    kept = last_layer(base, copper(6, seed=0), held_out=copper(8, seed=2), members=3)
    assert len(likelihoods) == len(module.RIDGES)
    assert likelihoods[kept.committee.forces_factor] == max(likelihoods.values())


@pytest.mark.parametrize(
    ("metadata", "weights"),
    [
        ({}, (10.0, 1.0)),
        ({"recipe": {"training": {"energy_weight": 3.0, "force_weight": 2.0}}}, (3.0, 2.0)),
        ({"finetuning": {"training": {"energy_weight": 100.0}}}, (100.0, 1.0)),
    ],
)
def test_the_weights_are_those_of_the_models_training(base, metadata, weights):
    assert _loss_weights(replace(base, metadata=metadata)) == weights


def _batched(potential, atoms):
    """The prepared frame, a batch of it, and weights in single precision."""
    frame = prepare(potential, [atoms])[0]
    grouping = potential.architecture.descriptor.grouping(len(np.unique(frame.species)))
    shapes = buckets_of([frame], 1, grouping=grouping)
    batch = make_batch([frame], potential.reference_energies, shapes, 1, np.float32)
    return frame, batch, weights_of(potential, np.float32)


def _differences(potential, atoms):
    """d/dw of the energy (weights,) and of forces (weights, atoms, 3), by differences, exact since both are linear."""

    def evaluate(weights):
        moved = replace(potential, params=replaced(potential.params, unravel(weights)))
        found = LatteCalculator(moved, dtype="float64").engine.evaluate(atoms)
        return found.energy, found.forces

    flat, unravel = ravel_pytree(_last(potential.architecture, potential.params))
    (energy, forces), step = evaluate(flat), 0.1
    ends = [evaluate(flat + step * (np.arange(len(flat)) == k)) for k in range(len(flat))]
    return np.array([(e - energy) / step for e, _ in ends]), np.array([(f - forces) / step for _, f in ends])


def _place(frame, batch):
    """Flat place of each atom: blocks hold one species each, or atoms as they come."""
    kinds = np.asarray(batch.graph.species)
    if kinds.ndim == 2:
        return np.arange(len(frame.species))
    size = batch.graph.is_atom.shape[1]
    first = {int(s): b * size for b, s in reversed(list(enumerate(kinds))) if batch.graph.is_atom[b].any()}
    seen: dict[int, int] = {}
    places = []
    for s in frame.species:
        places.append(first[int(s)] + seen.get(int(s), 0))
        seen[int(s)] = seen.get(int(s), 0) + 1
    return np.array(places)


def test_members_are_drawn_from_the_inverse(base):
    weights, _ = ravel_pytree(_last(base.architecture, base.params))
    a = np.random.default_rng(0).normal(size=(2 * len(weights), len(weights)))
    information = a.T @ a
    drawn = _draw(base, information, 1e-3, 20_000, 0)
    rows = drawn["network"]["Dense_1"]["kernel"].reshape(20_000, -1) - weights
    covariance = rows.T.astype(float) @ rows
    expected = np.linalg.inv(information + 1e-3 * np.trace(information) / len(weights) * np.eye(len(weights)))
    scale = np.trace(expected) / np.trace(covariance)
    np.testing.assert_allclose(covariance * scale, expected, atol=0.05 * np.abs(expected).max())


def test_two_thirds_of_new_errors_are_within_one_sigma(certain, copper):
    """By construction on the frames of the calibration; on others about."""
    known = assess(certain, copper(40, seed=2)).metrics
    assert known["forces_within_1"] == pytest.approx(0.6827, abs=0.01)
    assert known["energy_within_1"] == pytest.approx(0.6827, abs=0.03)
    new = assess(certain, copper(40, seed=3)).metrics
    assert 0.5 < new["forces_within_1"] < 0.85
    assert new["forces_within_2"] > 0.8


def test_what_is_far_from_the_training_set_is_less_certain(certain, copper):
    calc = LatteCalculator(certain)
    near, far = (np.median([calc.get_uncertainty(a).worst for a in copper(15, seed=4, rattle=r)]) for r in (0.12, 0.45))
    assert far > 2 * near


def test_the_model_itself_is_unchanged(certain, base, copper, tmp_path):
    atoms = copper(1, seed=5)[0]
    again = load_model(save_model(certain, tmp_path / "model.safetensors"))
    energies = [LatteCalculator(p).engine.evaluate(atoms).energy for p in (base, certain, again)]
    assert energies[0] == energies[1] == energies[2]


def test_the_same_seed_gives_the_same_committee(base, copper):
    a, b = (last_layer(base, copper(4, seed=0), held_out=copper(6, seed=2), members=3) for _ in range(2))
    assert a.committee.forces_factor == b.committee.forces_factor
    jax.tree.map(np.testing.assert_array_equal, a.committee.members, b.committee.members)


def test_what_is_missing_is_named(base, copper):
    with pytest.raises(ValueError, match="members is 1; two or more"):
        last_layer(base, copper(2, seed=0), held_out=copper(2, seed=1), members=1)
    bare = [a.copy() for a in copper(2, seed=0)]
    with pytest.raises(ValueError, match="0 of 2 frames of the held-out frames have energy"):
        last_layer(base, copper(2, seed=0), held_out=bare)
    with pytest.raises(ValueError, match="0 of 2 frames of the training set have energy"):
        last_layer(base, bare, held_out=copper(2, seed=0))
