"""Models by name, folder, file and hub address; from a checkout, from a wheel, offline."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import latte_ase
from latte_ase import LatteCalculator, Potential, list_models, load_model
from latte_ase.io import model_file, pretrained
from latte_ase.io.model_file import ModelFileError, save_model
from latte_ase.training.config import load_config
from latte_ase.training.initial import initial_potential

ROOT = Path(latte_ase.__file__).parents[1]


@pytest.fixture(scope="module")
def potential():
    """A random potential."""
    model = {"name": "tiny", "contractions": "2,-:2,a,a", "cutoff": 4.0, "elements": ["H", "O"], "hidden": [8]}
    return initial_potential(load_config({"model": model, "data": {"train": ""}}), [])


@pytest.fixture
def folder(potential, tmp_path):
    """A model folder without checksums."""
    save_model(potential, tmp_path / "tiny" / "model.safetensors")
    return tmp_path / "tiny"


def same(a: Potential, b: Potential) -> bool:
    """Equal in every number."""
    x, y = (model_file.flatten({"p": c.params, "c": c.constants}) for c in (a, b))
    return a.architecture == b.architecture and x.keys() == y.keys() and all(np.array_equal(x[k], y[k]) for k in x)


def test_the_shipped_models():
    assert {"latte-si", "latte-water"} <= set(list_models())
    assert list_models() == sorted(list_models())


@pytest.mark.parametrize("name", ["latte-si", "latte-water"])
def test_a_name_works_in_any_folder_and_is_its_folder_and_its_file(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    by_name = load_model(name)
    assert by_name.metadata["name"] == name
    where = pretrained.models_folder() / name
    for address in (where, str(where), where / "model.safetensors", by_name):
        assert same(load_model(address), by_name)
    assert same(LatteCalculator.from_pretrained(name).potential, by_name)


@pytest.mark.parametrize("what", ["folder", "file"])
def test_beside_a_model_of_that_name_a_name_is_refused_and_both_can_be_named(folder, tmp_path, monkeypatch, what):
    here = tmp_path / "latte-si"
    (folder if what == "folder" else folder / "model.safetensors").rename(here)
    monkeypatch.chdir(tmp_path)
    shipped = pretrained.models_folder() / "latte-si"
    message = (
        f"'latte-si' is the name of a shipped model, and there is a model at {here} too. Write './latte-si' for that one, "
        f"'{shipped}' for the shipped one; or rename yours."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        load_model("latte-si")
    assert load_model(str(shipped)).elements == ("Si",)
    assert load_model("./latte-si").elements == load_model(Path("latte-si")).elements == ("H", "O")


def test_a_folder_of_that_name_without_a_model_is_no_matter(tmp_path, monkeypatch):
    (tmp_path / "latte-si").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load_model("latte-si").elements == ("Si",)
    monkeypatch.chdir(pretrained.models_folder())
    assert load_model("latte-si").elements == ("Si",)


def test_folder_file_and_potential(potential, folder, monkeypatch):
    assert load_model(potential) is potential
    assert same(load_model(folder), potential)
    assert same(load_model(folder / "model.safetensors"), potential)
    monkeypatch.setenv("HOME", str(folder.parent))
    assert same(load_model("~/tiny"), potential)
    calc = LatteCalculator.from_pretrained(folder, dtype="float64", skin=0.1)
    assert (calc.engine.dtype, calc.engine.skin) == (np.float64, 0.1)


@pytest.mark.parametrize(("name", "close"), [("latte-sj", "latte-si"), ("late-water", "latte-water")])
def test_an_unknown_name_lists_the_names_and_suggests_a_close_one(name, close):
    names = re.escape(", ".join(list_models()))
    with pytest.raises(ValueError, match=rf"no model '{name}'\. Did you mean '{close}'\? Shipped models are {names}"):
        load_model(name)


def test_a_strange_name_gets_no_suggestion():
    with pytest.raises(ValueError, match=r"no model 'xyzzy'\. Shipped models are"):
        load_model("xyzzy")


@pytest.mark.parametrize("path", ["nowhere/model.safetensors", "nowhere.safetensors", Path("nowhere") / "folder"])
def test_a_missing_path_is_named(path):
    with pytest.raises(FileNotFoundError, match=r"There is no model file or folder nowhere.*latte-si"):
        load_model(path)


def test_a_folder_without_a_model_says_what_it_should_hold(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no model\.safetensors\. A model folder holds one"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        "{}  model.safetensors\n",
        "{}  ./model.safetensors\n",
        "{} *model.safetensors\n",
        "0  README.md\n{}  model.safetensors\n\n",
    ],
)
def test_checksums_are_checked(potential, folder, line):
    sums = folder / "SHA256SUMS"
    right = model_file.file_sha256(folder / "model.safetensors")
    sums.write_text(line.format(right))
    assert same(load_model(folder), potential)
    wrong = "0" + right[1:] if right[0] != "0" else "1" + right[1:]
    sums.write_text(line.format(wrong))
    message = (
        rf"is not the file that .*SHA256SUMS describes: .*{right[:12]}.*expected {wrong[:12]}.*again; do not use it"
    )
    with pytest.raises(ModelFileError, match=message):
        load_model(folder)


@pytest.mark.parametrize("text", ["", "{}  README.md\n", "{}\n", "no sums\n", "\xff{}  model.safetensors\n"])
def test_checksums_without_that_of_the_model_are_a_failed_check(folder, text):
    right = model_file.file_sha256(folder / "model.safetensors")
    (folder / "SHA256SUMS").write_text(text.format(right), encoding="latin-1")
    with pytest.raises(
        ModelFileError, match=r"SHA256SUMS has no line for model\.safetensors, so the model cannot be checked"
    ):
        load_model(folder)


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """An empty cache of huggingface_hub and no network."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def fill_cache(hub, potential, revision="main", commit="0123456789abcdef0123456789abcdef01234567"):
    """What `hf download owner/name` leaves in the cache."""
    repository = hub / "models--owner--name"
    save_model(potential, repository / "snapshots" / commit / "model.safetensors")
    (repository / "refs").mkdir()
    (repository / "refs" / revision).write_text(commit)


