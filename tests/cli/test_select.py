"""`latte-ase uncertainty`, and `latte-ase select` with the model that it makes."""

import pytest
from ase.io import read

from latte_ase import load_model


@pytest.mark.parametrize("recipe", ["tiny", pytest.param("large", marks=pytest.mark.slow)])
def test_uncertainty_and_select(recipe, run, folder, toml, tmp_path):
    (folder / "large.toml").write_text('preset = "large"\n' + toml.replace('contractions = "2,-:2,a,a"\n', ""))
    trained = run("train", folder / f"{recipe}.toml", "--out", tmp_path / "out")
    assert trained.exit_code == 0, trained.output
    assert f'"kind": "{dict(tiny="latte", large="messages")[recipe]}"' in run("info", tmp_path / "out").stdout
    frames, model = folder / "copper.extxyz", tmp_path / "certain.safetensors"
    made = run("uncertainty", tmp_path / "out", frames, "--held-out", frames, "--out", model, "--members", "3")
    assert made.exit_code == 0, made.output
    assert "within one sigma" in made.stdout and load_model(model).committee is not None
    picked = run("select", model, frames, "--count", "2", "--out", tmp_path / "new" / "picked.extxyz")
    assert picked.exit_code == 0, picked.output
    assert "2 of 4 structures" in picked.stdout
    chosen = read(tmp_path / "new" / "picked.extxyz", ":")
    assert len(chosen) == 2 and chosen[0].info["uncertainty"] >= chosen[1].info["uncertainty"]
    refused = run("select", "latte-si", frames, "--count", "2", "--out", tmp_path / "x.extxyz")
    assert refused.exit_code == 1
