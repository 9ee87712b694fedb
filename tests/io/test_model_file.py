"""The model file: exact, safe, and refused when anything about it changed."""

from __future__ import annotations

import copy
import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace

import jax
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save as to_bytes
from safetensors.numpy import save_file

import latte_ase
from latte_ase.io import model_file
from latte_ase.io.model_file import ModelFileError, save_model
from latte_ase.model.descriptors import Latte, Reduced
from latte_ase.model.potential import Architecture, Potential, init_params

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
    return save_model(potential, tmp_path / "model.safetensors")


def rewrite(file, *, text=None, **metadata):
    """Another description in a model file, with everything else kept and the checksum put right."""
    with safe_open(file, framework="numpy") as opened:
        arrays = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        old = opened.metadata()
    text = old["latte_ase"] if text is None else text
    save_file(arrays, file, {"latte_ase": text, "sha256": model_file.digest(arrays, text)} | metadata)
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
        x, y = (model_file.flatten(getattr(potential, name)) for potential in (a, b))
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
    found = model_file.load(save_model(potential, tmp_path / "new" / "folder" / "a.safetensors"))
    assert_identical(potential, found)
    assert found.metadata == potential.metadata
    again = model_file.load(save_model(found, tmp_path / "b.safetensors", metadata={"level": "PBE"}))
    assert_identical(potential, again)
    assert again.metadata == potential.metadata | {"level": "PBE"}


def test_the_file_says_what_it_is(file):
    found = description(file)
    assert found["format"] == model_file.FORMAT
    assert found["version"] == latte_ase.__version__
    assert found["units"] == {"energy": "eV", "length": "Angstrom"}
    assert found["architecture"]["elements"] == ["H", "O"]


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.01, 0.3, 0.7, 0.9999])
def test_a_truncated_file_is_refused(file, share):
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ModelFileError, match=r"is not a readable model file.*download or copy it again"):
        model_file.load(file)


def test_a_file_that_grew_is_refused(file):
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(ModelFileError, match="is not a readable model file"):
        model_file.load(file)


@pytest.mark.parametrize("where", np.linspace(0.001, 0.999, 12))
def test_a_changed_byte_in_the_arrays_is_refused(file, where):
    content = bytearray(file.read_bytes())
    start = 8 + int.from_bytes(content[:8], "little")
    content[start + int(where * (len(content) - start))] ^= 1
    file.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"changed after it was written: its SHA-256 is .*do not use it"):
        model_file.load(file)


def test_a_changed_byte_anywhere_in_the_header_is_refused(file):
    content = file.read_bytes()
    for k in range(0, 8 + int.from_bytes(content[:8], "little"), 7):
        changed = bytearray(content)
        changed[k] ^= 1
        file.write_bytes(changed)
        with pytest.raises(ModelFileError):
            model_file.load(file)


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
        model_file.load(file)


def test_the_fewest_neighbours_are_kept_and_need_not_be_there(potential, tmp_path):
    assert potential.domain.fewest is None
    fewest = np.array([[3.25, 7.5], [1.0, 2.0]])
    known = replace(potential, constants={**potential.constants, "fewest_neighbours": fewest})
    domain = model_file.load(save_model(known, tmp_path / "known.safetensors")).domain
    np.testing.assert_array_equal(domain.fewest, fewest)
    wrong = replace(potential, constants={**potential.constants, "fewest_neighbours": fewest[0]})
    message = r"'constants/fewest_neighbours' has the shape \(2,\); its architecture needs \(2, 2\)"
    with pytest.raises(ModelFileError, match=message):
        model_file.load(save_model(wrong, tmp_path / "wrong.safetensors"))


def test_a_text_file_is_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_text("3\n\nO 0 0 0\nH 0 0 1\nH 0 1 0\n" * 10)
    with pytest.raises(ModelFileError, match=r"must be a complete \.safetensors file written by latte_ase"):
        model_file.load(path)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_a_file_of_another_program_is_refused(tmp_path, metadata):
    save_file({"weight": np.zeros(3)}, tmp_path / "a.safetensors", metadata)
    with pytest.raises(ModelFileError, match=r"of another program.*latte_ase\.train"):
        model_file.load(tmp_path / "a.safetensors")


