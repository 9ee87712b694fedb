"""A small potential of copper trained on EMT, its frames and others."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

import latte_ase
from latte_ase import uncertainty


def _frames(count, *, seed, rattle=0.12):
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        atoms = bulk("Cu", cubic=True)
        atoms.set_cell(atoms.cell * rng.uniform(0.96, 1.04), scale_atoms=True)
        atoms.positions += rng.normal(scale=rattle, size=atoms.positions.shape)
        atoms.calc = EMT()
        labels = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
        atoms.calc = SinglePointCalculator(atoms, **labels)
        made.append(atoms)
    return made


@pytest.fixture(scope="session")
def copper():
    """Function (count, *, seed, rattle) -> rattled copper with EMT's labels."""
    return _frames


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Function seed -> potential; frames that it was trained on are copper(16, seed=0)."""
    folder = tmp_path_factory.mktemp("copper")
    write(folder / "train.extxyz", _frames(16, seed=0))
    write(folder / "valid.extxyz", _frames(6, seed=1))

    @cache
    def train(seed):
        recipe = {
            "model": {"name": "tiny", "contractions": "4,-:2,a,a", "cutoff": 4.0, "hidden": [8]},
            "data": {k: str(folder / f"{k}.extxyz") for k in ("train", "valid")},
            "training": {"epochs": 30, "batch_size": 2, "rate": 1e-2, "seed": seed},
        }
        return latte_ase.train(recipe, out=folder / str(seed), report=lambda *_: None).potential

    return train


@pytest.fixture(scope="session")
def base(trained):
    return trained(0)


@pytest.fixture(scope="session")
def certain(base, copper):
    """The potential with a committee of last layers, calibrated on copper(40, seed=2)."""
    return uncertainty.last_layer(base, copper(16, seed=0), held_out=copper(40, seed=2))
