"""`~` in a path is the home folder, wherever a path is given."""

from types import SimpleNamespace

import numpy as np
import pytest
from ase import Atoms, units
from ase.io import write
from typer.testing import CliRunner

from latte_ase import LatteCalculator, evaluation, load_model, plots, save_model, use_compilation_cache
from latte_ase.cli.app import app
from latte_ase.io import compilation_cache
from latte_ase.io.frames import read_frames
from latte_ase.simulate import md
from latte_ase.simulate.output import Files
from latte_ase.training import load_config

RUN = SimpleNamespace(freedom=3, timestep=0.5 * units.fs)
NOTHING = evaluation.Evaluation(np.zeros((1, 2)), np.zeros((1, 3, 2)), np.zeros((0, 6, 2)), np.ones(1, int))


def log(path):
    with Files(None, path, RUN):
        pass


def trajectory(path):
    with Files(path, None, RUN):
        pass


def checkpoint(potential, path):
    atoms = Atoms("OH", positions=[[0, 0, 0], [0, 0, 2.6]])
    md(atoms, LatteCalculator(potential), 1, timestep=units.fs, checkpoint=path, progress=False)


def report(path):
    done = CliRunner().invoke(app, ["check", "ase.calculators.lj:LennardJones", "--only", "result names", "--json", path,
                                    "--elements", "Ar"])  # fmt: skip
    assert (done.exit_code in (0, 1) and done.exception is None) or isinstance(done.exception, SystemExit), done.output


WRITES = {
    "model": lambda potential, path: save_model(potential, path),
    "log": lambda _, path: log(path),
    "trajectory.traj": lambda _, path: trajectory(path),
    "checkpoint": checkpoint,
    "parity.png": lambda _, path: plots.parity(NOTHING, path),
    "report.json": lambda _, path: report(path),
}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder, and another one to work in."""
    for name in ("home", "work"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


@pytest.mark.parametrize("name", WRITES)
def test_what_is_written(name, home, tiny_potential, tmp_path):
    WRITES[name](tiny_potential(), f"~/new/{name}")
    assert (home / "new" / name).is_file()
    assert not list((tmp_path / "work").iterdir())


def test_what_is_read(home, tiny_potential):
    save_model(tiny_potential(), home / "m.safetensors")
    write(home / "a.extxyz", [Atoms("H"), Atoms("O")])
    (home / "c.toml").write_text('[model]\nname = "m"\ncontractions = "2,-"\n[data]\ntrain = "~/a.extxyz"\n')
    assert load_model("~/m.safetensors").elements == ("H", "O")
    assert len(read_frames("~/a.extxyz@0")) == 1
    config = load_config("~/c.toml")
    assert len(read_frames(config.path(config.data.train))) == 2


def test_the_cache_of_compiled_functions(home, monkeypatch):
    changed = []
    monkeypatch.setattr("jax.config.update", lambda *setting: changed.append(setting))
    assert use_compilation_cache("~/jax") == home / "jax"
    assert ("jax_compilation_cache_dir", str(home / "jax")) in changed
    monkeypatch.setenv("XDG_CACHE_HOME", "~/cache")
    assert compilation_cache.cache_folder() == home / "cache" / "latte_ase" / "compiled"
