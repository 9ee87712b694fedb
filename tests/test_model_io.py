"""The model file: exact, safe, and refused when anything about it changed."""

from __future__ import annotations

import json
import os
import pickle
from dataclasses import replace

import jax
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

import latte_ase
from latte_ase import model_io
from latte_ase.descriptors import Latte, Reduced
from latte_ase.model_io import ModelFileError
from latte_ase.potential import Architecture, Potential, init_params

TERMS = "2,-:2,a,a"


def make(descriptor=None, **architecture):
    """A potential with random numbers everywhere."""
    descriptor = descriptor or Latte(contractions=TERMS, cutoff=4.0)
    made = Architecture(elements=("H", "O"), descriptor=descriptor, **{"hidden": (8,)} | architecture)
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(lambda: init_params(made, jax.random.key(0)))
    params = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(leaf.dtype), shapes)
    sizes = {"mean": (2, 4), "deviation": (2, 4), "scale": (), "repulsion_range": (2, 2)}
    constants = {name: rng.normal(size=size) for name, size in sizes.items()}
    metadata = {"name": "tiny", "note": "Å, ½", "numbers": [1, 2.5, None], "deep": {"a": True}}
    return Potential(made, params, constants, np.array([1 / 3, -1e5 / 7]), metadata)


@pytest.fixture(scope="module")
def potential():
    return make()


@pytest.fixture
def file(potential, tmp_path):
    """A model file."""
    return potential.save(tmp_path / "model.safetensors")


def rewrite(file, *, text=None, **metadata):
    """Another description in a model file, with everything else kept and the checksum put right."""
    with safe_open(file, framework="numpy") as opened:
        arrays = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        old = opened.metadata()
    text = old["latte_ase"] if text is None else text
    save_file(arrays, file, {"latte_ase": text, "sha256": model_io.digest(arrays, text)} | metadata)
    return file


def description(file):
    """The JSON of a model file."""
    with safe_open(file, framework="numpy") as opened:
        return json.loads(opened.metadata()["latte_ase"])


def assert_identical(a, b):
    """The same architecture, and arrays that agree in every bit, shape and type."""
    assert a.architecture == b.architecture
    assert hash(a.architecture) == hash(b.architecture)  # it is the key of compiled functions
    for name in ("params", "constants"):
        x, y = (model_io.flatten(getattr(potential, name)) for potential in (a, b))
        assert x.keys() == y.keys()
        for key in x:
            assert (x[key].dtype, x[key].shape) == (y[key].dtype, y[key].shape), key
            assert x[key].tobytes() == y[key].tobytes(), key
    assert b.reference_energies.dtype == np.float64
    np.testing.assert_array_equal(a.reference_energies, b.reference_energies)


@pytest.mark.parametrize(
    "model",
    [
        {},
        {"descriptor": Latte(contractions=TERMS, cutoff=5.0, species_mode="embedded", min_width=0.3)},
        {"descriptor": Latte(contractions=TERMS, cutoff=4.0, pair_cutoffs=((0, 0, 3.0), (0, 1, 3.5)))},
        {"descriptor": Reduced(contractions=TERMS, cutoff=4.0, n_radial=3)},
        {"activation": "gaussian", "hidden": (4, 3), "repulsion": False},
    ],
    ids=["latte", "embedded", "pair cutoffs", "reduced", "network"],
)
def test_a_round_trip_keeps_every_bit(model, tmp_path):
    potential = make(**model)
    found = model_io.load(potential.save(tmp_path / "new" / "folder" / "a.safetensors"))
    assert_identical(potential, found)
    assert found.metadata == potential.metadata
    again = model_io.load(found.save(tmp_path / "b.safetensors", level="PBE"))
    assert_identical(potential, again)
    assert again.metadata == potential.metadata | {"level": "PBE"}


def test_the_file_says_what_it_is(file):
    found = description(file)
    assert found["format"] == model_io.FORMAT
    assert found["version"] == latte_ase.__version__
    assert found["units"] == {"energy": "eV", "length": "Angstrom"}
    assert found["architecture"]["elements"] == ["H", "O"]


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.01, 0.3, 0.7, 0.9999])
def test_a_truncated_file_is_refused(file, share):
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ModelFileError, match=r"is not a readable model file.*download or copy it again"):
        model_io.load(file)


def test_a_file_that_grew_is_refused(file):
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(ModelFileError, match="is not a readable model file"):
        model_io.load(file)


@pytest.mark.parametrize("where", np.linspace(0.001, 0.999, 12))
def test_a_changed_byte_in_the_arrays_is_refused(file, where):
    content = bytearray(file.read_bytes())
    start = 8 + int.from_bytes(content[:8], "little")
    content[start + int(where * (len(content) - start))] ^= 1
    file.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"changed after it was written: its SHA-256 is .*do not use it"):
        model_io.load(file)


