"""Training runs: the loss falls, a resumed run is the uninterrupted one, mistakes are told early."""

from __future__ import annotations

import csv
import sys

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from latte_ase import LatteCalculator, load_model
from latte_ase.io.model_file import flatten
from latte_ase.training import train
from latte_ase.training.config import load_config
from latte_ase.training.dataset import split
from latte_ase.training.folder import TrainingFolder

EPOCHS = 12


def alloys(labels=("energy", "forces")):
    """Six alloys of four atoms with labels of EMT."""
    frames = []
    for seed, symbols in enumerate(["CuAlAlCu", "Cu4", "Al4", "CuAl3", "Cu2Al2", "Cu3Al"]):
        atoms = bulk("Cu", cubic=True, a=3.8)
        atoms.symbols = symbols
        atoms.rattle(0.15, seed=seed)
        atoms.calc = EMT()
        results = {name: atoms.calc.get_property(name, atoms) for name in labels}
        atoms.calc = SinglePointCalculator(atoms, **results)
        frames.append(atoms)
    return frames


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A file of labelled structures."""
    path = tmp_path_factory.mktemp("data") / "alloys.xyz"
    write(path, alloys())
    return path


def silent(row, epochs):
    """No progress bar."""


def recipe(data, **training):
    """A configuration: four frames for training, two held out."""
    return {
        "model": {"name": "tiny", "contractions": "2,-:2,a,a", "cutoff": 4.0, "hidden": [8]},
        "data": {"train": str(data), "valid_fraction": 1 / 3},
        "training": {"epochs": EPOCHS, "batch_size": 2, "rate": 0.02, "ema": 0.9} | training,
        "card": {"level_of_theory": "EMT"},
    }


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """A run without interruption, and what it reported."""
    reports = []
    out = tmp_path_factory.mktemp("whole") / "out"
    result = train(recipe(data), out=out, report=lambda *args: reports.append(args))
    return result, reports, out


def test_the_errors_of_four_structures_fall(whole):
    history = whole[0].history
    assert [row["epoch"] for row in history] == list(range(1, EPOCHS + 1))
    assert history[-1]["train_forces_rmse"] < 0.7 * history[0]["train_forces_rmse"]
    assert history[-1]["train_energy_rmse"] < 0.7 * history[0]["train_energy_rmse"]


def test_the_best_epoch_is_returned_and_written_with_its_metrics(whole, data):
    result, _, out = whole
    assert result.path == out / "model.safetensors"
    assert sorted(p.name for p in out.iterdir()) == ["checkpoint.safetensors", "metrics.csv", "model.safetensors"]
    loaded = load_model(out)
    assert_same_params(loaded, result.potential)
    best = min(result.history, key=lambda row: row["criterion"])
    kept = {name: value for name, value in best.items() if not name.startswith("valid_energy")}  # E0 was refitted since
    assert {name: loaded.metadata["metrics"][name] for name in kept} == pytest.approx(kept)
    assert loaded.metadata["frames"] == [4, 2]
    assert loaded.metadata["level_of_theory"] == "EMT"
    assert load_config(loaded.metadata["recipe"]).model.name == "tiny"
    # the calculator makes the errors that the best epoch reported
    squares = []
    for atoms in split(alloys(), 1 / 3, 0).held:
        forces = atoms.get_forces()
        atoms.calc = LatteCalculator(loaded)
        squares.append(np.mean((atoms.get_forces() - forces) ** 2))
    assert 1e3 * np.sqrt(np.mean(squares)) == pytest.approx(best["valid_forces_rmse"], rel=1e-4)


def test_every_epoch_is_reported_and_stands_in_the_table(whole):
    result, reports, out = whole
    assert reports == [(row, EPOCHS) for row in result.history]
    with open(out / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [{name: float(value) for name, value in row.items()} for row in rows] == result.history


def assert_same_params(a, b):
    """Equal in every bit."""
    x, y = flatten(a.params), flatten(b.params)
    assert x.keys() == y.keys()
    for name in x:
        assert (x[name].dtype, x[name].tobytes()) == (y[name].dtype, y[name].tobytes()), name


class Killed(Exception):
    """Somebody pulled the plug."""


@pytest.mark.parametrize("moment", ["between epochs", "while an epoch is saved"])
def test_a_resumed_run_has_the_numbers_of_an_uninterrupted_one(whole, data, tmp_path, monkeypatch, moment):
    expected = whole[0]
    saved = TrainingFolder.save

    def report(row, _):
        if moment == "between epochs" and row["epoch"] == EPOCHS // 2:
            raise Killed

    def save(folder, state):
        if state.epoch > EPOCHS // 2:
            raise Killed
        saved(folder, state)

    with monkeypatch.context() as patch:
        if moment != "between epochs":
            patch.setattr(TrainingFolder, "save", save)
        with pytest.raises(Killed):
            train(recipe(data), out=tmp_path, report=report)
    assert not (tmp_path / "model.safetensors").exists()
    seen = []
    result = train(recipe(data), out=tmp_path, resume=True, report=lambda row, _: seen.append(row["epoch"]))
    assert seen == list(range(EPOCHS // 2 + 1, EPOCHS + 1))
    assert_same_params(result.potential, expected.potential)
    for row, other in zip(result.history, expected.history, strict=True):
        assert row | {"seconds": 0} == other | {"seconds": 0}


def test_a_run_in_batches_of_as_many_atoms_resumes_to_the_numbers_of_an_uninterrupted_one(data, tmp_path):
    config = recipe(data, epochs=3, batch_atoms=16)
    expected = train(config, out=tmp_path / "whole", report=silent)
    with pytest.raises(Stopped):
        train(config, out=tmp_path / "killed", report=stop_after(1))
    result = train(config, out=tmp_path / "killed", resume=True, report=silent)
    assert_same_params(result.potential, expected.potential)
    with pytest.raises(ValueError, match="with other settings"):
        train(recipe(data, epochs=4, batch_atoms=24), out=tmp_path / "killed", resume=True, report=silent)


def test_a_finished_run_resumes_to_itself(whole, data):
    result, _, out = whole
    again = train(recipe(data), out=out, resume=True)
    assert again.history == result.history
    assert_same_params(again.potential, result.potential)


def test_a_loss_that_is_not_a_number_stops_the_run(data, tmp_path):
    with pytest.raises(
        FloatingPointError, match=r"error is nan after epoch 1\. Lower the learning rate \(now 1e\+25\)"
    ):
        train(recipe(data, rate=1e25), out=tmp_path / "out", report=silent)
    assert not (tmp_path / "out" / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("labels", "training", "message"),
    [
        (("energy",), {}, r"0 of 6 frames of the training set have forces\. .*'forces' \(energy=.*forces:R:3 in Properties"),
        (("energy", "forces"), {"stress_weight": 1.0}, r"0 of 6 frames .* have stress\. .*Or set stress_weight to 0"),
    ],
)  # fmt: skip
def test_a_missing_label_is_told_before_anything_is_trained(tmp_path, labels, training, message):
    write(tmp_path / "a.xyz", alloys(labels))
    with pytest.raises(ValueError, match=message):
        train(recipe(tmp_path / "a.xyz", **training), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_frames_are_used_for_the_labels_that_they_have(tmp_path):
    """Under names of their own; energies of some frames, stresses of others."""
    frames = alloys(("energy", "forces", "stress"))
    for k, atoms in enumerate(frames):
        results = atoms.calc.results
        atoms.arrays["REF_forces"] = results["forces"]
        atoms.info |= {"REF_energy": results["energy"]} if k % 2 else {"REF_virial": -64.0 * results["stress"]}
        atoms.calc = None
    write(tmp_path / "a.extxyz", frames)
    config = recipe(tmp_path / "a.extxyz", epochs=1, stress_weight=1.0)
    config["data"]["keys"] = {"energy": "REF_energy", "forces": "REF_forces", "virial": "REF_virial"}
    with pytest.warns(UserWarning, match="3 of 6 frames of the training set have stress"):
        result = train(config, out=tmp_path / "out", report=silent)
    assert all(np.isfinite(result.history[0][f"train_{name}_rmse"]) for name in ("energy", "forces", "stress"))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no file .*nowhere\.xyz"):
        train(recipe(tmp_path / "nowhere.xyz"), out=tmp_path / "out")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("descriptor", "lotte", "descriptor is 'lotte'; allowed are latte, reduced"),
        ("contractions", "2,a", "2,a"),
        ("activation", "relu6", "activation is 'relu6'; allowed are silu"),
        ("elements", ["Cu"], "Element Al is unknown to tiny, which was trained on Cu"),
        ("max_width", 3.0, "do not fit a cutoff of 4.0"),
    ],
)
def test_a_wrong_hyper_parameter_is_told_before_anything_is_trained(data, tmp_path, key, value, message):
    config = recipe(data)
    config["model"][key] = value
    with pytest.raises(ValueError, match=message):
        train(config, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_keyword_of_another_type_is_named(data, tmp_path):
    with pytest.raises(ValueError, match="resume is 'no'; true or false is needed"):
        train(recipe(data), out=tmp_path, resume="no")


def test_nothing_to_resume_from_is_told(data, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no checkpoint in .* to resume from\. Train without resume"):
        train(recipe(data), out=tmp_path, resume=True)


def test_a_checkpoint_of_another_architecture_is_refused(whole, data, tmp_path):
    config = recipe(data)
    config["model"]["hidden"] = [9]
    (tmp_path / "checkpoint.safetensors").write_bytes((whole[2] / "checkpoint.safetensors").read_bytes())
    with pytest.raises(ValueError, match="Resume with the configuration that wrote it"):
        train(config, out=tmp_path, resume=True, report=lambda *_: None)


@pytest.mark.parametrize("given", [{}, {"Al": -1.0, "Cu": -2.0}], ids=["fitted", "given"])
def test_fitted_reference_energies_leave_no_common_error_and_given_ones_stay(data, tmp_path, given):
    """After one epoch the network's energies are off by tens of meV/atom."""
    config = recipe(data, epochs=1)
    config["data"] |= {"valid": str(data)} | ({"reference_energies": given} if given else {})
    result = train(config, out=tmp_path / "model", report=lambda *_: None)
    assert result.potential.reference_energies.tolist() == list(given.values()) or not given
    found = LatteCalculator(result.potential, dtype="float64")
    counts = np.array([[a.symbols.count(e) for e in ("Al", "Cu")] for a in alloys()])
    errors = np.array([found.get_potential_energy(a) - a.get_potential_energy() for a in alloys()])
    common = np.abs(np.linalg.lstsq(counts, errors, rcond=None)[0]).max()
    assert common > 0.01 if given else common < 1e-6
    mean = 1e3 * np.abs(errors / 4).mean()
    assert result.potential.metadata["metrics"]["valid_energy_mae"] == pytest.approx(mean, rel=1e-3)
    # the energy of an isolated atom is E0, which means something only where it was given
    lone = [e.subject for e in found.engine.excursions(Atoms("Cu"))]
    assert lone == ([] if given else [("Cu",)])


