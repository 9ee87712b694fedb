"""Muon for matrices, Adam for all else: the first step, by hand."""

import jax
import numpy as np
import pytest

from latte_ase.model.descriptors import DESCRIPTORS
from latte_ase.model.potential import Architecture, init_params
from latte_ase.training import TrainingConfig
from latte_ase.training.optimiser import RMS, optimiser

TERMS = "4,-:3,a,a:2,ab,ab"
N_STEPS = 200
FIRST = 0.05
"""Share of the peak rate in the first step."""


def first_step(config, gradient, params):
    """The change of the first step, divided by its rate."""
    transformation = optimiser(config, N_STEPS)
    update = jax.jit(lambda g, p: transformation.update(g, transformation.init(p), p)[0])(gradient, params)
    return jax.tree.map(lambda u: np.asarray(u) / (FIRST * config.rate), update)


@pytest.fixture(scope="module")
def params():
    descriptor = DESCRIPTORS["reduced"](contractions=TERMS, cutoff=4.0, n_radial=5)
    return init_params(Architecture(elements=("H", "O"), descriptor=descriptor, hidden=(6, 7)), jax.random.key(0))


@pytest.fixture(scope="module")
def gradient(params):
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda p: rng.normal(size=p.shape).astype(np.float32), params)


@pytest.mark.parametrize(
    "path", [("network", "Dense_0", "kernel"), ("network", "Dense_1", "kernel"), ("descriptor", "mixing")]
)
def test_matrices_move_as_far_in_all_directions(params, gradient, path):
    config = TrainingConfig(weight_decay=0.0, clip=1e9)
    change, slope = first_step(config, gradient, params), gradient
    for key in path:
        change, slope = change[key], slope[key]
    for step, g in zip(change.reshape(-1, *change.shape[-2:]), slope.reshape(-1, *change.shape[-2:]), strict=True):
        u, _, v = np.linalg.svd(g, full_matrices=False)
        singular = np.linalg.svd(step, compute_uv=False) / (RMS * max(step.shape) ** 0.5)
        assert (singular > 0.6).all() and (singular < 1.3).all()  # what the published five iterations leave
        assert np.vdot(step, -(u @ v)) > 0.95 * np.linalg.norm(step) * np.linalg.norm(u @ v)


def test_all_else_moves_by_the_sign_of_the_gradient_as_adam_does(params, gradient):
    muon = first_step(TrainingConfig(weight_decay=0.0, clip=1e9), gradient, params)
    adam = first_step(TrainingConfig(weight_decay=0.0, clip=1e9, optimiser="adamw"), gradient, params)
    step = 1 + 0.9 / 1.9  # with Nesterov's look ahead, b (1 - b) g / (1 - b^2) + g where b = 0.9
    for layer, part in (("Dense_0", "bias"), ("Dense_1", "bias"), ("Dense_2", "bias"), ("Dense_2", "kernel")):
        sign = -np.sign(gradient["network"][layer][part])
        np.testing.assert_allclose(muon["network"][layer][part], step * sign, rtol=1e-3)
        np.testing.assert_allclose(adam["network"][layer][part], sign, rtol=1e-3)
    np.testing.assert_allclose(adam["descriptor"]["mixing"], -np.sign(gradient["descriptor"]["mixing"]), rtol=1e-3)


def test_decay_is_a_share_of_the_weights(params):
    zero = jax.tree.map(np.zeros_like, params)
    change = first_step(TrainingConfig(weight_decay=0.25), zero, params)
    np.testing.assert_allclose(
        change["network"]["Dense_0"]["kernel"], -0.25 * params["network"]["Dense_0"]["kernel"], rtol=1e-4
    )
    assert not np.any(change["descriptor"]["mixing"])
    change = first_step(TrainingConfig(weight_decay=0.0, mixing_decay=0.25), zero, params)
    np.testing.assert_allclose(change["descriptor"]["mixing"], -0.25 * params["descriptor"]["mixing"], rtol=1e-4)
    assert not np.any(change["network"]["Dense_0"]["kernel"])


def test_an_unknown_optimiser_is_refused():
    with pytest.raises(ValueError, match="optimiser is 'sgd'; allowed are muon, adamw"):
        TrainingConfig(optimiser="sgd")


def test_the_rate_rises_and_falls_as_a_cosine():
    """Adam's step has the size of the rate while the gradient stays the same."""
    steps, warm = 200, 4
    config = TrainingConfig(optimiser="adamw", weight_decay=0.0, rate=1.0, clip=1e9, warmup=warm / steps)
    transformation, gradient = optimiser(config, steps), {"a": np.ones(3, np.float32)}

    def one(state, _):
        update, state = transformation.update(gradient, state, gradient)
        return state, -update["a"][0]

    _, rates = jax.jit(lambda state: jax.lax.scan(one, state, None, length=steps + 1))(transformation.init(gradient))
    k = np.arange(steps + 1)
    falling = 0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * np.maximum(k - warm, 0) / (steps - warm)))
    np.testing.assert_allclose(rates, np.where(k < warm, FIRST + (1 - FIRST) * k / warm, falling), rtol=1e-4)


@pytest.mark.parametrize(("clip", "seen"), [(1.0, False), (1e9, True)])
def test_a_gradient_beyond_the_clip_counts_as_one_of_its_length(clip, seen):
    transformation = optimiser(TrainingConfig(optimiser="adamw", weight_decay=0.0, rate=1.0, clip=clip), N_STEPS)
    gradient = {"a": np.full(3, 2.0, np.float32)}

    @jax.jit
    def second(factor):
        _, state = transformation.update(gradient, transformation.init(gradient), gradient)
        return transformation.update(jax.tree.map(lambda g: factor * g, gradient), state, gradient)[0]["a"]

    assert np.allclose(second(1.0), second(1e4), rtol=1e-5, atol=0) is not seen