def test_a_newer_format_is_refused_with_its_version(file):
    header = description(file) | {"format": model_file.FORMAT + 1, "version": "99.1"}
    rewrite(file, text=json.dumps(header))
    with pytest.raises(ModelFileError, match=r"has format 2, written by latte_ase 99\.1; .*up to 1\. Update latte_ase"):
        model_file.load(file)


def test_an_unknown_descriptor_is_refused(file):
    header = description(file)
    header["architecture"]["descriptor"]["kind"] = "espresso"
    rewrite(file, text=json.dumps(header))
    with pytest.raises(ModelFileError, match=r"descriptor 'espresso'; this version knows latte.*Update"):
        model_file.load(file)


@pytest.mark.parametrize("name", ["nowhere.safetensors", "."])
def test_a_missing_file_is_named(tmp_path, name):
    with pytest.raises(
        FileNotFoundError, match=r"There is no model file .*Check the path, or see latte_ase\.list_models"
    ):
        model_file.load(tmp_path / name)


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
        model_file.load(path)
    assert not trap.exists()
    pickle.loads(path.read_bytes())  # the control: the trap works
    assert trap.exists()


def test_flatten_and_unflatten_are_inverse():
    tree = {"a": {"b": np.arange(3), "c": {"d": np.array(2.5)}}, "e": np.zeros((2, 0))}
    flat = model_file.flatten(tree)
    assert sorted(flat) == ["a/b", "a/c/d", "e"]
    assert flat["a/c/d"].shape == ()
    found = model_file.unflatten(flat)
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
    assert len({model_file.digest(*variant) for variant in variants}) == len(variants)
    assert model_file.digest({"a": np.arange(6.0).reshape(2, 3).T}, "") == model_file.digest(
        {"a": np.array([[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]])}, ""
    )


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        (["units"], {"energy": "kcal/mol"}, r"Its units are .*kcal/mol.*; .*'eV'.* are needed"),
        (["format"], "1", "Its format is '1'; 1 is needed"),
        (["metadata"], [1], r"Its metadata is \[1\]; a dictionary is needed"),
        (["architecture"], None, "Its architecture is None; a dictionary is needed"),
        (["architecture", "hidden"], 8, "In its architecture, hidden is 8; a list of up to 16 whole numbers"),
        (["architecture", "hidden"], [9], r"Dense_0/bias' has the shape \(2, 8\); its architecture needs \(2, 9\)"),
        (["architecture", "hidden"], [10**9], r"says hidden = \(1000000000,\), but its arrays hold 1\d\d numbers"),
        (["architecture", "width"], 8, "has the unknown entry 'width'. Update latte_ase"),
        (["architecture", "elements"], ["O", "H"], "write them once each, sorted"),
        (
            ["architecture", "descriptor", "cutoff"],
            float("nan"),
            "cutoff is nan; a finite number larger than 0 is needed",
        ),
        (["architecture", "descriptor", "contractions"], "2,a", "it is not a scalar"),
        (["architecture", "descriptor", "contractions"], "1,ab,bc,cd,de,ef,fg,ga", "it has 7 letters; up to 6"),
        (
            ["architecture", "descriptor", "contractions"],
            "1" * 5000 + ",-",
            "with a positive count of at most 9 digits",
        ),
    ],
)
def test_a_description_that_makes_no_model_is_refused_in_spite_of_its_checksum(file, where, value, message):
    header = branch = description(file)
    for key in where[:-1]:
        branch = branch[key]
    branch[where[-1]] = value
    rewrite(file, text=json.dumps(header))
    with pytest.raises(ModelFileError, match=f"holds no model that latte_ase can use.*{message}.*do not use it"):
        model_file.load(file)


def test_a_missing_entry_and_a_repeated_one_are_named(file):
    header = description(file)
    del header["architecture"]["elements"]
    rewrite(file, text=json.dumps(header))
    with pytest.raises(ModelFileError, match="Its architecture lacks elements"):
        model_file.load(file)
    rewrite(file, text='{"a": 1, "format": 1, "a": 2}')
    with pytest.raises(ModelFileError, match=r"is not JSON \(the key 'a' occurs twice"):
        model_file.load(file)


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_weights_that_are_not_finite_are_refused(potential, tmp_path, value):
    constants = potential.constants | {"mean": np.array([[0, 0, value, 0], [0, 0, 0, 0]])}
    path = save_model(replace(potential, constants=constants), tmp_path / "a.safetensors")
    with pytest.raises(ModelFileError, match="Its array 'constants/mean' has values that are not finite"):
        model_file.load(path)