@pytest.mark.parametrize(("revision", "address"), [("main", "hf://owner/name"), ("v2", "hf://owner/name@v2")])
def test_a_hub_address_is_found_in_the_local_cache_offline(hub, potential, revision, address):
    fill_cache(hub, potential, revision)
    assert same(load_model(address), potential)
    assert same(LatteCalculator.from_pretrained(address).potential, potential)


@pytest.mark.parametrize("address", ["hf://owner/name", "hf://owner/other", "hf://owner/name@v3"])
def test_a_hub_address_that_cannot_be_reached_says_how_to_get_it(hub, potential, address):
    fill_cache(hub, potential, "v2")
    repository = address.removeprefix("hf://").split("@")[0]
    with pytest.raises(
        FileNotFoundError, match=rf"not in the local cache.*'hf download {repository}', copy the folder"
    ):
        load_model(address)


@pytest.mark.parametrize("address", ["hf://", "hf://name", "hf://a/b/c", "hf://owner/na me", "hf://owner/name@"])
def test_a_malformed_hub_address_is_refused(address):
    with pytest.raises(ValueError, match="is not a hub address; write 'hf://OWNER/NAME'"):
        load_model(address)


def test_a_hub_address_without_the_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"pip install 'latte_ase\[hub\]'"):
        load_model("hf://owner/name")


def test_an_installed_wheel_in_an_empty_folder_without_a_network(tmp_path):
    def pip(*arguments):
        subprocess.run([sys.executable, "-m", "pip", "-q", "--no-cache-dir", *arguments], check=True, cwd=tmp_path)

    pip("wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", tmp_path / "wheel", ROOT)
    (wheel,) = (tmp_path / "wheel").glob("*.whl")
    pip("install", "--no-deps", "--no-index", "--target", tmp_path / "site", wheel)
    (tmp_path / "empty").mkdir()
    code = (
        "import json, latte_ase\n"
        "calc = latte_ase.LatteCalculator.from_pretrained('latte-si')\n"
        "print(json.dumps([latte_ase.__file__, latte_ase.list_models(), calc.potential.elements]))"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site"), "HF_HUB_OFFLINE": "1"}
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path / "empty", env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    file, names, elements = json.loads(ran.stdout)
    assert Path(file) == tmp_path / "site" / "latte_ase" / "__init__.py"
    assert (names, elements) == (list_models(), ["Si"])
    for name in names:
        shipped = tmp_path / "site" / "latte_ase" / "models" / name / "model.safetensors"
        assert shipped.read_bytes() == (ROOT / "models" / name / "model.safetensors").read_bytes()


def test_a_calculator_stands_for_its_model():
    calc = LatteCalculator.from_pretrained("latte-si")
    assert load_model(calc) is calc.potential
