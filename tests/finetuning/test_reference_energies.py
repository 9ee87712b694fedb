"""E0 takes what another level of theory adds per atom, and labels move with it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from latte_ase.finetuning.reference_energies import moved, with_those_of
from latte_ase.prediction import predict
from latte_ase.training.config import load_config
from latte_ase.training.loop import initial_potential

MODEL = {"name": "tiny", "contractions": "2,-:2,a,a", "cutoff": 4.0, "elements": ["Al", "Cu"], "hidden": [8]}
SYMBOLS = ("AlCu", "Al2Cu", "AlCu3", "Cu2")


@pytest.fixture(scope="module")
def potential():
    return initial_potential(load_config({"model": MODEL, "data": {"train": ""}}), [])


def labelled(potential, shift):
    """Random clusters with the energies of the potential and a shift per atom."""
    frames = []
    for seed, symbols in enumerate(SYMBOLS):
        atoms = Atoms(symbols)
        atoms.positions = 3 * np.arange(len(atoms))[:, None] + np.random.default_rng(seed).random((len(atoms), 3))
        (made,) = predict(potential, atoms)
        counts = [atoms.symbols.count(e) for e in potential.elements]
        atoms.calc = SinglePointCalculator(atoms, energy=made.energy + np.dot(counts, shift), forces=made.forces)
        frames.append(atoms)
    return frames


def test_labels_move_with_the_energies_of_atoms(potential):
    frames = labelled(potential, [0, 0])
    end = replace(potential, reference_energies=potential.reference_energies + np.array([1.0, 2.0]))
    for before, after in zip(frames, moved(frames, potential, end), strict=True):
        counts = [before.symbols.count(e) for e in potential.elements]
        change = after.calc.results["energy"] - before.calc.results["energy"]
        assert change == pytest.approx(np.dot(counts, [1, 2]))
        np.testing.assert_array_equal(after.calc.results["forces"], before.calc.results["forces"])


def test_elements_that_the_base_model_knows_take_its_energies(potential):
    alone = replace(
        initial_potential(load_config({"model": MODEL | {"elements": ["Cu"]}, "data": {"train": ""}}), []),
        reference_energies=np.array([-3.0]),
    )
    moved_up = replace(potential, reference_energies=np.array([-1.0, -2.0]))
    np.testing.assert_array_equal(with_those_of(alone, moved_up).reference_energies, [-1.0, -3.0])
