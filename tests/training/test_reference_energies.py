"""E0 as given, of isolated atoms, or by least squares; fitted again to what a model leaves; and of another level of theory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from latte_ase.prediction import predict
from latte_ase.training.config import load_config
from latte_ase.training.dataset import prepare
from latte_ase.training.initial import initial_potential
from latte_ase.training.reference_energies import initial, moved, refitted, with_those_of

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


@pytest.fixture(scope="module")
def frames(potential):
    """Prepared ones."""
    return prepare(potential, labelled(potential, [0, 0]))


def test_least_squares(potential, frames):
    frames = [replace(f, energy=-3.5 * (f.species == 0).sum() - 4.25 * (f.species == 1).sum()) for f in frames]
    found = initial(load_config({"model": MODEL, "data": {"train": ""}}), potential, frames)
    np.testing.assert_allclose(found, [-3.5, -4.25], rtol=1e-12)


def test_a_frame_of_weight_2_is_fitted_as_that_frame_twice(potential, frames):
    frames = [replace(f, energy=float(k)) for k, f in enumerate(frames)]
    config = load_config({"model": MODEL, "data": {"train": ""}})
    weighted = initial(config, potential, [replace(frames[0], weight=2.0), *frames[1:]])
    np.testing.assert_allclose(weighted, initial(config, potential, [frames[0], *frames]), rtol=1e-12)
    assert np.abs(weighted - initial(config, potential, frames)).max() > 1e-3


def test_isolated_atoms_and_given_ones(potential, frames, tmp_path):
    atom, pair = Atoms("Cu"), Atoms("Al2", [(0, 0, 0), (0, 0, 3)])
    for atoms, energy in ((atom, -1.5), (pair, -9.0)):
        atoms.calc = SinglePointCalculator(atoms, energy=energy)
    write(tmp_path / "atoms.xyz", [atom, pair])
    config = {"model": MODEL, "data": {"train": "", "isolated_atoms": str(tmp_path / "atoms.xyz")}}
    with pytest.raises(ValueError, match=r"given for Cu, but not for Al\. Give those of all elements"):
        initial(load_config(config), potential, frames)
    config["data"]["reference_energies"] = {"Al": -0.25}
    np.testing.assert_array_equal(initial(load_config(config), potential, frames), [-0.25, -1.5])
    config["data"]["reference_energies"] = {"Al": -0.25, "Cu": -2.0}  # what is given comes first
    np.testing.assert_array_equal(initial(load_config(config), potential, frames), [-0.25, -2.0])
    write(tmp_path / "atoms.xyz", Atoms("Cu"))
    with pytest.raises(ValueError, match=r"0 of 1 frames of .*atoms\.xyz have energy"):
        initial(load_config(config), potential, frames)
    write(tmp_path / "atoms.xyz", pair)  # what is given does not make up for a file without any
    with pytest.raises(
        ValueError, match=r"There is no isolated atom in .*atoms\.xyz: 1 structures have more than one atom"
    ):
        initial(load_config(config), potential, frames)


def test_what_a_fit_cannot_do_is_told(potential, frames):
    config = load_config({"model": MODEL, "data": {"train": ""}})
    with pytest.warns(UserWarning, match="No frame of the training set with an energy has Al: E0 is 0 there"):
        initial(config, potential, frames[-1:])
    atom = Atoms("Cu")
    atom.calc = SinglePointCalculator(atom, energy=-1.0)
    with pytest.warns(UserWarning, match=r"1 of the frames with an energy are isolated atoms.*Set isolated_atoms"):
        initial(config, potential, [*frames, *prepare(potential, [atom])])


def test_without_energies_there_is_nothing_to_fit(potential, frames):
    config = load_config({"model": MODEL, "data": {"train": ""}})
    np.testing.assert_array_equal(initial(config, potential, [replace(f, energy=None) for f in frames]), [0, 0])
    bare = [a.copy() for a in labelled(potential, [0, 0])]
    assert refitted(potential, bare) is potential
    for atoms in bare:
        atoms.calc = SinglePointCalculator(atoms, forces=np.ones((len(atoms), 3)))
    end = replace(potential, reference_energies=potential.reference_energies + 1)
    assert [set(a.calc.results) for a in moved(bare, potential, end)] == [{"forces"}] * len(bare)


def test_refit_finds_the_shift(potential):
    found = refitted(potential, labelled(potential, [5.0, -7.0])).reference_energies
    np.testing.assert_allclose(found - potential.reference_energies, [5, -7], atol=1e-5)
    assert refitted(potential, []) is potential


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


def test_labels_of_the_caller_are_left_alone(potential):
    atoms = labelled(potential, [0, 0])[0]
    atoms.calc.results["energy"] = np.array(-40.0)  # as programs that compute with tensors may store it
    end = replace(potential, reference_energies=potential.reference_energies + 1)
    (after,) = moved([atoms], potential, end)
    assert atoms.calc.results["energy"] == -40 and after.calc.results["energy"] == -40 + len(atoms)
