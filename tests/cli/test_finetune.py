"""`latte-ase finetune`."""

import numpy as np

from latte_ase import load_model


def test_a_model_is_fine_tuned(run, folder, trained, tmp_path):
    tuned = run("finetune", trained[0], folder / "copper.extxyz", "--out", tmp_path / "tuned", "--epochs", "1")
    assert tuned.exit_code == 0, tuned.output
    assert "E0 re-fitted" in tuned.stdout
    assert np.isfinite(load_model(tmp_path / "tuned").reference_energies).all()
