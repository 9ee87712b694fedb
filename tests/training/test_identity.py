"""What was given tells trainings apart; what is computed from it does not come in."""

from dataclasses import replace

import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator

from latte_ase import load_model
from latte_ase.training.config import TrainingConfig
from latte_ase.training.identity import checksum, lasting


def water(**labels):
    atoms = molecule("H2O")
    atoms.calc = SinglePointCalculator(atoms, **{"energy": 1.0, "forces": np.zeros((3, 3))} | labels)
    return atoms


@pytest.fixture(scope="module")
def base():
    return load_model("latte-water")


def test_the_same_gives_the_same(base):
    first, second = (checksum({"rate": 1e-3}, {"train": [water()], "valid": []}, base=base) for _ in range(2))
    assert first == second


def moved():
    atoms = water()
    atoms.positions[0, 0] = np.nextafter(atoms.positions[0, 0], 9)
    return atoms


def in_a_cell():
    atoms = water()
    atoms.cell = [9, 9, 9]
    return atoms


def periodic():
    atoms = water()
    atoms.pbc = (True, False, False)
    return atoms


def another_element():
    atoms = water()
    atoms.numbers[0] = 16
    return atoms


def without_forces():
    atoms = water()
    del atoms.calc.results["forces"]
    return atoms


def weighted():
    atoms = water()
    atoms.info["weight"] = 2.0
    return atoms


@pytest.mark.parametrize(
    "other",
    [moved, in_a_cell, periodic, another_element, lambda: water(energy=1.1), without_forces, weighted],
    ids=["atom", "cell", "pbc", "element", "energy", "one label less", "weight"],
)
def test_another_structure_gives_another(other):
    assert checksum({}, {"train": [other()]}) != checksum({}, {"train": [water()]})


def test_another_use_setting_or_model_gives_another(base):
    one = checksum({}, {"train": [water()]}, base=base)
    shifted = replace(base, reference_energies=base.reference_energies + 1e-9)
    wider = replace(base, constants={**base.constants, "scale": base.constants["scale"] * 2})
    others = [
        checksum({}, {"valid": [water()]}, base=base),
        checksum({"rate": 1e-3}, {"train": [water()]}, base=base),
        checksum({}, {"train": [water()]}),
        checksum({}, {"train": [water()]}, base=shifted),
        checksum({}, {"train": [water()]}, base=wider),
    ]
    assert len({one, *others}) == 6


def test_more_epochs_are_the_same_training_and_another_rate_is_not():
    assert lasting(TrainingConfig(epochs=3)) == lasting(TrainingConfig(epochs=5))
    assert lasting(TrainingConfig(rate=1e-3)) != lasting(TrainingConfig(rate=2e-3))
