"""Errors beside uncertainties: coverage, ranks, likelihood, and what is missing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from latte_ase.uncertainty import Assessment, assess


@pytest.fixture
def found():
    rng = np.random.default_rng(0)
    forces = np.stack([rng.normal(size=(5, 3)), rng.uniform(0.2, 2.0, size=(5, 3))], axis=-1)
    return Assessment(np.array([[0.5, 1.0], [-1.5, 1.0], [3.0, 1.2], [0.1, 2.0]]), forces)


def ranks(values):
    return np.argsort(np.argsort(values))


def test_coverage_and_ranks_are_those_of_absolute_errors(found):
    m = found.metrics
    assert (m["energy_within_1"], m["energy_within_2"]) == (0.5, 0.75)
    error, sigma = np.abs(found.forces[..., 0]), found.forces[..., 1]
    assert m["forces_within_1"] == (error <= sigma).sum() / 15
    assert m["forces_within_2"] == (error <= 2 * sigma).sum() / 15
    # of energies: errors 0.5, 1.5, 3, 0.1 beside 1, 1, 1.2, 2, of which two share the ranks 0 and 1
    assert m["energy_rank"] == pytest.approx(np.corrcoef([1, 2, 3, 0], [0.5, 0.5, 2, 3])[0, 1])
    of_atoms = [np.linalg.norm(found.forces[..., k], axis=1) for k in (0, 1)]
    assert m["forces_rank"] == pytest.approx(np.corrcoef(*map(ranks, of_atoms))[0, 1])


def test_too_few_frames_have_no_rank(found):
    assert np.isnan(Assessment(found.energy[:2], found.forces).metrics["energy_rank"])


def test_factors_cover_as_much_as_a_normal_distribution_does_within_one_sigma():
    rng = np.random.default_rng(1)
    sigma = rng.uniform(0.5, 2.0, size=(4000, 3))
    forces = np.stack([3.0 * sigma * rng.normal(size=sigma.shape), sigma], axis=-1)
    found = Assessment(np.stack([0.25 * rng.normal(size=4000), np.ones(4000)], axis=-1), forces)
    assert found.factors == pytest.approx((0.25, 3.0), rel=0.05)


def test_the_likelihood_is_that_of_calibrated_normal_errors(found):
    error, sigma = found.forces[..., 0], found.factors[1] * found.forces[..., 1]
    expected = norm.logpdf(error, 0, sigma).mean() + 0.5 * np.log(2 * np.pi)
    assert found.likelihood == pytest.approx(expected, rel=1e-12)


def test_what_is_missing_is_named(base, certain, copper):
    with pytest.raises(ValueError, match=r"has no committee.*latte_ase\.uncertainty\.last_layer"):
        assess(base, copper(2, seed=3))
    with pytest.raises(ValueError, match="0 of 2 frames of the frames to judge by have energy"):
        assess(certain, [atoms.copy() for atoms in copper(2, seed=3)])
