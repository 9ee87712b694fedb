"""Fine-tuning adapts to a new level of theory, keeps what it must, and refuses bad input."""

import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

import latte_ase
from latte_ase import finetune
from latte_ase.finetuning import replay
from latte_ase.finetuning.finetune import with_wider_domain
from latte_ase.io import model_file
from latte_ase.io.model_file import save_model
from latte_ase.io.pretrained import models_folder
from latte_ase.training.dataset import prepare, split
from latte_ase.training.parametrisation import low_rank
from latte_ase.training.reference_energies import with_those_of

RECIPE = {
    "card": {"level_of_theory": "EMT", "data": "made here"},
    "model": {"name": "tiny", "contractions": "4,-:2,a,a", "cutoff": 4.0, "hidden": [8]},
    "data": {"train": ""},
    "training": {"epochs": 40, "batch_size": 2, "rate": 1e-2},
}


def frames(n, *, seed, factor=1.0, shift=0.0):
    """Rattled copper with EMT labels; `factor` and `shift` (eV/atom) make another level of theory."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(n):
        atoms = bulk("Cu", cubic=True)
        atoms.set_cell(atoms.cell * rng.uniform(0.96, 1.04), scale_atoms=True)
        atoms.positions += rng.normal(scale=0.12, size=atoms.positions.shape)
        atoms.calc = EMT()
        energy = factor * atoms.get_potential_energy() + shift * len(atoms)
        forces = factor * atoms.get_forces()
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
        made.append(atoms)
    return made


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    from ase.io import write

    write(folder / "frames.extxyz", frames(12, seed=0))
    recipe = {**RECIPE, "data": {"train": str(folder / "frames.extxyz")}}
    return latte_ase.train(recipe, out=folder, report=lambda row, epochs: None).potential


@pytest.fixture(scope="module")
def tuned(base, tmp_path_factory):
    out = tmp_path_factory.mktemp("tuned") / "mine"
    new, held = frames(10, seed=1, factor=2.0, shift=5.0), frames(4, seed=9, factor=2.0, shift=5.0)
    return finetune(base, new, valid=held, out=out, epochs=60, rate=5e-3, report=lambda row, epochs: None)


def test_errors_fall_stage_by_stage(tuned):
    """E0 takes the shift of 5 eV/atom away, training the rest."""
    before, shifted, after = tuned.errors.values()
    assert before["energy_mae"] > 4000
    assert shifted["energy_mae"] < 0.05 * before["energy_mae"]
    assert after["forces_rmse"] < 0.8 * shifted["forces_rmse"]
    assert all(stage in tuned.table for stage in ("base model", "E0 re-fitted", "fine-tuned"))


def test_result_is_a_ready_calculator_and_a_file(tuned):
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=3)
    atoms.calc = tuned.calculator
    forces = atoms.get_forces()
    assert np.abs(forces).max() > 0.01
    loaded = model_file.load(tuned.path)
    assert loaded.metadata["base"] == "tiny"
    facts = loaded.metadata["finetuning"]
    assert (loaded.metadata["name"], facts["strategy"], facts["frames"]) == ("mine", "full", 10)
    assert facts["held_out"]["fine-tuned"] == tuned.errors["fine-tuned"]
    assert (facts["training"]["energy_weight"], facts["training"]["epochs"]) == (100.0, 60)
    assert not {"recipe", "metrics", "frames", "level_of_theory", "data"} & set(loaded.metadata)
    atoms.calc = latte_ase.LatteCalculator(loaded)
    np.testing.assert_array_equal(atoms.get_forces(), forces)
    assert sorted(path.name for path in tuned.path.parent.iterdir()) == ["metrics.csv", "model.safetensors"]


def stop_after(epoch):
    def report(row, epochs):
        if row["epoch"] == epoch:
            raise KeyboardInterrupt

    return report


@pytest.mark.parametrize("strategy", ["full", "lora"])
def test_one_that_was_stopped_goes_on_to_the_same_numbers(base, tmp_path, strategy):
    seen = []
    how = {"strategy": strategy, "replayed": frames(4, seed=0), "epochs": 4}
    whole = finetune(base, frames(6, seed=1, factor=2.0), **how, report=lambda row, epochs: None)
    with pytest.raises(KeyboardInterrupt):
        finetune(base, frames(6, seed=1, factor=2.0), **how, out=tmp_path, report=stop_after(2))
    with pytest.raises(FileExistsError, match=r"after 2 of 4 epochs that has not written its model\. Go on with"):
        finetune(base, frames(6, seed=1, factor=2.0), **how, out=tmp_path)
    resumed = finetune(
        base, frames(6, seed=1, factor=2.0), **how, out=tmp_path, resume=True, report=lambda row, _: seen.append(row["epoch"])
    )  # fmt: skip
    assert seen == [3, 4] and [row["epoch"] for row in resumed.history] == [1, 2, 3, 4]
    assert resumed.errors == whole.errors
    for name, value in model_file.flatten(whole.potential.params).items():
        np.testing.assert_array_equal(model_file.flatten(resumed.potential.params)[name], value)


@pytest.mark.parametrize("change", ["model", "E0", "strategy", "frames", "replayed", "cell"])
def test_one_that_was_stopped_goes_on_with_what_it_began_with_alone(base, tmp_path, change):
    base = of_isolated_atoms(base)
    how = {"frames": frames(4, seed=1), "replayed": frames(4, seed=0), "energies": {"Cu": 1.0}, "epochs": 2}
    with pytest.raises(KeyboardInterrupt):
        finetune(base, **how, out=tmp_path, report=stop_after(1))
    if change == "model":  # of the same shapes
        base = replace(base, constants={**base.constants, "scale": 2 * base.constants["scale"]})
    elif change == "E0":
        how["energies"] = {"Cu": 1.1}
    elif change == "strategy":
        how["strategy"] = partial(low_rank, rank=1)
    elif change == "cell":
        how["frames"][0].pbc = False
    else:
        how[change] = frames(4, seed=5)
    with pytest.raises(
        ValueError,
        match=r"other frames, with other settings or from another model|other arrays than this configuration makes",
    ):
        finetune(base, **how, out=tmp_path, resume=True, report=lambda *_: None)


def test_one_that_was_stopped_goes_on_where_predictions_differ_in_their_last_bits(base, tmp_path, monkeypatch):
    """As they do from one processor to another; what was given is the same."""
    how = {"frames": frames(4, seed=1), "replayed": [atoms.copy() for atoms in frames(4, seed=0)], "epochs": 2}
    with pytest.raises(KeyboardInterrupt):
        finetune(base, **how, out=tmp_path, report=stop_after(1))
    exact = replay.labelled

    def nearly(*arguments):
        made = exact(*arguments)
        for atoms in made:
            atoms.calc.results["energy"] *= 1 + 1e-14
        return made

    monkeypatch.setattr(replay, "labelled", nearly)
    assert len(finetune(base, **how, out=tmp_path, resume=True, report=lambda *_: None).history) == 2


def test_one_that_could_not_write_its_model_is_not_lost(base, tmp_path, monkeypatch):
    def full(potential, path):
        raise OSError("No space left")

    how = {"frames": frames(4, seed=1), "out": tmp_path, "epochs": 2}
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(sys.modules[finetune.__module__], "save_model", full)
        finetune(base, **how, report=lambda *_: None)
    with pytest.raises(FileExistsError, match=r"after 2 of 2 epochs that has not written its model\. Go on with"):
        finetune(base, **how)
    seen = []
    result = finetune(base, **how, resume=True, report=lambda row, _: seen.append(row))
    assert seen == [] and result.path.exists()
    with pytest.raises(FileNotFoundError, match=r"There is nothing to resume: .*model\.safetensors is finished"):
        finetune(base, **how, resume=True)


def test_an_old_model_is_replaced_by_the_finished_new_one_alone(base, tmp_path):
    how = {"frames": frames(4, seed=1), "out": tmp_path, "epochs": 2}
    path = finetune(base, **how, report=lambda *_: None).path
    before = path.read_bytes()
    with pytest.raises(ValueError, match="strategy is"):
        finetune(base, **how, strategy="none")
    for stop in (1, 2):  # the second time after the last checkpoint
        with pytest.raises(KeyboardInterrupt):
            finetune(base, **how, strategy="network", resume=stop > 1, report=stop_after(stop))
        assert path.read_bytes() == before
        with pytest.raises(FileExistsError, match=f"after {stop} of 2 epochs that has not written its model"):
            finetune(base, **how, strategy="network")
    finetune(base, **how, strategy="network", resume=True, report=lambda *_: None)
    assert model_file.load(path).metadata["finetuning"]["strategy"] == "network"


def test_a_folder_with_the_name_of_a_shipped_model_is_refused(base, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"written to \./latte-si, but 'latte-si' is the name of a shipped model"):
        finetune(base, frames(4, seed=1), out="latte-si")
    assert list(tmp_path.iterdir()) == []


def test_a_model_is_not_replaced_by_what_starts_from_it(base, tmp_path):
    path = save_model(base, tmp_path / "model.safetensors")
    for model in (path, tmp_path, str(tmp_path)):
        with pytest.raises(
            ValueError, match=r"holds the model that is to be fine-tuned; .* Give another folder as out"
        ):
            finetune(model, frames(4, seed=1), out=tmp_path)
    assert path.exists()
    shipped = models_folder() / "latte-cu"
    with pytest.raises(ValueError, match="holds the model that is to be fine-tuned"):
        finetune("latte-cu", frames(4, seed=1), out=shipped)
    assert (shipped / "model.safetensors").exists()


def test_the_folder_names_the_model(base, tmp_path, monkeypatch):
    (tmp_path / "water").mkdir()
    monkeypatch.chdir(tmp_path / "water")
    result = finetune(base, frames(4, seed=1), out=".", epochs=2, report=lambda *_: None)
    assert result.potential.metadata["name"] == "water"


def test_one_that_stopped_early_may_be_done_again(base, tmp_path):
    for _ in range(2):
        result = finetune(base, frames(4, seed=1), out=tmp_path, epochs=9, patience=1, rate=1.0, report=lambda *_: None)
        assert len(result.history) < 9


@pytest.mark.parametrize(
    ("error", "message", "out"),
    [
        (ValueError, "resume=True needs the folder of the fine-tuning that was stopped; give it as out", None),
        (FileNotFoundError, "There is no checkpoint in .*nowhere to resume from", "nowhere"),
    ],
)
def test_nothing_to_resume_from_is_told(base, tmp_path, error, message, out):
    with pytest.raises(error, match=message):
        finetune(base, frames(4, seed=1), out=out and tmp_path / out, resume=True)


def test_last_layer_changes_the_last_layer_alone(base):
    result = finetune(
        base, frames(4, seed=2, factor=1.3), strategy="last-layer", epochs=2, report=lambda row, epochs: None
    )
    before, after = (model_file.flatten(p.params) for p in (base, result.potential))
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed and all(name.startswith("network/Dense_1/") for name in changed)


def test_network_leaves_the_descriptor_as_it_is(base):
    result = finetune(
        base, frames(4, seed=2, factor=1.3), strategy="network", epochs=2, report=lambda row, epochs: None
    )
    before, after = (model_file.flatten(p.params) for p in (base, result.potential))
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert "network/Dense_0/kernel" in changed and all(name.startswith("network/") for name in changed)


def test_labels_in_other_units_are_refused_before_a_step(base):
    rattled = frames(1, seed=3)[0]
    given = []
    for k in range(8):
        atoms = rattled.copy()
        atoms.rattle(0.02, seed=k)
        atoms.calc = EMT()
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        atoms.calc = SinglePointCalculator(atoms, energy=energy / 27.211386, forces=forces)
        given.append(atoms)
    with pytest.raises(ValueError, match="It looks as if energies are in Hartree"):
        finetune(base, given, report=lambda row, epochs: pytest.fail("a step was taken"))


def test_repulsion_stays_out_of_the_new_frames(base):
    close = bulk("Cu", cubic=True)
    close.set_distance(0, 1, 1.9, fix=0)
    ranges = with_wider_domain(base, prepare(base, [close])).constants["repulsion_range"]
    assert ranges[0, 0] == pytest.approx(1.9) and base.constants["repulsion_range"][0, 0] > 1.9


def test_repulsion_is_taken_from_pairs_that_meet_for_the_first_time(base):
    unmet = replace(base, constants={**base.constants, "repulsion_range": np.zeros((1, 1))})
    ranges = with_wider_domain(unmet, prepare(unmet, [bulk("Cu", cubic=True)])).constants["repulsion_range"]
    assert ranges[0, 0] == pytest.approx(3.61 / 2**0.5)


def test_fewer_neighbours_are_in_the_domain_where_the_new_frames_have_them(base):
    (known,) = base.domain.fewest
    layer = bulk("Cu", cubic=True)[:2]  # with its images
    layer.pbc[2] = False
    ((atom, average),) = with_wider_domain(base, prepare(base, [layer])).domain.fewest
    assert 0 < atom < known[0] and 0 < average < known[1]
    dense = bulk("Cu", a=3.0, cubic=True)
    np.testing.assert_array_equal(with_wider_domain(base, prepare(base, [dense])).domain.fewest, [known])
    constants = {name: array for name, array in base.constants.items() if name != "fewest_neighbours"}
    older = replace(base, constants=constants)  # a file that does not say what the old frames had
    assert with_wider_domain(older, prepare(older, [layer])).domain.fewest is None


def test_low_rank_adapts_and_a_function_chooses_the_rank(base):
    new, held = frames(10, seed=1, factor=2.0), frames(4, seed=9, factor=2.0)
    how = {"valid": held, "epochs": 60, "rate": 2e-2, "report": lambda row, epochs: None}
    for strategy in ("lora", partial(low_rank, rank=1)):
        result = finetune(base, new, strategy=strategy, **how)
        errors = result.errors
        assert errors["fine-tuned"]["forces_rmse"] < 0.8 * errors["base model"]["forces_rmse"]
        before, after = (model_file.flatten(p.params) for p in (base, result.potential))
        changed = {name for name in before if not np.array_equal(before[name], after[name])}
        assert changed == {name for name in before if name.endswith("kernel")}


def test_replay_remembers(base):
    """Of the level of theory with twice the forces, and of the base model's own."""
    new, held, old = frames(10, seed=1, factor=2.0), frames(4, seed=9, factor=2.0), frames(20, seed=5)
    how = {"valid": held, "epochs": 40, "rate": 5e-3, "valid_fraction": 0.5, "report": lambda row, epochs: None}
    replayed, plain = finetune(base, new, replayed=old, **how), finetune(base, new, **how)
    held_old = split(old, 0.5, 0).held
    forgotten = latte_ase.evaluate(plain.potential, held_old).metrics["forces_rmse"]
    again = latte_ase.evaluate(with_those_of(base, replayed.potential), held_old).metrics["forces_rmse"]
    assert list(replayed.base_errors) == ["base model", "fine-tuned"]
    assert replayed.base_errors["fine-tuned"]["forces_rmse"] == pytest.approx(again, rel=1e-6)
    assert again < 0.9 * forgotten
    assert "base data" in replayed.table and "base data" not in plain.table


