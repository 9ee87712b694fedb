"""Labelled copper, a configuration, a model trained by the command line, and the command itself."""

from __future__ import annotations

import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from typer.testing import CliRunner

from latte_ase.cli.app import app

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


@pytest.fixture(scope="session")
def toml():
    """Text of a configuration that trains for a second."""
    return TOML


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


def _run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture(scope="session")
def run():
    """Function (*arguments) -> what `latte-ase ARGUMENTS` printed, and its exit status."""
    return _run


@pytest.fixture(scope="module")
def trained(folder):
    """A folder with a model, and what training it printed."""
    result = _run("train", folder / "tiny.toml", "--out", folder / "out")
    assert result.exit_code == 0, result.output
    return folder / "out", result.stdout
