"""Training from the weights of another model: what is taken, what is not, and what does not fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from latte_ase.io.model_file import save_model
from latte_ase.prediction import predict
from latte_ase.training import train
from latte_ase.training.config import load_config
from latte_ase.training.initial import initial_potential
from latte_ase.training.warm_start import with_weights_of

MODEL = {"name": "tiny", "descriptor": "reduced", "contractions": "2,-:2,a,a", "cutoff": 4.0, "hidden": [8]}


def random_potential(elements, seed=0, **model):
    table = MODEL | {"elements": elements} | model
    made = initial_potential(load_config({"model": table, "data": {"train": ""}, "training": {"seed": seed}}), [])
    rng = np.random.default_rng(seed)
    scales = {k: made.constants[k] + rng.random(made.constants[k].shape) for k in ("mean", "deviation")}
    return replace(made, constants={**made.constants, **scales}, reference_energies=rng.normal(size=len(elements)))


def cluster(symbols):
    atoms = Atoms(symbols, np.random.default_rng(1).random((len(Atoms(symbols)), 3)) * 4)
    return atoms


def test_weights_scales_and_E0_are_those_of_the_base():
    base, fresh = (random_potential(["Al", "Cu"], seed=seed) for seed in (1, 2))
    start = with_weights_of(base, fresh, [])
    one, other, random = (next(predict(p, [cluster("Al2Cu2")])) for p in (base, start, fresh))
    assert one.energy == other.energy != random.energy
    np.testing.assert_array_equal(one.forces, other.forces)
    assert start.metadata == fresh.metadata


@pytest.mark.parametrize("descriptor", [{}, {"embedding": 2}], ids=["tables", "vectors"])
def test_other_elements_are_told_and_known_ones_stay(descriptor):
    """As many as before: no axis has another length."""
    base = random_potential(["Al", "Ni", "Cu"], seed=1, **descriptor)
    fresh = random_potential(["Al", "Cu", "Au"], seed=2, **descriptor)
    message = (
        "The model in .model. init knows Al, Ni, Cu: its parameters of Ni are not taken, which the new one lacks; Au start from "
        "parameters of known elements"
    )
    with pytest.warns(UserWarning, match=message):
        start = with_weights_of(base, fresh, [cluster("AlCuAu2"), cluster("CuAu3")])
    assert start.elements == ("Al", "Cu", "Au")
    one, other = (next(predict(p, [cluster("Al2Cu2")])) for p in (base, start))
    assert one.energy == pytest.approx(other.energy, abs=1e-5)
    np.testing.assert_allclose(one.forces, other.forces, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "difference"),
    [
        ({"hidden": [8, 8]}, r"hidden is \(8, 8\) here and \(8,\) there"),
        ({"cutoff": 5.0, "activation": "tanh"}, r"cutoff is 5\.0 here and 4\.0 there; activation is 'tanh' here and 'silu' there"),
        ({"descriptor": "latte"}, "descriptor is 'latte' here and 'reduced' there"),
    ],
)  # fmt: skip
def test_another_architecture_is_refused(model, difference):
    base, fresh = random_potential(["Cu"]), random_potential(["Cu"], **model)
    message = rf"The weights of the model in \[model\] init do not fit: {difference}.*\. Elements may differ, all else"
    with pytest.raises(ValueError, match=message):
        with_weights_of(base, fresh, [])


@pytest.fixture
def data(tmp_path):
    """A file of alloys with labels of EMT."""
    frames = []
    for seed, symbols in enumerate(["CuAlAlCu", "Cu2Al2", "CuAl3"]):
        atoms = bulk("Cu", cubic=True, a=3.8)
        atoms.symbols = symbols
        atoms.rattle(0.15, seed=seed)
        atoms.calc = EMT()
        atoms.calc = SinglePointCalculator(atoms, energy=atoms.get_potential_energy(), forces=atoms.get_forces())
        frames.append(atoms)
    write(tmp_path / "alloys.xyz", frames)
    return tmp_path / "alloys.xyz"


def recipe(file, **tables):
    return {
        "model": MODEL | tables.get("model", {}),
        "data": {"train": str(file), "valid_fraction": 1 / 3} | tables.get("data", {}),
        "training": {"epochs": 1, "batch_size": 2, "rate": 0.02, "ema": 0.9} | tables.get("training", {}),
    }


def silent(row, epochs):
    """No progress bar."""


def test_training_begins_where_the_base_ended(data, tmp_path):
    """At a rate of nothing the errors of forces stay those of the base, and E0 are fitted to what its network leaves."""
    base = train(recipe(data, training={"epochs": 8}), out=tmp_path / "base", report=silent)
    best = min(base.history, key=lambda row: row["criterion"])
    still = {"rate": 1e-12, "weight_decay": 0.0}
    (row,) = train(
        recipe(data, model={"init": str(tmp_path / "base")}, training=still), out=tmp_path / "warm", report=silent
    ).history
    assert row["valid_forces_rmse"] == pytest.approx(best["valid_forces_rmse"], rel=1e-4)
    assert row["train_energy_rmse"] < 1.5 * best["train_energy_rmse"]
    (cold,) = train(recipe(data, training=still), out=tmp_path / "cold", report=silent).history
    assert cold["valid_forces_rmse"] > 1.1 * row["valid_forces_rmse"]


def test_a_path_is_relative_to_the_recipe_and_the_base_belongs_to_the_training(data, tmp_path):
    def stop(row, _):
        raise KeyboardInterrupt

    for name, seed in (("one", 1), ("two", 2)):
        save_model(random_potential(["Al", "Cu"], seed=seed), tmp_path / f"{name}.safetensors")
    path = tmp_path / "recipe.toml"
    text = f"""[model]
name = "tiny"
descriptor = "reduced"
contractions = "2,-:2,a,a"
cutoff = 4.0
hidden = [8]
init = "NAME.safetensors"
[data]
train = "{data.name}"
[training]
epochs = 2
"""
    path.write_text(text.replace("NAME", "one"))
    with pytest.raises(KeyboardInterrupt):
        train(path, out=tmp_path / "out", report=stop)
    path.write_text(text.replace("NAME", "two"))
    with pytest.raises(ValueError, match="with other settings or from another model"):
        train(path, out=tmp_path / "out", resume=True, report=silent)
    path.write_text(text.replace("NAME", "one"))
    assert len(train(path, out=tmp_path / "out", resume=True, report=silent).history) == 2
    path.write_text(text.replace("NAME", "none"))
    with pytest.raises(FileNotFoundError, match=r"There is no model file or folder none\.safetensors"):
        train(path, out=tmp_path / "other", report=silent)


def test_given_E0_do_not_take_the_place_of_fitted_ones(data, tmp_path):
    save_model(random_potential(["Al", "Cu"]), tmp_path / "base.safetensors")
    config = recipe(
        data,
        model={"init": str(tmp_path / "base.safetensors")},
        data={"reference_energies": {"Al": -1.0, "Cu": -2.0}},
    )
    message = r"The E0 of the base model are a fit .*\. Leave isolated_atoms and reference_energies out of \[data\]"
    with pytest.raises(ValueError, match=message):
        train(config, out=tmp_path / "out", report=silent)