def test_replayed_frames_without_labels_get_those_of_the_base_model(base):
    bare = [atoms.copy() for atoms in frames(6, seed=0)]
    how = {"epochs": 1, "rate": 1e-9, "report": lambda row, epochs: None}
    result = finetune(base, frames(4, seed=1, shift=3.0), replayed=bare, **how)
    assert result.base_errors["base model"]["energy_mae"] < 1e-3
    assert result.base_errors["base model"]["forces_mae"] < 1e-2
    assert result.base_errors["fine-tuned"]["energy_mae"] < 1e-2  # E0 of the base model, not the shifted one


def test_replayed_frames_do_not_move_the_repulsion(base):
    """What the base model says of atoms closer than it was trained on is its repulsion, which has to stay."""
    close = bulk("Cu", cubic=True)
    close.set_distance(0, 1, 1.9, fix=0)
    how = {"epochs": 1, "rate": 1e-9, "report": lambda row, epochs: None}
    result = finetune(base, frames(4, seed=1), replayed=[close.copy() for _ in range(4)], **how)
    assert result.potential.constants["repulsion_range"][0, 0] > 1.95
    assert result.base_errors["fine-tuned"]["forces_mae"] < 1


def test_energies_alone_are_enough(base):
    new = frames(6, seed=1, factor=1.5)
    for atoms in new:
        atoms.calc = SinglePointCalculator(atoms, energy=atoms.get_potential_energy())
    how = {"epochs": 20, "rate": 5e-3, "report": lambda row, epochs: None}
    result = finetune(base, new, force_weight=0.0, taylor_weight=120.0, spatial_weight=1.0, **how)
    assert result.errors["fine-tuned"]["energy_rmse"] < result.errors["E0 re-fitted"]["energy_rmse"]
    assert np.isnan(result.errors["fine-tuned"]["forces_rmse"])


