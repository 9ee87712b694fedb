"""The README's code runs, in the order in which it stands, and its results are sensible."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from typer.testing import CliRunner

README = (Path(__file__).parents[1] / "README.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def frame(seed):
    """Silicon with labels of a spring model, on the scale of another program's total energies."""
    atoms = bulk("Si", cubic=True, a=5.45)
    perfect = atoms.positions.copy()
    atoms.rattle(0.05, seed=seed)
    forces = -9.0 * (atoms.positions - perfect)
    energy = -100.0 * len(atoms) + 4.5 * ((atoms.positions - perfect) ** 2).sum()
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
    return atoms


def test_python_blocks(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write("my_frames.extxyz", [frame(seed) for seed in range(5)])
    write("other_frames.extxyz", [frame(seed) for seed in range(5, 9)])
    example, domain, beyond, dynamics, many, finetuning, doubt, own, precision, stats = blocks("python")
    names: dict = {}

    assert len([line for line in example.splitlines() if line.strip()]) == 5
    exec(example, names)
    atoms = names["atoms"]
    assert isinstance(atoms, Atoms)
    assert -6 < atoms.get_potential_energy() / len(atoms) < -5
    assert np.abs(atoms.get_forces()).max() < 1e-3  # by symmetry; float32
    stress = atoms.get_stress()
    assert stress.shape == (6,)
    assert np.abs(stress).max() < 0.05

    exec(domain, names)
    exec(beyond, names)
    n = len(atoms)
    assert names["hessian"].shape == names["sparse"].shape == (3 * n, 3 * n)
    assert len(names["features"]) == n
    np.testing.assert_allclose(names["sparse"].toarray(), names["hessian"])

    exec(dynamics, names)
    assert len(read("md.traj", ":")) > 1
    assert 0 < atoms.get_temperature() < 1000
    capsys.readouterr()
    exec(many, names)
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if f"({n}, 3)" in line or f"({8 * n}, 3)" in line or "(2, 3)" in line]) == 3

    exec(finetuning, names)
    result = names["result"]
    assert Path("my-model/model.safetensors").is_file()
    assert "fine-tuned" in result.table
    # a poor potential for a poor crystal of springs: what counts is that the scale of energies was found
    assert atoms.get_potential_energy() / len(atoms) == pytest.approx(-100, abs=0.5)
    again = names["LatteCalculator"].from_pretrained("my-model")
    assert again.get_potential_energy(atoms) == pytest.approx(atoms.get_potential_energy(), abs=1e-4)

    exec(doubt, names)
    assert names["doubt"].worst > 0
    exec(own, names)
    assert Path("certain.safetensors").is_file()

    exec(precision, names)
    capsys.readouterr()
    exec(stats, names)
    assert capsys.readouterr().out.startswith("calls 1, compilations ")
    assert names["calc"].stats.list_builds == 1
    assert atoms.get_forces().dtype == np.float64


def test_commands_exist():
    from latte_ase.cli.app import app

    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("latte-ase ")]
    assert len(lines) >= 5
    for line in lines:
        _, command, *rest = shlex.split(line)
        help_text = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
        assert help_text.exit_code == 0, line
        for option in (word for word in rest if word.startswith("--")):
            assert option in help_text.output, line


def test_make_targets_exist():
    makefile = (Path(__file__).parents[1] / "Makefile").read_text()
    for block in blocks("sh"):
        for target in re.findall(r"^make ([\w-]+)", block, re.MULTILINE):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_links_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if not target.startswith("http"):
            assert (Path(__file__).parents[1] / target).exists(), target