def test_a_description_too_long_to_be_read_is_not_written(potential, tmp_path):
    with pytest.raises(ValueError, match=r"has \d+ bytes of JSON; 524288 are allowed\. Leave data and histories out"):
        save_model(potential, tmp_path / "a.safetensors", metadata={"history": list(range(100_000))})
    assert not list(tmp_path.iterdir())


def unpack(content):
    """Header and arrays' bytes of a safetensors file."""
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def pack(header, data, length=None):
    """The inverse, with a wrong length of the header if one is given; the header may be text."""
    text = (header if isinstance(header, str) else json.dumps(header)).encode(errors="surrogatepass")
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def forge(path):
    """Put the right checksum into a changed file, as its author could; where that is possible at all."""
    try:
        with safe_open(path, framework="numpy") as opened:
            arrays = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
            text = opened.metadata()["latte_ase"]
        header, data = unpack(path.read_bytes())
        header["__metadata__"]["sha256"] = model_file.digest(arrays, text)
    except Exception:  # not a safetensors file any more
        return
    path.write_bytes(pack(header, data))


HOSTILE = [
    None, True, -1, 0, 1, 3, 2**31, 2**62, 2**64, 10**400, -1e300, 0.5, 1e-320, float("nan"), float("inf"), "", "Si",
    "\ud800", "9" * 5000, "x" * 20_000, [], {}, [None], [2**62], [-1, 3], [[[[]]]], {"a": {"b": []}}, [0] * 2000,
    "1,-:" * 300 + "1,-", "999999999999,-", "\u00b2,-", [8] * 40, [[0, 0, 3.0]] * 999, [[0, 9, "3"]], ["H"], ["H", "Xx"],
]  # fmt: skip
TYPES = ["F32", "F64", "F16", "BF16", "F8_E4M3", "I8", "U64", "BOOL", "C64", "F4", "float", 4]


def places(tree):
    """Every (container, key) inside JSON."""
    for key in tree if isinstance(tree, dict) else range(len(tree)):
        yield tree, key
        if isinstance(tree[key], (dict, list)):
            yield from places(tree[key])


def spoil(rng, tree):
    """Replace, delete, rename or move something in JSON."""
    found = list(places(tree))
    container, key = found[rng.integers(len(found))]
    other, place = found[rng.integers(len(found))]
    match rng.integers(5):
        case 0 | 1:
            container[key] = copy.deepcopy(HOSTILE[rng.integers(len(HOSTILE))])
        case 2:
            del container[key]
        case 3 if isinstance(container, dict):
            container[rng.choice([f"{key}/{key}", "", "params", "\ud800"])] = container.pop(key)
        case _:
            container[key] = copy.deepcopy(other[place])


def flipped(rng, content):
    content = bytearray(content)
    end = len(content) if rng.random() < 0.5 else 8 + int.from_bytes(content[:8], "little")
    for k in rng.integers(0, end, rng.integers(1, 9)):
        content[k] = content[k] ^ (1 << rng.integers(8)) if rng.random() < 0.5 else rng.integers(256)
    return bytes(content)


def cut(rng, content):
    a, b = np.sort(rng.integers(0, len(content) + 1, 2))
    return [content[:a], content[b:], content[:a] + content[b:], content + content[a:b]][rng.integers(4)]


def wrong_length(rng, content):
    header, data = unpack(content)
    lengths = [0, 1, len(content), len(content) - 8, 2**20, 2**27, 2**32, 2**40, 2**63, 2**64 - 1]
    return pack(header, data, lengths[rng.integers(len(lengths))])


def wrong_table(rng, content):
    """Types, shapes and offsets that do not fit the bytes, negative and huge ones among them."""
    header, data = unpack(content)
    names = [name for name in header if name != "__metadata__"]
    entry = header[names[rng.integers(len(names))]]
    match rng.integers(5):
        case 0:
            entry["dtype"] = TYPES[rng.integers(len(TYPES))]
        case 1:
            entry["data_offsets"][rng.integers(2)] += int(rng.choice([-(2**40), -8, -1, 1, 8, 2**40, 2**62]))
        case 2:
            shape, size = entry["shape"], int(np.prod(entry["shape"]))
            entry["shape"] = [[size], [1, *shape], shape[::-1], [*shape, 1], [2**62, *shape], [0, 2**62], [-1]][
                rng.integers(7)
            ]
        case 3:
            other = header[names[rng.integers(len(names))]]
            entry["data_offsets"], other["data_offsets"] = other["data_offsets"], entry["data_offsets"]
        case _:
            spoil(rng, header)
    return pack(header, data)


