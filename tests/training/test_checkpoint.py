"""Checkpoints keep every bit, and fit one configuration only."""

from __future__ import annotations

import errno
import os

import jax
import numpy as np
import optax
import pytest
from safetensors.numpy import save_file

from latte_ase.training import checkpoint
from latte_ase.training.step import OptimiserState


def state(width=3):
    """What training keeps: scalars, integers, optax' named tuples, empty branches."""
    rng = np.random.default_rng(width)
    params = {"network": {"kernel": rng.normal(size=(2, width)).astype(np.float32)}, "empty": {}}
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-3)).init(params)
    return OptimiserState(params, jax.tree.map(lambda a: 2 * a, params), optimiser, np.asarray(17, np.int32))


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


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_a_damaged_checkpoint_is_refused(tmp_path, share):
    checkpoint.save(tmp_path / "c", state(), {})
    content = (tmp_path / "c").read_bytes()
    (tmp_path / "c").write_bytes(content[: int(share * len(content))])
    with pytest.raises(
        ValueError, match=r"c is not a complete checkpoint \(.*copy it again, or train into another folder\."
    ):
        checkpoint.load(tmp_path / "c", state())


@pytest.mark.parametrize("metadata", [None, {"latte_ase": "{}"}, {"facts": "{"}])
def test_another_safetensors_file_is_no_checkpoint(tmp_path, metadata):
    save_file({"000000": np.zeros(3)}, tmp_path / "c", metadata)
    with pytest.raises(ValueError, match="is not a complete checkpoint"):
        checkpoint.load(tmp_path / "c", [np.zeros(3)])


def test_a_full_disk_leaves_the_last_checkpoint_and_says_how_to_go_on(tmp_path, monkeypatch):
    checkpoint.save(tmp_path / "c", state(), {"epoch": 1})

    def fail(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(
            OSError, match=r"No space left .* unchanged\. Free space.* last checkpoint with resume=True"
        ):
            checkpoint.save(tmp_path / "c", state(), {"epoch": 2})
    assert checkpoint.load(tmp_path / "c", state())[1] == {"epoch": 1}
    assert os.listdir(tmp_path) == ["c"]
