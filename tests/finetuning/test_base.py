"""The base of a fine-tuning that names none."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator

from latte_ase import finetune, predict
from latte_ase.finetuning import base as module
from latte_ase.finetuning.base import choose_base


@pytest.fixture
def shipped(monkeypatch, tiny_potential):
    """Two models of water whose numbers differ, and one of carbon and hydrogen."""
    models = {
        "a": tiny_potential("latte", ("H", "O")),
        "b": tiny_potential("latte", ("H", "O"), seed=1),
        "carbon": tiny_potential("latte", ("H", "C")),
    }
    monkeypatch.setattr(module, "list_models", lambda: list(models))
    monkeypatch.setattr(module, "load_model", models.__getitem__)
    return models


def labelled(model, name="H2O", *, shift=0.0, forces=True):
    """Molecules with the labels of a model, whose E0 are others by `shift` eV."""
    frames = []
    for seed in range(20):
        atoms = molecule(name)
        atoms.rattle(0.1, seed=seed)
        frames.append(atoms)
    for atoms, result in zip(frames, predict(model, frames), strict=True):
        labels = {"energy": result.energy + shift} | ({"forces": np.asarray(result.forces)} if forces else {})
        atoms.calc = SinglePointCalculator(atoms, **labels)
    return frames


@pytest.mark.parametrize("name", ["a", "b"])
def test_of_those_that_know_all_elements_the_nearest_one_is_chosen(shipped, name):
    found = choose_base(labelled(shipped[name], shift=30.0), ("energy", "forces"))
    assert found.name == name
    other = "b" if name == "a" else "a"
    assert (
        f"Fine-tuning starts from {name}, the nearest of the shipped models that know H O: 0 (forces on 12 frames"
        in found.reason
    )
    assert f"MAE in meV/Å; {other} " in found.reason and "Name a model to start from another one." in found.reason


@pytest.mark.parametrize("name", ["a", "b"])
def test_without_forces_energies_are_compared_whatever_the_reference(shipped, name):
    frames = labelled(shipped[name], shift=30.0, forces=False)
    frames[0].calc = None  # without a label, and not asked
    found = choose_base(frames, ("energy",))
    assert found.name == name
    assert "0 (energy on 12 frames, MAE in meV/atom after a fit of E0" in found.reason


def test_the_only_one_is_not_compared(shipped, monkeypatch):
    monkeypatch.setattr(module, "evaluate", lambda *_, **__: pytest.fail("was evaluated"))
    found = choose_base([molecule("CH4")], ("energy", "forces"))
    assert found.name == "carbon"
    assert found.reason == (
        "Fine-tuning starts from carbon, the only shipped model that knows H C. Name a model to start from another one."
    )


def test_without_one_that_knows_all_elements_the_shipped_ones_are_listed(shipped):
    with pytest.raises(
        ValueError,
        match=r"No shipped model knows all elements of the frames, H C O\. Name one to start from, .*are a \(H O\); b \(H O\); carbon \(H C\)\.",
    ):
        choose_base([molecule("CH3CH2OH")], ("energy", "forces"))


def test_a_fine_tuning_says_what_it_starts_from(shipped, monkeypatch, capsys):
    models = {name: replace(model, metadata={"name": name, "general": "all"}) for name, model in shipped.items()}
    monkeypatch.setattr(module, "load_model", models.__getitem__)
    monkeypatch.setattr(sys.modules[finetune.__module__], "load_model", lambda name: models[name])
    result = finetune(None, labelled(shipped["b"]), epochs=1, report=lambda *_: None)
    assert result.potential.metadata["base"] == "b"
    assert "general" not in result.potential.metadata  # it knows what it was tuned for
    assert "Fine-tuning starts from b" in capsys.readouterr().out
