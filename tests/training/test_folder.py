"""The checkpoint of a training goes back to where each array was, and fits one configuration only."""

from __future__ import annotations

import jax
import numpy as np
import optax
import pytest

from latte_ase.training.folder import CHECKPOINT, TrainingFolder, check_folder
from latte_ase.training.trainer_state import TrainerState


def state(names=("kernel", "bias"), width=3):
    """What training keeps: scalars, integers, optax' named tuples, empty branches."""
    rng = np.random.default_rng(width)
    params = {"network": {name: rng.normal(size=(2, width)).astype(np.float32) for name in names}, "empty": {}}
    made = TrainerState.start(params, optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-3)))
    made.judge({"epoch": 1, "criterion": 1 / 3})
    made.best_trained = jax.tree.map(lambda a: 2 * a, params)
    return made


def folder(path, **how):
    return TrainingFolder(path, **{"identity": "mine", "epochs": 5, **how})


def zeros(like):
    """The same tree with other numbers, as a training has it at its start."""
    return TrainerState(*jax.tree.map(np.zeros_like, (like.optimiser, like.best_trained)))


def test_a_state_comes_back_in_every_bit(tmp_path):
    saved = state()
    folder(tmp_path).save(saved)
    found = folder(tmp_path, resume=True).open(zeros(saved))
    assert (found.history, found.best, found.epoch) == (saved.history, saved.best, 1)
    trees = [(s.optimiser, s.best_trained) for s in (saved, found)]
    assert jax.tree.structure(trees[0]) == jax.tree.structure(trees[1])
    for a, b in zip(*map(jax.tree.leaves, trees), strict=True):
        a = np.asarray(a)
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (state(width=4), r"best/network/bias has the shape \(2, 3\), \(2, 4\) is needed"),
        (state(("kernel", "bias", "shift")), r"best/network/shift has the shape None, \(2, 3\) is needed"),
        (state(("kernel",)), r"best/network/bias has the shape \(2, 3\), None is needed"),
        (state(("bias", "mixing")), r"best/network/kernel has the shape \(2, 3\), None is needed"),
    ],
    ids=["width", "more", "less", "as many of the same shapes"],
)
def test_one_of_another_configuration_is_refused(tmp_path, other, message):
    folder(tmp_path).save(state())
    with pytest.raises(
        ValueError, match=rf"other arrays than this configuration makes: {message}\. Resume with the configuration"
    ):
        folder(tmp_path, resume=True).open(other)


def test_one_of_another_training_is_refused(tmp_path):
    folder(tmp_path).save(state())
    with pytest.raises(
        ValueError, match="was written by a training on other frames, with other settings or from another"
    ):
        folder(tmp_path, identity="yours", resume=True).open(state())


def test_without_resume_a_training_starts_anew(tmp_path):
    folder(tmp_path).save(state())
    (tmp_path / f".{CHECKPOINT}.{'0' * 32}").write_bytes(b"half of it")
    start = state()
    assert folder(tmp_path).open(start) is start
    assert not list(tmp_path.glob(".*"))


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    path = tmp_path / "model"
    path.write_text("")
    with pytest.raises(
        NotADirectoryError, match=r"model is a file; a folder is needed to train into\. Name another one"
    ):
        check_folder(path, resume=False)