def test_new_elements_are_added(base):
    alloys = []
    for seed in range(6):
        atoms = frames(1, seed=seed)[0]
        atoms.symbols = "Au2Cu2"
        atoms.calc = EMT()
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
        alloys.append(atoms)
    result = finetune(base, alloys + frames(4, seed=9), epochs=30, rate=5e-3, report=lambda row, epochs: None)
    assert result.potential.elements == ("Cu", "Au")
    assert list(result.errors) == ["E0 re-fitted", "fine-tuned"]  # the base model does not know gold
    assert result.errors["fine-tuned"]["forces_rmse"] < result.errors["E0 re-fitted"]["forces_rmse"]
    atoms = alloys[0].copy()
    atoms.calc = result.calculator
    assert np.isfinite(atoms.get_forces()).all()
    assert result.potential.constants["repulsion_range"].min() > 1.5


def of_isolated_atoms(base):
    """The model as if its E0 had been given."""
    recipe = {**base.metadata["recipe"], "data": {"reference_energies": {"Cu": float(base.reference_energies[0])}}}
    return replace(base, metadata={**base.metadata, "recipe": recipe})


def test_energies_of_atoms_may_be_given_where_the_base_has_such(base):
    how = {"epochs": 1, "rate": 1e-9, "report": lambda row, epochs: None}
    base = of_isolated_atoms(base)
    once = finetune(base, frames(4, seed=2), energies={"Cu": -7.0}, **how)
    assert once.potential.reference_energies == [-7.0]
    assert list(once.errors) == ["base model", "E0 as given", "fine-tuned"]
    again = finetune(once.potential, frames(4, seed=2), energies={"Cu": -8.0}, **how)
    assert again.potential.reference_energies == [-8.0]
    with pytest.raises(ValueError, match="Reference energies are given for Au, but not for Cu"):
        finetune(base, frames(4, seed=2), energies={"Au": -7.0}, **how)