def wrong_description(rng, content):
    header, data = unpack(content)
    description = json.loads(header["__metadata__"]["latte_ase"])
    for _ in range(rng.integers(1, 3)):
        architecture = description.get("architecture")
        spoil(rng, architecture if isinstance(architecture, dict) and rng.random() < 0.6 else description)
    header["__metadata__"]["latte_ase"] = json.dumps(description)
    return pack(header, data)


def wrong_text(rng, content):
    """JSON that only a text can say: keys that repeat, depth, a description that is no dictionary."""
    header, data = unpack(content)
    text = header["__metadata__"]["latte_ase"]
    where, depth = text.index("{", rng.integers(text.rindex("{"))) + 1, int(10 ** rng.uniform(1, 5))
    texts = [
        text[:where] + '"kind": 1, "a": 1, "a": 2, "name": 3, "format": 1, ' + text[where:],
        text[:where] + f'"deep": {"[" * depth}{"]" * depth}, ' + text[where:],
        text[:where] + '"deep": ' + '{"a":' * depth + "1" + "}" * depth + ", " + text[where:],
        "[" * depth, "[]", "null", "7", '"x"', "", "{}", text + text, text[where:], text.replace("1", "1" * 5000, 1),
    ]  # fmt: skip
    header["__metadata__"]["latte_ase"] = texts[rng.integers(len(texts))]
    return pack(header, data)


def wrong_numbers(rng, content):
    """Weights that are no numbers, or of another shape or type than the architecture's."""
    header, data = unpack(content)
    arrays = {
        name: np.frombuffer(data[slice(*entry["data_offsets"])], {"F32": "f4", "F64": "f8"}[entry["dtype"]])
        .reshape(entry["shape"])
        .copy()
        for name, entry in header.items()
        if name != "__metadata__"
    }
    name = list(arrays)[rng.integers(len(arrays))]
    array = arrays[name]
    match rng.integers(6):
        case 0:
            array.reshape(-1)[rng.integers(array.size)] = rng.choice([np.nan, np.inf, -np.inf])
        case 1:
            arrays[name] = array[None] if rng.random() < 0.5 else array.reshape(-1)[: array.size // 2]
        case 2:
            arrays[name] = array.astype(["f2", "f4", "f8", "i4", "u1", "?"][rng.integers(6)])
        case 3:
            del arrays[name]
        case 4:
            arrays[f"{name}/{rng.choice(['', 'a', name])}"] = array if rng.random() < 0.5 else arrays.pop(name)
        case _:
            arrays[name] = np.zeros((0, *array.shape), array.dtype)
    return to_bytes(arrays, header["__metadata__"])


MUTATIONS = [flipped, cut, wrong_length, wrong_table, wrong_description, wrong_description, wrong_text, wrong_numbers]


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.slow)])  # 3 s; 55 s
def test_a_mutated_file_is_refused_or_still_a_model(potential, file, tmp_path, count):
    """Nothing but `ModelFileError`, with the path, comes out of a damaged or hostile file.

    What loads in spite of a mutation: without a forged checksum the same model in every bit; with
    one a model of the same shapes, all numbers finite (a weight, a cutoff, a name may have changed).
    """
    content, path, outcomes = file.read_bytes(), tmp_path / "mutated.safetensors", {True: [0, 0], False: [0, 0]}
    shapes = {name: array.shape for name, array in arrays_of(potential).items()}
    for seed in range(count):
        rng = np.random.default_rng(seed)
        mutation, forged = MUTATIONS[seed % len(MUTATIONS)], bool(rng.integers(4))
        path.write_bytes(mutation(rng, content))
        if forged:
            forge(path)
        try:
            try:
                found = latte_ase.load_model(path)
            except ModelFileError as error:
                assert str(path) in str(error)
                assert len(str(error)) < 1000
                outcomes[forged][0] += 1
                continue
            outcomes[forged][1] += 1
            arrays = arrays_of(found)
            assert {name: array.shape for name, array in arrays.items()} == shapes
            assert all(np.isfinite(array).all() for array in arrays.values())
            assert isinstance(found.metadata, dict)
            if not forged:
                assert_identical(potential, found)
                assert found.metadata == potential.metadata
        except BaseException as error:
            error.add_note(f"mutation {mutation.__name__}, seed {seed}, checksum {'forged' if forged else 'kept'}")
            raise
    assert outcomes[True][0] > count / 2, outcomes
    assert outcomes[True][1] > count / 50, outcomes  # or the mutations only ever make rubbish


