"""A training that reads its frames from disk has the numbers of one that has them in memory, in every bit."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms, FixedPlane
from ase.io import write

from latte_ase.io.frame_selection import FrameSelection
from latte_ase.io.labels import known_forces, labels_of
from latte_ase.io.model_file import flatten
from latte_ase.training import streaming, train
from latte_ase.training.dataset import prepare
from latte_ase.training.streaming import FrameStore, StoredFrames
from latte_ase.training.train import STORED


def alloys():
    """A mixed set: labels that are missing, weights, constraints, names of its own, clusters and crystals."""
    frames = []
    for seed in range(9):
        atoms = bulk("Cu", cubic=True, a=3.8)
        atoms.symbols = ["CuAlAlCu", "Cu2Al2", "CuAl3"][seed % 3]
        atoms.rattle(0.15, seed=seed)
        if seed == 4:
            atoms.pbc = False
        if seed == 6:
            atoms.set_constraint([FixAtoms([0]), FixedPlane(1, (0, 0, 1))])
        if seed == 1:
            atoms.info["weight"] = 2.5
        if seed == 2:
            atoms.info["weight"] = 0
        atoms.calc = EMT()
        labels = {"REF_energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
        labels |= {"stress": atoms.get_stress()} if seed not in (3, 4) else {}
        if seed == 5:
            del labels["REF_energy"]
        if seed == 7:
            del labels["forces"]
        atoms.info |= {"REF_energy": labels.pop("REF_energy")} if "REF_energy" in labels else {}
        atoms.calc = SinglePointCalculator(atoms, **labels)
        frames.append(atoms)
    return frames


def recipe(path, *, stream, **training):
    return {
        "model": {"name": "tiny", "contractions": "2,-:2,a,a", "cutoff": 3.0, "max_width": 1.5, "hidden": [4]},
        "data": {"train": str(path), "valid_fraction": 0.25, "keys": {"energy": "REF_energy"}, "stream": stream},
        "training": {"epochs": 3, "batch_size": 2, "rate": 0.02, "ema": 0.9, "stress_weight": 1.0} | training,
    }


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "set.traj"
    write(path, alloys())
    return path


def silent(row, epochs):
    """No progress bar."""


def run(*args, **keywords):
    """A training without its warnings of missing labels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return train(*args, report=keywords.pop("report", silent), **keywords)


def numbers(result):
    """Of a training, in bits."""
    rows = [{name: value for name, value in row.items() if name != "seconds"} for row in result.history]
    arrays = flatten(result.potential.params) | result.potential.constants
    return rows, result.potential.reference_energies.tobytes(), {k: np.asarray(v).tobytes() for k, v in arrays.items()}


@pytest.mark.parametrize("training", [{}, {"taylor_weight": 1.0}], ids=["plain", "with a skin"])
def test_the_numbers_are_those_of_a_set_in_memory(path, tmp_path, training):
    expected = run(recipe(path, stream=False, **training), out=tmp_path / "memory")
    result = run(recipe(path, stream=True, **training), out=tmp_path / "disk")
    assert numbers(result) == numbers(expected)
    assert sum(name.name.startswith("structures-") for name in (tmp_path / "disk" / STORED).iterdir()) == 1


def test_stored_structures_have_the_labels_of_the_file(path, tmp_path):
    stored = FrameStore(tmp_path).structures(path, {"energy": "REF_energy"})
    assert len(stored) == 9
    for found, given in zip(stored, alloys(), strict=True):
        assert (found.symbols == given.symbols).all() and (found.pbc == given.pbc).all()
        np.testing.assert_array_equal(found.positions, given.positions)
        np.testing.assert_array_equal(known_forces(found), known_forces(given))
        expected = labels_of(given) | ({"energy": given.info["REF_energy"]} if "REF_energy" in given.info else {})
        assert labels_of(found).keys() == expected.keys()
        for name, value in labels_of(found).items():
            np.testing.assert_array_equal(value, expected[name])
    assert len(stored[2:4]) == 2