def test_energies_of_atoms_do_not_take_the_place_of_a_fit(base, tuned):
    """The networks of these models hold what the fit left: with other E0 every total energy would be off."""
    for model in (base, tuned.potential):
        with pytest.raises(
            ValueError, match=r"base model are a fit .*\(Cu .* eV\).*Leave energies out, .* once more, or train"
        ):
            finetune(model, frames(4, seed=2), energies={"Cu": 0.0})


def test_the_picture_shows_history_and_forces(tuned, tmp_path):
    figure = tuned.plot(tmp_path / "picture.png")
    left, right = figure.axes
    assert (tmp_path / "picture.png").stat().st_size > 10_000
    assert [line.get_label() for line in left.lines] == ["train", "valid"]
    assert len(left.lines[0].get_xdata()) == len(tuned.history)
    before, after = (line.get_label() for line in right.lines[:2])
    assert before.startswith("base model: MAE") and after.startswith("fine-tuned: MAE")


def test_without_forces_the_picture_shows_energies(base, tmp_path):
    result = finetune(base, frames(6, seed=2), force_weight=0.0, epochs=2, report=lambda row, epochs: None)
    left, right = result.plot(tmp_path / "picture.png").axes
    assert left.get_ylabel() == "energy RMSE (meV/atom)" and right.get_xlabel() == "energy, label (eV/atom)"
    assert [line.get_label().split(":")[0] for line in right.lines[:2]] == ["E0 re-fitted", "fine-tuned"]


