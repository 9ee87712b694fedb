"""`latte-ase finetune`."""

import numpy as np

from latte_ase import load_model


def test_a_model_is_fine_tuned(run, folder, trained, tmp_path):
    tuned = run("finetune", trained[0], folder / "copper.extxyz", "--out", tmp_path / "tuned", "--epochs", "1")
    assert tuned.exit_code == 0, tuned.output
    assert "E0 re-fitted" in tuned.stdout
    assert np.isfinite(load_model(tmp_path / "tuned").reference_energies).all()


def test_a_base_is_chosen_where_none_is_named(run, folder, tmp_path):
    tuned = run("finetune", folder / "copper.extxyz", "--out", tmp_path / "tuned", "--epochs", "1")
    assert tuned.exit_code == 0, tuned.output
    assert "Fine-tuning starts from latte-cu, the " in tuned.stdout
    assert load_model(tmp_path / "tuned").metadata["base"] == "latte-cu"


def test_a_second_model_is_refused(run, folder, tmp_path):
    refused = run("finetune", "latte-cu", "latte-si", folder / "copper.extxyz", "--out", tmp_path / "tuned")
    assert refused.exit_code == 1
    assert "finetune got 3 arguments, latte-cu latte-si " in refused.stderr
    assert "; a model and a file are needed" in refused.stderr
