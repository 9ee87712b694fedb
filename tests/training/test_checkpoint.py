"""Checkpoints keep every bit, and fit one configuration only."""

from __future__ import annotations

import jax
import numpy as np
import optax
import pytest

from latte_ase.training import checkpoint
from latte_ase.training.step import State


def state(width=3):
    """What training keeps: scalars, integers, optax' named tuples, empty branches."""
    rng = np.random.default_rng(width)
    params = {"network": {"kernel": rng.normal(size=(2, width)).astype(np.float32)}, "empty": {}}
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-3)).init(params)
    return State(params, jax.tree.map(lambda a: 2 * a, params), optimiser, np.asarray(17, np.int32))


def test_a_round_trip_keeps_every_bit_and_the_structure(tmp_path):
    saved, facts = state(), {"history": [{"loss": 1 / 3, "epoch": 1}], "best": {"loss": np.inf}}
    checkpoint.save(tmp_path / "new" / "c.safetensors", saved, facts)
    found, found_facts = checkpoint.load(tmp_path / "new" / "c.safetensors", jax.tree.map(np.zeros_like, saved))
    assert found_facts == facts
    assert jax.tree.structure(found) == jax.tree.structure(saved)
    for a, b in zip(jax.tree.leaves(saved), jax.tree.leaves(found), strict=True):
        a = np.asarray(a)
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())


def test_more_than_ten_arrays_keep_their_order(tmp_path):
    saved = [np.full(2, k) for k in range(25)]
    checkpoint.save(tmp_path / "c", saved, {})
    found, _ = checkpoint.load(tmp_path / "c", saved)
    np.testing.assert_array_equal(found, saved)


@pytest.mark.parametrize("other", [state(4), (state(), np.zeros(1)), state().params], ids=["width", "more", "less"])
def test_a_checkpoint_of_another_configuration_is_refused(tmp_path, other):
    checkpoint.save(tmp_path / "c", state(), {})
    with pytest.raises(ValueError, match=r"arrays of other shapes than this configuration makes\. Resume with the"):
        checkpoint.load(tmp_path / "c", other)