def test_unknown_strategy_is_refused(base):
    with pytest.raises(ValueError, match="strategy is 'lorax'; allowed are full, network, last-layer, lora"):
        finetune(base, frames(4, seed=2), strategy="lorax")


def test_a_decay_that_would_do_nothing_is_refused(base):
    with pytest.raises(ValueError, match=r"mixing_decay is 0\.03, but no mixing of Latte is learned here"):
        finetune(base, frames(4, seed=1), mixing_decay=0.03)


def test_a_decay_of_a_mixing_that_is_not_trained_is_refused():
    recipe = {**RECIPE, "model": {**RECIPE["model"], "descriptor": "reduced"}}
    from latte_ase.training.config import load_config
    from latte_ase.training.initial import initial_potential

    mixed = initial_potential(load_config(recipe), frames(2, seed=0))
    for strategy in ("network", "last-layer"):
        with pytest.raises(ValueError, match=r"mixing_decay is 0\.03, but no mixing of Reduced is learned here"):
            finetune(mixed, frames(4, seed=1), strategy=strategy, mixing_decay=0.03)


def test_unknown_keyword_is_refused(base):
    with pytest.raises(TypeError, match="finetune got epoch; allowed besides its own arguments are epochs, batch_size"):
        finetune(base, frames(4, seed=2), epoch=3)


def test_missing_forces_are_refused(base):
    bare = frames(3, seed=6)
    for atoms in bare:
        del atoms.calc.results["forces"]
    with pytest.raises(ValueError, match=r"0 of 3 frames of .* have forces\."):
        finetune(base, bare, valid=frames(1, seed=7))


