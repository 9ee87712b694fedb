"""Frames with labels of another kind are found by their errors and named; sets that are only wide are left in peace."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from latte_ase import LatteCalculator
from latte_ase.training import train
from latte_ase.training.batch_rules import ByAtoms, ByFrames
from latte_ase.training.batches import Batches
from latte_ase.training.dataset import prepare
from latte_ase.training.odd_frames import _times_where_odd, frame_errors


def alloys(count):
    """Alloys with labels of EMT."""
    frames = []
    for seed in range(count):
        atoms = bulk("Cu", cubic=True, a=3.8)
        atoms.symbols = ["CuAlAlCu", "Cu2Al2", "CuAl3"][seed % 3]
        atoms.rattle(0.1, seed=seed)
        atoms.calc = EMT()
        atoms.calc = SinglePointCalculator(atoms, energy=atoms.get_potential_energy(), forces=atoms.get_forces())
        frames.append(atoms)
    return frames


def silent(row, epochs):
    """No progress bar."""


def recipe(path, **training):
    return {
        "model": {"name": "tiny", "contractions": "2,-:2,a,a", "cutoff": 3.0, "max_width": 1.5, "hidden": [4]},
        "data": {"train": str(path), "valid_fraction": 0.1, "trust_labels": True},
        "training": {"epochs": 6, "batch_size": 4, "rate": 0.02, "ema": 0.9} | training,
    }


def test_a_frame_of_wrong_forces_and_one_of_a_wrong_energy_are_named_and_kept(tmp_path):
    frames, path, out = alloys(20), tmp_path / "set.xyz", tmp_path / "out"
    frames[7].calc.results["forces"] = 40 * frames[7].calc.results["forces"][::-1]
    frames[11].calc.results["energy"] += 900.0
    frames[2].info["weight"] = 0.0  # left out: it does not shift the numbers of the others
    write(path, frames)
    message = rf"errors of [12] of 17 training frames .*{path}@(7|11) \(.* meV/Angstrom, \d+ times the median\).*{out}/odd_frames\.csv"
    with pytest.warns(UserWarning, match=message):
        result = train(recipe(path), out=out, report=silent)
    rows = (out / "odd_frames.csv").read_text().splitlines()
    assert rows[0] == "frame,energy_error_meV_per_atom,forces_error_meV_per_A,times_the_median"
    assert {row.split(",")[0] for row in rows[1:]} <= {f"{path}@7", f"{path}@11"}
    assert result.potential.metadata["frames"] == [17, 2]


def test_nothing_is_said_of_a_good_set(tmp_path):
    write(tmp_path / "set.xyz", alloys(14))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        train(recipe(tmp_path / "set.xyz"), out=tmp_path / "out", report=silent)
    assert not (tmp_path / "out" / "odd_frames.csv").exists()


def test_the_rule():
    rng = np.random.default_rng(0)
    usual = np.exp(rng.normal(-3, 0.4, 200))
    assert not _times_where_odd(usual).any()
    odd = np.append(usual, [30 * np.median(usual), np.nan])
    assert np.flatnonzero(_times_where_odd(odd)).tolist() == [200]
    assert _times_where_odd(odd)[200] == pytest.approx(30, rel=0.05)
    wide = np.exp(rng.normal(-3, 1.5, 200))  # a set of cold and hot structures
    assert wide.max() > 30 * np.median(wide) and not _times_where_odd(wide).any()
    assert not _times_where_odd(np.array([1, 1, 1, 1, 1, 1, 1, 1, 99.0])).any()  # too few to judge


@pytest.mark.parametrize("rule", [ByFrames(2), ByAtoms(24)])
def test_errors_stand_at_their_frames(tiny_potential, rule):
    potential = tiny_potential("latte", ("Al", "Cu"))
    frames = alloys(5)
    frames[1] = frames[1].repeat((2, 1, 1))
    frames[1].calc = SinglePointCalculator(frames[1], energy=3.0)
    del frames[2].calc.results["energy"]
    found = frame_errors(potential, Batches(potential, prepare(potential, frames), rule), potential.params)
    calc = LatteCalculator(potential, dtype="float64")
    for atoms, (energy, forces) in zip(frames, found, strict=True):
        labels = atoms.calc.results
        here = atoms.copy()
        here.calc = calc
        expected = [np.nan, np.nan]
        if "energy" in labels:
            expected[0] = abs(here.get_potential_energy() - labels["energy"]) / len(atoms)
        if "forces" in labels:
            expected[1] = np.sqrt(np.mean((here.get_forces() - labels["forces"]) ** 2))
        np.testing.assert_allclose([energy, forces], expected, rtol=1e-4, atol=1e-4)