@pytest.mark.parametrize(
    "model",
    [{}, {"descriptor": "reduced", "mixing": "random"}, {"descriptor": "reduced"}],
    ids=["none", "random", "learned"],
)
def test_a_decay_that_would_do_nothing_is_refused(data, tmp_path, model):
    config = recipe(data, mixing_decay=0.1, epochs=1)
    config["model"] |= model
    if model == {"descriptor": "reduced"}:
        train(config, out=tmp_path / "out", report=silent)
        return
    (tmp_path / "model.safetensors").write_text("of another training")
    with pytest.raises(
        ValueError, match=r"mixing_decay is 0\.1, but no mixing of (Latte|Reduced) is learned here\. Set it to 0; to"
    ):
        train(config, out=tmp_path)
    assert [path.name for path in tmp_path.glob("*.safetensors")] == ["model.safetensors"]  # a mistake costs nothing


def test_forces_alone_are_enough(tmp_path):
    write(tmp_path / "forces.xyz", alloys(("forces",)))
    result = train(recipe(tmp_path / "forces.xyz", energy_weight=0.0, epochs=1), out=tmp_path / "out", report=silent)
    np.testing.assert_array_equal(result.potential.reference_energies, [0, 0])
    assert np.isnan(result.history[0]["valid_energy_mae"]) and result.history[0]["valid_forces_mae"] > 0


