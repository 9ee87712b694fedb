"""E0 as given, of isolated atoms, or by least squares; and again after training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from latte_ase import dataset
from latte_ase.prediction import predict
from latte_ase.training.atomic_energies import initial, refitted
from latte_ase.training.config import load_config
from latte_ase.training.loop import initial_potential

SYMBOLS = ["CuAlAlCu", "Cu4", "Al4", "CuAl3", "Cu2Al2", "Cu3Al"]


def alloys():
    """Six alloys of four atoms."""
    frames = []
    for seed, symbols in enumerate(SYMBOLS):
        atoms = bulk("Cu", cubic=True, a=3.8)
        atoms.symbols = symbols
        atoms.rattle(0.15, seed=seed)
        atoms.calc = SinglePointCalculator(atoms, energy=0.0, forces=np.zeros((4, 3)))
        frames.append(atoms)
    return frames


def recipe():
    return {
        "model": {"name": "tiny", "contractions": "2,-:2,a,a", "cutoff": 4.0, "hidden": [8]},
        "data": {"train": ""},
    }


@pytest.fixture(scope="module")
def start():
    """An untrained potential and prepared frames."""
    potential = initial_potential(load_config(recipe()), alloys())
    assert potential.elements == ("Al", "Cu")
    return potential, dataset.prepare(potential, alloys())


def test_least_squares(start):
    potential, frames = start
    frames = [replace(f, energy=-3.5 * (f.species == 0).sum() - 4.25 * (f.species == 1).sum()) for f in frames]
    np.testing.assert_allclose(initial(load_config(recipe()), potential, frames), [-3.5, -4.25], rtol=1e-12)


def test_isolated_atoms_and_given_ones(start, tmp_path):
    atom, pair = Atoms("Cu"), Atoms("Al2", [(0, 0, 0), (0, 0, 3)])
    for atoms, energy in ((atom, -1.5), (pair, -9.0)):
        atoms.calc = SinglePointCalculator(atoms, energy=energy)
    write(tmp_path / "atoms.xyz", [atom, pair])
    config = recipe()
    config["data"]["isolated_atoms"] = str(tmp_path / "atoms.xyz")
    with pytest.raises(ValueError, match=r"given for Cu, but not for Al\. Give those of all elements"):
        initial(load_config(config), *start)
    config["data"]["reference_energies"] = {"Al": -0.25}
    np.testing.assert_array_equal(initial(load_config(config), *start), [-0.25, -1.5])


def test_refit_finds_the_shift(start):
    potential, frames = start[0], alloys()
    for atoms, made in zip(frames, predict(potential, frames, forces=False), strict=True):
        shift = np.dot([atoms.symbols.count(e) for e in potential.elements], [5.0, -7.0])
        atoms.calc = SinglePointCalculator(atoms, energy=made.energy + shift)
    found = refitted(potential, frames).reference_energies
    np.testing.assert_allclose(found - potential.reference_energies, [5, -7], atol=1e-5)
    assert refitted(potential, []) is potential
