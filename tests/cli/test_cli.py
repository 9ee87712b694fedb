"""The command line: each command does its job, and mistakes end with one line."""

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from typer.testing import CliRunner

from latte_ase import list_models, load_model
from latte_ase.cli.main import app

TOML = """
[model]
name = "tiny"
contractions = "2,-:2,a,a"
cutoff = 4.0
hidden = [4]
[data]
train = "copper.extxyz"
valid_fraction = 0.25
[training]
epochs = 2
batch_size = 2
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with labelled copper and a configuration."""
    path = tmp_path_factory.mktemp("cli")
    frames = []
    for seed in range(4):
        atoms = bulk("Cu", cubic=True)
        atoms.rattle(0.1, seed=seed)
        atoms.calc = EMT()
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
        frames.append(atoms)
    write(path / "copper.extxyz", frames)
    (path / "tiny.toml").write_text(TOML)
    return path


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_models_lists_every_shipped_model():
    result = run("models")
    assert result.exit_code == 0
    assert all(name in result.stdout for name in list_models())


def test_info_prints_the_architecture():
    result = run("info", "latte-si")
    assert result.exit_code == 0
    assert '"elements"' in result.stdout and "PBE" in result.stdout


def test_train_resume_evaluate_finetune(folder, tmp_path):
    """The life of a model, from a configuration to a fine-tuned copy."""
    out = tmp_path / "out"
    trained = run("train", folder / "tiny.toml", "--out", out)
    assert trained.exit_code == 0, trained.output
    assert "best epoch" in trained.stdout and (out / "model.safetensors").is_file()
    again = run("train", folder / "tiny.toml", "--data", folder, "--out", out, "--resume")
    assert again.exit_code == 0, again.output

    evaluated = run("evaluate", out, folder / "copper.extxyz", "--plot", tmp_path / "parity.png")
    assert evaluated.exit_code == 0, evaluated.output
    assert "forces on Cu" in evaluated.stdout and "meV/atom" in evaluated.stdout
    assert (tmp_path / "parity.png").is_file()

    tuned = run("finetune", out, folder / "copper.extxyz", "--out", tmp_path / "tuned", "--epochs", "1")
    assert tuned.exit_code == 0, tuned.output
    assert "E0 re-fitted" in tuned.stdout
    assert np.isfinite(load_model(tmp_path / "tuned").reference_energies).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("info", "latte-watr"), "There is no model 'latte-watr'. Did you mean 'latte-water'?"),
        (("train", "nothing.toml"), "There is no configuration file nothing.toml"),
        (("evaluate", "latte-si", "nothing.extxyz"), "There is no file nothing.extxyz"),
        (("finetune", "latte-si", "nothing.extxyz", "--out", "x"), "There is no file nothing.extxyz"),
        (("evaluate", "latte-si", "strange.foo"), "ASE does not know the type of this file (foo)."),
        (
            ("uncertainty", "latte-si", "x.xyz", "--held-out", "x.xyz", "--out", "."),
            ". is a folder; give the name of a file",
        ),
    ],
)
def test_mistakes_end_with_one_line(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "strange.foo").write_bytes(b"\x00\x01strange")
    result = run(*arguments)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert message in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("recipe", ["tiny", pytest.param("large", marks=pytest.mark.slow)])
def test_uncertainty_and_select(recipe, folder, tmp_path):
    (folder / "large.toml").write_text('preset = "large"\n' + TOML.replace('contractions = "2,-:2,a,a"\n', ""))
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