def test_energies_in_other_units_are_refused(tmp_path):
    frames = []
    for k in range(8):
        atoms = alloys()[0].copy()
        atoms.rattle(0.02, seed=k)
        atoms.calc = EMT()
        labels = {"energy": atoms.get_potential_energy() / 27.211386, "forces": atoms.get_forces()}
        atoms.calc = SinglePointCalculator(atoms, **labels)
        frames.append(atoms)
    write(tmp_path / "hartree.xyz", frames)
    with pytest.raises(ValueError, match="It looks as if energies are in Hartree"):
        train(recipe(tmp_path / "hartree.xyz"), out=tmp_path / "out", report=silent)


def test_one_frame_cannot_be_split(tmp_path):
    write(tmp_path / "one.xyz", alloys()[:1])
    with pytest.raises(
        ValueError, match=r"1 of 1 frames would be held out \(fraction 0\.333333\), and none left to train on"
    ):
        train(recipe(tmp_path / "one.xyz"), out=tmp_path / "out", report=silent)


class Stopped(Exception):
    """Of a training by its report."""


def stop_after(epochs):
    def report(row, _):
        if row["epoch"] == epochs:
            raise Stopped

    return report


def test_one_that_could_not_write_its_model_is_not_lost(data, tmp_path, monkeypatch):
    def full(potential, path):
        raise OSError("No space left")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(sys.modules[train.__module__], "save_model", full)
        train(recipe(data, epochs=2), out=tmp_path, report=silent)
    with pytest.raises(FileExistsError, match=r"after 2 of 2 epochs that has not written its model\. Go on with"):
        train(recipe(data, epochs=2), out=tmp_path, report=silent)
    seen = []
    train(recipe(data, epochs=2), out=tmp_path, resume=True, report=lambda row, _: seen.append(row))
    assert seen == [] and (tmp_path / "model.safetensors").exists()