def test_a_changed_byte_anywhere_in_the_header_is_refused(file):
    content = file.read_bytes()
    for k in range(0, 8 + int.from_bytes(content[:8], "little"), 7):
        changed = bytearray(content)
        changed[k] ^= 1
        file.write_bytes(changed)
        with pytest.raises(ModelFileError):
            model_io.load(file)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"cutoff", b"cutofg", "changed after it was written: its SHA-256"),
        (b"tiny", b"tinz", "changed after it was written: its SHA-256"),
        (b'\\"format\\": 1', b'\\"format\\": }', "changed after it was written: its description is not JSON"),
        (b'"latte_ase"', b'"latte_bse"', "safetensors file of another program"),
    ],
)
def test_a_changed_description_is_refused(file, old, new, message):
    content = file.read_bytes()
    assert old in content
    file.write_bytes(content.replace(old, new, 1))
    with pytest.raises(ModelFileError, match=message):
        model_io.load(file)


def test_a_text_file_is_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_text("3\n\nO 0 0 0\nH 0 0 1\nH 0 1 0\n" * 10)
    with pytest.raises(ModelFileError, match=r"must be a complete \.safetensors file written by latte_ase"):
        model_io.load(path)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_a_file_of_another_program_is_refused(tmp_path, metadata):
    save_file({"weight": np.zeros(3)}, tmp_path / "a.safetensors", metadata)
    with pytest.raises(ModelFileError, match=r"of another program.*latte_ase\.train"):
        model_io.load(tmp_path / "a.safetensors")


def test_a_newer_format_is_refused_with_its_version(file):
    header = description(file) | {"format": model_io.FORMAT + 1, "version": "99.1"}
    rewrite(file, text=json.dumps(header))
    with pytest.raises(ModelFileError, match=r"has format 2, written by latte_ase 99\.1; .*up to 1\. Update latte_ase"):
        model_io.load(file)


def test_an_unknown_descriptor_is_refused(file):
    header = description(file)
    header["architecture"]["descriptor"]["kind"] = "espresso"
    rewrite(file, text=json.dumps(header))
    with pytest.raises(ModelFileError, match=r"descriptor 'espresso'; this version knows latte.*Update"):
        model_io.load(file)


@pytest.mark.parametrize("name", ["nowhere.safetensors", "."])
def test_a_missing_file_is_named(tmp_path, name):
    with pytest.raises(
        FileNotFoundError, match=r"There is no model file .*Check the path, or see latte_ase\.list_models"
    ):
        model_io.load(tmp_path / name)


class Payload:
    """Unpickled, it makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_pickle_is_refused_and_not_executed(tmp_path):
    path, trap = tmp_path / "a.safetensors", tmp_path / "trap"
    path.write_bytes(pickle.dumps(Payload(trap)))
    with pytest.raises(ModelFileError, match="is not a readable model file"):
        model_io.load(path)
    assert not trap.exists()
    pickle.loads(path.read_bytes())  # the control: the trap works
    assert trap.exists()


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file(potential, file, monkeypatch, step):
    before = file.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="disk full"):
        replace(potential, reference_energies=np.zeros(2)).save(file)
    assert file.read_bytes() == before
    assert os.listdir(file.parent) == [file.name]


def test_others_may_read_a_model_file_as_any_other_file(file, tmp_path):
    (tmp_path / "plain").write_text("")
    assert file.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_flatten_and_unflatten_are_inverse():
    tree = {"a": {"b": np.arange(3), "c": {"d": np.array(2.5)}}, "e": np.zeros((2, 0))}
    flat = model_io.flatten(tree)
    assert sorted(flat) == ["a/b", "a/c/d", "e"]
    assert flat["a/c/d"].shape == ()
    found = model_io.unflatten(flat)
    assert found["a"]["c"]["d"] == 2.5
    assert found["e"].shape == (2, 0)
    np.testing.assert_array_equal(found["a"]["b"], np.arange(3))


def test_the_digest_covers_names_types_shapes_bytes_and_text():
    arrays = {"a": np.arange(6, dtype=np.float32)}
    variants = [
        (arrays, "text"),
        (arrays, "texu"),
        ({"b": arrays["a"]}, "text"),
        ({"a": arrays["a"].view(np.int32)}, "text"),
        ({"a": arrays["a"].reshape(2, 3)}, "text"),
        ({"a": arrays["a"][::-1]}, "text"),
    ]
    assert len({model_io.digest(*variant) for variant in variants}) == len(variants)
    assert model_io.digest({"a": np.arange(6.0).reshape(2, 3).T}, "") == model_io.digest(
        {"a": np.array([[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]])}, ""
    )
