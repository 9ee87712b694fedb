"""Labels that do not look plausible are refused, unless they are to be trusted."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from latte_ase.training.config import TrainingConfig
from latte_ase.training.labelled_sets import labelled_sets


def test_labels_in_other_units_are_used_where_they_are_to_be_trusted():
    rng, frames = np.random.default_rng(0), []
    for _ in range(12):
        atoms = bulk("Cu", cubic=True)
        atoms.positions += rng.normal(0, 0.05, (4, 3))
        atoms.calc = EMT()
        labels = {"energy": atoms.get_potential_energy(), "forces": -atoms.get_forces()}
        atoms.calc = SinglePointCalculator(atoms, **labels)
        frames.append(atoms)
    with pytest.raises(
        ValueError, match=r"opposite sign\. If the labels are right all the same, say so: trust_labels = true"
    ):
        labelled_sets(frames, None, TrainingConfig(), valid_fraction=0.25)
    trusted = labelled_sets(frames, None, TrainingConfig(), valid_fraction=0.25, trust_labels=True)
    assert (len(trusted.train), len(trusted.held)) == (9, 3)


def test_a_frame_of_weight_0_is_left_out_of_both_sets():
    frames = []
    for k in range(4):
        atoms = bulk("Cu", cubic=True)
        atoms.rattle(0.05, seed=k)
        atoms.calc = EMT()
        atoms.calc = SinglePointCalculator(atoms, energy=atoms.get_potential_energy(), forces=atoms.get_forces())
        frames.append(atoms)
    frames[1].info["weight"] = frames[3].info["weight"] = 0.0
    train, held = labelled_sets(frames[:2], frames[2:], TrainingConfig(), valid_fraction=0.5)
    assert (list(train), list(held)) == ([frames[0]], [frames[2]])
    parts = labelled_sets(frames, None, TrainingConfig(), valid_fraction=0.5)
    assert [len(part) for part in parts] == [1, 1]
    frames[0].info["weight"] = "-"
    with pytest.raises(ValueError, match="Frame 0 of the validation set has the weight '-'"):
        labelled_sets(frames[2:3], frames[:1], TrainingConfig(), valid_fraction=0.5)