def test_frames_are_read_from_mapped_files_when_they_are_needed(tmp_path, path, tiny_potential):
    potential, store = tiny_potential("latte", ("Al", "Cu")), FrameStore(tmp_path)
    chosen = FrameSelection(store.structures(path, {}), [1, 4, 6])
    found, expected = store.prepared(potential, chosen, origins=["a", "b", "c"]), prepare(potential, list(chosen))
    assert isinstance(found, StoredFrames) and isinstance(found[0].forces, np.memmap)
    assert [frame.origin for frame in found] == ["a", "b", "c"]
    for one, other in zip(found, expected, strict=True):
        for name in ("species", "forces", "known_forces", "stress", "volume", "weight", "energy"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        for a, b in zip(one.pairs, other.pairs, strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
    assert len(found[:2]) == 2


def test_a_killed_run_goes_on_to_the_same_numbers_and_reads_the_file_no_more(path, tmp_path, monkeypatch):
    expected = run(recipe(path, stream=False), out=tmp_path / "memory")

    def stop(row, _):
        if row["epoch"] == 1:
            raise KeyboardInterrupt

    written, count = streaming.write_ragged, 0

    def kill_second(*args):
        nonlocal count
        count += 1
        if count == 2:
            raise KeyboardInterrupt
        written(*args)

    config, out = recipe(path, stream=True), tmp_path / "disk"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(streaming, "write_ragged", kill_second)  # while the frames held out are prepared
        run(config, out=out)
    with pytest.raises(KeyboardInterrupt):
        run(config, out=out, report=stop)
    with monkeypatch.context() as patch:
        patch.setattr(streaming, "iterate_structures", None)
        result = run(config, out=out, resume=True)
    assert numbers(result) == numbers(expected)
    # in memory it could have gone on too: where frames are kept is no part of a training
    with pytest.raises(KeyboardInterrupt):
        run(config, out=tmp_path / "other", report=stop)
    assert numbers(run(recipe(path, stream=False), out=tmp_path / "other", resume=True)) == numbers(expected)


def test_another_file_of_the_same_name_is_read_anew(path, tmp_path):
    copy, store = tmp_path / "copy.traj", FrameStore(tmp_path / "stored")
    copy.write_bytes(path.read_bytes())
    assert len(store.structures(copy, {})) == 9
    write(copy, alloys()[:4])
    assert len(store.structures(copy, {})) == 4
    assert len(store.structures(f"{copy}@1:3", {})) == 2


def test_a_bad_label_and_a_missing_file_are_told(tmp_path):
    frames = alloys()
    frames[3].calc.results["forces"][0, 0] = np.nan
    write(tmp_path / "set.traj", frames)
    store = FrameStore(tmp_path / "stored")
    with pytest.raises(ValueError, match=r"The label 'forces' of frame 3 of .*set\.traj is not finite"):
        store.structures(tmp_path / "set.traj", {})
    assert list((tmp_path / "stored").iterdir()) == []
    with pytest.raises(FileNotFoundError, match=r"There is no file .*none\.xyz"):
        store.structures(tmp_path / "none.xyz", {})


MEMORY = """
import sys
import numpy as np
from ase import Atoms
from latte_ase.io.stored_structures import StoredStructures, write_structures
from pathlib import Path

def anonymous():
    text = Path("/proc/self/status").read_text()
    return int(text.split("RssAnon:")[1].split()[0])

def structures(count):
    for k in range(count):
        yield Atoms("H500", np.random.default_rng(k).random((500, 3)))

folder, found = Path(sys.argv[1]), []
for count in (100, 2000):
    write_structures(folder / str(count), structures(count), {})
    total = sum(len(atoms) for atoms in StoredStructures(folder / str(count)))
    found.append(anonymous())
print(*found)
"""


def test_memory_does_not_grow_with_the_set(tmp_path):
    """2 000 structures of 12 kB each are 24 MB on disk."""
    process = subprocess.run([sys.executable, "-c", MEMORY, tmp_path], capture_output=True, text=True, check=True)
    few, many = map(int, process.stdout.split())
    assert many - few < 4000  # kB