def arrays_of(potential):
    """All arrays of a potential by name."""
    parts = ("params", "constants", "reference_energies")
    return model_file.flatten({name: getattr(potential, name) for name in parts})


MEMORY = """
import sys
from latte_ase.io import model_file

def peak():
    return 1024 * next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))

model_file.load(sys.argv[1])  # what the first load takes is JAX's
for path in sys.argv[2:]:
    open("/proc/self/clear_refs", "w").write("5")  # the peak starts again from what is used now
    before = peak()
    try:
        outcome = model_file.load(path) and "loaded"
    except model_file.ModelFileError:
        outcome = "refused"
    print(outcome, peak() - before)
"""


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="peak memory is read from /proc")
def test_no_file_takes_more_memory_than_twice_its_size_and_32_mib(file, tmp_path):
    header, data = unpack(file.read_bytes())
    text, many = header["__metadata__"]["latte_ase"], model_file.LONGEST_DESCRIPTION

    def described(text):
        return pack(header | {"__metadata__": {"latte_ase": text}}, data)

    def with_entry(value):
        return described(text.replace('"metadata": {', '"metadata": {"big": ' + value + ", "))

    def with_model(old, new):
        return described(text.replace(old, new))

    nothing = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    wide = save_model(make(hidden=(2000, 2000)), tmp_path / "wide")
    hostile = {
        "a long header": pack(header, data + bytes(many), 2**62),
        "a header of the whole file": pack(header, data + bytes(30 * many), 30 * many),
        "a huge array": pack(header | {"huge": {"dtype": "F64", "shape": [2**40], "data_offsets": [0, 2**43]}}, data),
        "lists": with_entry("[" + "[]," * (many // 3 - many // 60) + "0]"),
        "too many lists": with_entry("[" + "[]," * (many * 5 // 6) + "0]"),
        "keys": with_entry("{" + ", ".join(f'"{k}": {{}}' for k in range(many // 16)) + "}"),
        "depth": with_entry("[" * 400_000 + "]" * 1000),
        "arrays": pack(header | dict.fromkeys(map(str, range(22_000)), nothing), data),
        "too many arrays": pack(header | dict.fromkeys(map(str, range(60_000)), nothing), data),
        "contractions": with_model('"2,-:2,a,a"', '"' + "1,-:" * (many // 6) + '1,-"'),
        "layers": with_model('"hidden": [8]', '"hidden": ' + str([8] * 150_000)),
        "wide layers": with_model('"hidden": [8]', f'"hidden": {[2**31 - 1] * 999}'),
        "pair cutoffs": with_model('"pair_cutoffs": []', f'"pair_cutoffs": {[[0, 0, 3.0]] * 35_000}'),
    }  # fmt: skip
    paths = []
    for name, content in hostile.items():
        paths.append(tmp_path / name)
        paths[-1].write_bytes(content)
        forge(paths[-1])
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, file, *paths, wide], capture_output=True, text=True, check=True, timeout=300
    )
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [outcome == "loaded" for outcome, _ in lines] == [
        p.name in ("lists", "keys", "wide") for p in [*paths, wide]
    ]
    for path, (_, taken) in zip([*paths, wide], lines, strict=True):
        assert int(taken) <= 2 * path.stat().st_size + 32 * 2**20, path.name
    assert wide.stat().st_size > 30 * 2**20
    assert int(lines[-1][1]) > wide.stat().st_size  # the measurement sees an allocation


def test_a_home_folder_is_meant_by_its_sign_and_a_folder_is_no_file(potential, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert save_model(potential, "~/a.safetensors") == tmp_path / "a.safetensors"
    assert_identical(latte_ase.load_model("~/a.safetensors"), potential)
    with pytest.raises(IsADirectoryError, match=r"is a folder; give the name of a file, such as .*model\.safetensors"):
        save_model(potential, tmp_path)
