"""The code of the README and of the how-to pages runs, in the order in which it stands, and its results are sensible."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from typer.testing import CliRunner

from latte_ase.distillation import exploration

ROOT = Path(__file__).parents[1]
PAGES = {
    name: (ROOT / name).read_text()
    for name in (
        "README.md",
        "docs/howto/calculator.md",
        "docs/howto/check.md",
        "docs/howto/descriptor.md",
        "docs/howto/distillation.md",
        "docs/howto/dynamics.md",
        "docs/howto/labels.md",
        "docs/howto/model.md",
        "docs/howto/structures.md",
        "docs/howto/training.md",
        "docs/live.md",
        "docs/uncertainty.md",
    )
}


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGES[page], re.DOTALL | re.MULTILINE)


def frame(seed):
    """Silicon with labels of a spring model, on the scale of another program's total energies."""
    atoms = bulk("Si", cubic=True, a=5.45)
    perfect = atoms.positions.copy()
    atoms.rattle(0.05, seed=seed)
    forces = -9.0 * (atoms.positions - perfect)
    energy = -100.0 * len(atoms) + 4.5 * ((atoms.positions - perfect) ** 2).sum()
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
    return atoms


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the files that the pages name."""
    path = tmp_path_factory.mktemp("readme")
    write(path / "my_frames.extxyz", [frame(seed) for seed in range(5)])
    write(path / "my_structures.extxyz", bulk("Cu", cubic=True))
    write(path / "other_frames.extxyz", [frame(seed) for seed in range(5, 9)])
    return path


@pytest.fixture(scope="module")
def readme(folder):
    """Names after all Python blocks of the README, which leave the model `my-model`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(exploration, "RUNS", 2)
        patch.setattr(exploration, "SEGMENTS", 2)
        return execute("README.md", {"labels=300": 'labels=20, size="small", epochs=2'})


def execute(page, shorter=()):
    """Names after all Python blocks of a page, in the working folder; {text: text} takes less of what takes minutes."""
    names: dict = {}
    for block in blocks(page, "python"):
        for long, short in dict(shorter).items():
            block = block.replace(long, short)
        exec(block, names)
    return names


def test_the_first_block_of_the_readme():
    block, names = blocks("README.md", "python")[0], {}
    assert len([line for line in block.splitlines() if line.strip()]) == 5
    exec(block, names)
    atoms = names["atoms"]
    assert -6 < atoms.get_potential_energy() / len(atoms) < -5
    assert np.abs(atoms.get_forces()).max() < 1e-3  # by symmetry; float32
    assert atoms.get_stress().shape == (6,)
    assert np.abs(atoms.get_stress()).max() < 0.05


def test_dynamics_and_fine_tuning_of_the_readme(readme, folder):
    assert len(read(folder / "md.traj", ":")) > 1
    assert (folder / "my-model" / "model.safetensors").is_file()
    assert "fine-tuned" in readme["result"].table
    # a poor potential for a poor crystal of springs: what counts is that the scale of energies was found
    atoms = readme["atoms"]
    assert atoms.get_potential_energy() / len(atoms) == pytest.approx(-100, abs=0.5)
    assert "as fast" in readme["pupil"].table
    again = readme["LatteCalculator"].from_pretrained(folder / "my-model")
    assert again.get_potential_energy(atoms) == pytest.approx(atoms.get_potential_energy(), abs=1e-4)


@pytest.fixture
def inside(readme, folder, monkeypatch):
    """The folder in which the README has run, as the working folder."""
    monkeypatch.chdir(folder)


@pytest.mark.usefixtures("inside")
def test_calculator_page(capsys):
    names = execute("docs/howto/calculator.md")
    n = len(names["atoms"])
    assert names["hessian"].shape == names["sparse"].shape == (3 * n, 3 * n)
    assert len(names["features"]) == n
    np.testing.assert_allclose(names["sparse"].toarray(), names["hessian"])
    assert "calls 5, compilations " in capsys.readouterr().out
    assert names["calc"].stats.list_builds == 1


@pytest.mark.usefixtures("inside")
def test_dynamics_page():
    atoms = execute("docs/howto/dynamics.md")["atoms"]
    assert 0 < atoms.get_temperature() < 1000
    assert len(read("long.traj", ":")) == 3


@pytest.mark.usefixtures("inside")
def test_structures_page(capsys):
    names = execute("docs/howto/structures.md")
    out = capsys.readouterr().out
    assert all(f"({atoms}, 3)" in out for atoms in (2, 8, 64))
    assert set(names["evaluation"].metrics) == {"energy_mae", "energy_rmse", "forces_mae", "forces_rmse"}


def test_live_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    session = execute("docs/live.md")["session"]
    assert not session.running
    assert len(read("run.traj", ":")) > 0


@pytest.mark.usefixtures("inside")
def test_uncertainty_page():
    names: dict = {}
    for block in blocks("docs/uncertainty.md", "python")[:2]:
        exec(block, names)
    assert names["sigma"].worst > 0
    assert Path("certain.safetensors").is_file()


@pytest.mark.parametrize("page", ["docs/howto/check.md", "docs/howto/labels.md", "docs/howto/model.md"])
def test_other_pages_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    execute(page)


@pytest.mark.usefixtures("inside")
def test_recipes_of_pages_are_recipes():
    from latte_ase.training import load_config

    for page in ("docs/howto/training.md", "docs/howto/descriptor.md", "docs/howto/labels.md"):
        for text in blocks(page, "toml"):
            Path("recipe.toml").write_text(text)
            assert load_config("recipe.toml").model.name.startswith("my-")


@pytest.mark.parametrize("page", PAGES)
def test_commands_exist(page):
    from latte_ase.cli.app import app

    lines = [line for block in blocks(page, "sh") for line in block.splitlines() if line.startswith("latte-ase ")]
    assert page != "README.md" or len(lines) >= 5
    for line in lines:
        _, command, *rest = shlex.split(line)
        options = [word for word in rest if word.startswith("--")]
        arguments = [command, "--help"] if command != "--help" else [command]
        help_text = CliRunner().invoke(app, arguments, env={"COLUMNS": "200", "TERM": "dumb"})
        assert help_text.exit_code == 0, line
        for option in options:
            assert option in help_text.output, line


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text()
    for block in blocks("README.md", "sh"):
        for target in re.findall(r"^make ([\w-]+)", block, re.MULTILINE):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_links_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", PAGES["README.md"]):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target