def test_frames_are_used_for_the_labels_that_they_have(base):
    """Energies have another name, and every other frame has none."""
    mixed, held = frames(6, seed=6), frames(1, seed=7)
    for atoms in mixed:
        atoms.info["REF_energy"] = atoms.calc.results.pop("energy")
    for atoms in mixed[::2]:
        del atoms.info["REF_energy"]
    keys = {"energy": "REF_energy"}
    with pytest.warns(UserWarning, match=r"3 of 6 frames of the training set have energy \(frame 0 has none\)"):
        result = finetune(base, mixed, keys=keys, epochs=1, report=lambda *_: None)
    assert np.isfinite(result.history[0]["train_energy_mae"])
    del held[0].calc.results["energy"]
    with pytest.raises(ValueError, match=r"0 of 1 frames of the validation set have energy\."):
        finetune(base, mixed, valid=held, keys=keys)


def test_one_frame_is_refused(base):
    with pytest.raises(ValueError, match=r"1 of 1 frames would be held out .*and none left to train on"):
        finetune(base, frames(1, seed=8))


def test_one_replayed_frame_is_refused(base):
    with pytest.raises(ValueError, match="1 frame is to be replayed; two are needed"):
        finetune(base, frames(4, seed=2), replayed=frames(1, seed=3))


def test_forces_alone_are_enough(base):
    new = frames(6, seed=1, factor=1.5)
    for atoms in new:
        atoms.calc = SinglePointCalculator(atoms, forces=atoms.get_forces())
    how = {"epochs": 20, "rate": 5e-3, "report": lambda row, epochs: None}
    result = finetune(base, new, energy_weight=0.0, replayed=frames(6, seed=5), **how)
    assert result.errors["fine-tuned"]["forces_rmse"] < result.errors["base model"]["forces_rmse"]
    np.testing.assert_array_equal(result.potential.reference_energies, base.reference_energies)


def test_it_stops_after_so_many_epochs_without_an_improvement(base):
    how = {"rate": 1e-30, "epochs": 50, "patience": 3, "report": lambda row, epochs: None}
    assert len(finetune(base, frames(4, seed=2, factor=1.3), **how).history) == 4


def test_by_default_it_takes_about_as_many_steps_whatever_the_number_of_frames(base, monkeypatch):
    monkeypatch.setattr(sys.modules[finetune.__module__], "USUAL_STEPS", 60)
    how = {"rate": 1e-30, "report": lambda row, epochs: None}
    for count, epochs in ((10, 12), (5, 30)):  # nine and four to train on: five and two batches of two
        assert len(finetune(base, frames(count, seed=2), **how).history) == epochs
    replayed = finetune(base, frames(10, seed=2), replayed=frames(20, seed=5), **how)
    assert len(replayed.history) == 10  # 18 frames in an epoch, and ten epochs at least


def test_too_large_a_share_held_out_is_refused(base):
    with pytest.raises(
        ValueError, match=r"2 of 2 frames would be held out \(fraction 0\.8\), and none left to train on"
    ):
        finetune(base, frames(2, seed=2), valid_fraction=0.8)


@pytest.mark.parametrize(
    ("keyword", "value", "message"),
    [
        ("valid_fraction", 0, "valid_fraction is 0; a number larger than 0 and below 1 is needed"),
        ("valid_fraction", "0.1", "valid_fraction is '0.1'; a number larger than 0 and below 1"),
        ("patience", 0, "patience is 0; a whole number of 1 or more"),
        ("patience", 2.5, r"patience is 2\.5; a whole number of 1 or more"),
        (
            "energies",
            -3.5,
            r"energies is -3\.5; a table, each key a chemical symbol such as Si and each value a number",
        ),
        ("energies", {"Cu": "-3"}, "energies is {'Cu': '-3'}; a table"),
        ("resume", "no", "resume is 'no'; true or false"),
        ("trust_labels", 1, "trust_labels is 1; true or false"),
        (
            "keys",
            {"energy": 5},
            "keys is {'energy': 5}; a table, each key one of energy, forces, stress, virial and each",
        ),
        ("epochs", "7", "epochs is '7'; a whole number of 1 or more"),
        ("rate", -1.0, r"rate is -1\.0; a finite number larger than 0"),
    ],
)
def test_a_keyword_of_another_type_or_out_of_range_is_named(base, keyword, value, message):
    with pytest.raises(ValueError, match=message):
        finetune(base, frames(4, seed=2), **{keyword: value})
