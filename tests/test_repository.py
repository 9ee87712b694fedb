"""What a checkout has to look like: clean notebooks, complete models, no traces of a machine."""

import hashlib
import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODELS = sorted(p for p in (ROOT / "models").iterdir() if p.is_dir())
NOTEBOOKS = sorted((ROOT / "tutorials").glob("*.ipynb"))
MACHINE_PATH = re.compile(rb"(?<![\w.~-])/(?:work|home|root|Users|mnt)/")


def name(path):
    return path.name


def tracked_files():
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is not a git checkout")
    return [p for p in (ROOT / part.decode() for part in listed.split(b"\0") if part) if p.is_file()]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_notebook_is_clean(path):
    notebook = json.loads(path.read_text())
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for cell in code:
        assert cell["outputs"] == []
        assert cell["execution_count"] is None
    first, last = notebook["cells"][0], notebook["cells"][-1]
    assert "pip install" in "".join(first["source"])
    assert "own system" in "".join(last["source"])
    lines = [[line for line in cell["source"] if line.strip()] for cell in code]
    assert len(lines[0]) <= 5
    assert sum(map(len, lines)) < 120


def test_there_are_tutorials():
    assert [p.stem for p in NOTEBOOKS] == [
        "01_first_steps",
        "02_water",
        "03_finetune",
        "04_surfaces_and_vibrations",
        "05_train",
        "06_uncertainty",
        "07_your_own_descriptor",
        "08_latte_in_plain_jax",
        "09_live",
        "11_distillation",
    ]


@pytest.mark.parametrize("folder", MODELS, ids=name)
def test_model_folder_is_complete(folder):
    for file in ("README.md", "recipe.toml", "reference.json", "SHA256SUMS", "model.safetensors"):
        assert (folder / file).is_file(), file
    sums = dict(reversed(line.split()) for line in (folder / "SHA256SUMS").read_text().splitlines())
    assert sums["model.safetensors"] == hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert tomllib.loads((folder / "recipe.toml").read_text())["model"]["name"] == folder.name
    json.loads((folder / "reference.json").read_text())


def test_models_are_small():
    total = sum(p.stat().st_size for folder in MODELS for p in folder.rglob("*") if p.is_file())
    assert total < 40e6


def test_no_machine_paths():
    here = Path(__file__).resolve()
    for path in tracked_files():
        content = path.read_bytes()
        if path.resolve() == here or b"\0" in content:  # binary
            continue
        match = MACHINE_PATH.search(content)
        assert match is None, f"{path.relative_to(ROOT)}: {match and match.group()}"


def test_no_data_sets():
    """Labelled structures stay out of the repository; the largest text is a notebook or a lock of references."""
    for path in tracked_files():
        assert path.suffix not in {".extxyz", ".xyz", ".traj", ".npz", ".h5", ".hdf5"}, path
        assert path.stat().st_size < 5e6, path