def test_an_unfinished_training_is_not_overwritten_and_a_finished_one_may_be(data, tmp_path):
    config, checkpoint_file = recipe(data, epochs=3), tmp_path / "checkpoint.safetensors"
    with pytest.raises(Stopped):
        train(config, out=tmp_path, report=stop_after(1))
    before = checkpoint_file.read_bytes()
    with pytest.raises(
        FileExistsError, match=r"after 1 of 3 epochs that has not written its model\. Go on with"
    ) as caught:
        train(config, out=tmp_path, report=silent)
    assert str(checkpoint_file) in str(caught.value) and checkpoint_file.read_bytes() == before
    train(config, out=tmp_path, resume=True, report=silent)
    with pytest.raises(FileNotFoundError):
        train(recipe("nowhere.xyz"), out=tmp_path, report=silent)
    assert len(train(config, out=tmp_path, report=silent).history) == 3


@pytest.mark.parametrize("epochs", [2, 3])
def test_an_old_model_is_replaced_by_the_finished_new_one_alone(data, tmp_path, monkeypatch, epochs):
    """Neither by one that stops, nor by one that cannot write its model, which is resumed and not begun again."""
    old = train(recipe(data, epochs=2), out=tmp_path, report=silent).path
    before, new = old.read_bytes(), recipe(data, epochs=epochs, rate=0.01)
    with pytest.raises(Stopped):
        train(new, out=tmp_path, report=stop_after(1))
    assert old.read_bytes() == before
    with pytest.raises(FileExistsError, match=rf"after 1 of {epochs} epochs that has not written its model"):
        train(new, out=tmp_path, report=silent)
    with pytest.raises(Stopped):  # after the last checkpoint
        train(new, out=tmp_path, resume=True, report=stop_after(epochs))
    assert old.read_bytes() == before
    with pytest.raises(FileExistsError, match=rf"after {epochs} of {epochs} epochs that has not written its model"):
        train(new, out=tmp_path, report=silent)
    result = train(new, out=tmp_path, resume=True, report=silent)
    assert_same_params(load_model(old), result.potential)
    assert old.read_bytes() != before
    train(new, out=tmp_path, report=silent)  # finished: it may be done again


def test_a_folder_with_the_name_of_a_shipped_model_is_refused(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = recipe(data)
    config["model"]["name"] = "latte-si"
    message = (
        r"would be written to \./latte-si, but 'latte-si' is the name of a shipped model\. Name another folder as out"
    )
    for out in (None, "latte-si", "./latte-si", tmp_path / "latte-si"):
        with pytest.raises(ValueError, match=message):
            train(config, out=out, report=silent)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", ["frames", "settings", "E0", "cell", "epochs"])
def test_a_training_goes_on_with_its_own_frames_and_settings_alone(data, tmp_path, change):
    with pytest.raises(Stopped):
        train(recipe(data, epochs=3), out=tmp_path / "out", report=stop_after(1))
    if change == "epochs":  # more of them are no other training
        assert len(train(recipe(data, epochs=4), out=tmp_path / "out", resume=True, report=silent).history) == 4
        return
    other = data
    if change in ("frames", "cell"):
        other = tmp_path / "other.xyz"
        frames = alloys()
        if change == "frames":
            frames[0].calc.results["energy"] += 0.1
        else:
            frames[0].pbc = (True, True, False)
        write(other, frames)
    config = recipe(other, epochs=3, **({"energy_weight": 3.0} if change == "settings" else {}))
    if change == "E0":
        config["data"]["reference_energies"] = {"Al": 0.1, "Ni": 0.1, "Cu": 0.2}
    with pytest.raises(ValueError, match="was written by a training on other frames, with other settings or from"):
        train(config, out=tmp_path / "out", resume=True, report=silent)
