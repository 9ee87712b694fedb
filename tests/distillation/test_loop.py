"""Distillation from end to end, interrupted and resumed, and what it refuses."""

import os
import warnings

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.constraints import FixBondLength

import latte_ase
from latte_ase.distillation import distill as function
from latte_ase.distillation import loop
from latte_ase.distillation.folder import DistillationFolder
from latte_ase.distillation.plan import DistillationPlan
from latte_ase.distillation.report import figure
from latte_ase.labelling import LabelDatabase, TeacherError, Workers

SETTINGS = {"labels": 24, "size": "small", "temperatures_K": (300.0,), "epochs": 3, "workers": 2}


def seeds():
    crystal, water = bulk("Cu", cubic=True), molecule("H2O")
    crystal.rattle(0.05, seed=1)
    return [crystal, water]


@pytest.fixture
def run(short, tmp_path):
    def run(teacher=EMT, structures=None, **changes):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # few frames say little of units
            return function(teacher, structures or seeds(), out=tmp_path / "pupil", **SETTINGS | changes)

    return run


class OfIons(EMT):
    """A teacher that has to know the total charge of every structure."""

    def calculate(self, atoms=None, *args, **kwargs):
        if atoms.info.get("charge") != 1:
            raise ValueError(f"the charge is {atoms.info.get('charge')}")
        super().calculate(atoms, *args, **kwargs)


def test_a_teacher_makes_a_model(run, tmp_path):
    structures = seeds()
    for atoms in structures:
        atoms.info["charge"] = np.int64(1)  # as ase.io.read gives it
    result = run(OfIons, structures)
    folder = tmp_path / "pupil"
    assert {"model.safetensors", "README.md", "report.png", "labels.db", "judge.db"} <= set(os.listdir(folder))
    labels = LabelDatabase(folder / "labels.db")
    assert [row["round"] for row in result.rounds] == [0, 1]
    assert sum(row["labels"] for row in result.rounds) == labels.count() <= 24
    assert sum(row["failed"] for row in result.rounds) == 0
    assert labels.count("held=1") > 0 and labels.count("held=0") > labels.count("held=1")
    for atoms in labels.frames():
        atoms_again = atoms.copy()
        atoms_again.calc = EMT()
        assert atoms.get_potential_energy() == pytest.approx(atoms_again.get_potential_energy(), abs=1e-10)

    potential = latte_ase.load_model(folder)
    assert potential.metadata["name"] == "pupil" and potential.metadata["level_of_theory"] == "OfIons"
    assert potential.committee is not None and potential.elements == ("H", "O", "Cu")
    judges = LabelDatabase(folder / "judge.db").frames("round=0")
    known = {atoms.positions.tobytes() for atoms in labels.frames()}
    assert judges and not any(atoms.positions.tobytes() in known for atoms in judges)
    calc = latte_ase.LatteCalculator(potential)
    errors = [atoms.get_potential_energy() - calc.get_potential_energy(atoms) for atoms in judges]
    per_atom = np.abs(errors) / [len(atoms) for atoms in judges]
    assert result.comparison.evaluation.metrics["energy_mae"] == pytest.approx(1e3 * per_atom.mean(), rel=1e-3)

    volumes, of_teacher, of_pupil = result.comparison.equation.T
    for volume, energy, other in zip(volumes, of_teacher, of_pupil, strict=True):
        crystal = seeds()[0]
        crystal.set_cell(crystal.cell.array * (4 * volume / crystal.get_volume()) ** (1 / 3), scale_atoms=True)
        assert 4 * other == pytest.approx(calc.get_potential_energy(crystal), abs=1e-4)
        crystal.calc = EMT()
        assert 4 * energy == pytest.approx(crystal.get_potential_energy(), abs=1e-9)
    assert result.comparison.vibrations.shape == (9, 2)
    assert result.comparison.path.shape == (16, 3) and result.comparison.pairs.shape == (55, 3)
    titles = [axis.get_title() for axis in figure(result, tmp_path / "again.png").axes]
    assert {"A bond of the molecule stretched", "Equation of state", "The same short dynamics of both"} <= set(titles)
    assert "Vibrations at the pupil's minimum" in titles
    card = (folder / "README.md").read_text()
    assert "Imitates OfIons for H O Cu" in card and result.table in card
    assert "as fast" in result.table


class Stop(Exception):
    """Stands for a kill."""


@pytest.mark.parametrize("after", [1, 9, 20, 30])
def test_nothing_is_labelled_twice(run, monkeypatch, after):
    asked = []
    original = Workers.label

    def counted(self, tasks):
        for answer in original(self, list(tasks)):
            asked.append(answer)
            yield answer
            if len(asked) == after:
                raise Stop

    monkeypatch.setattr(Workers, "label", counted)
    with pytest.raises(Stop):
        run()
    first = len(asked)
    result = run(resume=True)
    assert first == after
    whole = sum(row["labels"] for row in result.rounds)
    monkeypatch.setattr(Workers, "label", original)
    assert whole == LabelDatabase(result.path.parent / "labels.db").count()
    names = [row.info for row in LabelDatabase(result.path.parent / "labels.db").frames()]
    assert len({(n["round"], n["task"], n["frame"]) for n in names}) == whole


def test_what_is_there_is_not_overwritten(run):
    run()
    with pytest.raises(FileExistsError, match=r"holds a distillation\. Go on with resume=True"):
        run()
    with pytest.raises(ValueError, match="was begun with other seeds or another plan"):
        run(resume=True, temperatures_K=(400.0,))
    with pytest.raises(ValueError, match="was begun with other seeds or another plan"):
        run(resume=True, structures=seeds()[:1])
    again = run(resume=True)  # of one that is finished: nothing is done again
    assert [row["round"] for row in again.rounds] == [0, 1]


def test_a_teacher_that_labels_nothing_ends_it(run):
    tungsten = bulk("W", cubic=True)  # EMT has no tungsten
    with pytest.raises(
        TeacherError,
        match=r"\d+ of \d+ labels of round 0 failed, the first one with: NotImplementedError: No EMT-potential for W",
    ):
        run(structures=[tungsten])


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"labels": 5}, ValueError, "labels is 5; a whole number of 20 or more is needed"),
        ({"size": "huge"}, ValueError, "size is 'huge'; allowed are small, medium, large"),
        ({"temperatures_K": ()}, ValueError, "temperatures_K is empty; one temperature or more is needed"),
        ({"temperatures_K": (-1.0,)}, ValueError, r"temperatures_K is \(-1.0,\)"),
        ({"workers": 0}, ValueError, "workers is 0; a whole number of 1 or more is needed"),
        ({"timeout": 0.0}, ValueError, "timeout is 0.0; a finite number larger than 0 is needed"),
        ({"retries": -1}, ValueError, "retries is -1; a whole number of 0 or more is needed"),
        ({"resume": True}, FileNotFoundError, "There is no distillation in .* to resume"),
        ({"teacher": "emt"}, ValueError, "MODULE:FACTORY is needed"),
    ],
)
def test_bad_arguments_are_refused_before_any_label(run, tmp_path, changes, error, message):
    with pytest.raises(error, match=message):
        run(**changes)
    assert (
        not (tmp_path / "pupil" / "labels.db").exists() or not LabelDatabase(tmp_path / "pupil" / "labels.db").count()
    )


def test_constraints_that_dynamics_do_not_know_are_refused(run):
    water = molecule("H2O")
    water.set_constraint(FixBondLength(0, 1))
    with pytest.raises(NotImplementedError, match="FixBondLength"):
        run(structures=[water])


def test_a_shipped_name_is_refused(short):
    with pytest.raises(ValueError, match="latte-si"):
        function(EMT, seeds(), out="latte-si", **SETTINGS)


@pytest.mark.parametrize(
    ("errors", "stopped", "over"),
    [
        ((50.0, 48.0), 0, True),
        ((50.0, 20.0), 0, False),  # still falls
        ((20.0, 60.0), 0, False),  # something new was met
        ((50.0, 48.0), 3, False),  # runs still leave the domain
    ],
)
def test_rounds_end_where_the_pupil_is_calm_and_its_error_stands_still(tmp_path, errors, stopped, over):
    folder = DistillationFolder.open(tmp_path / "pupil", "0", resume=False)
    folder.rounds = [{"round": 0}] + [{"runs": 16, "stopped": stopped, "new_forces_rmse": error} for error in errors]
    assert loop._is_over(folder, DistillationPlan(labels=600)) is over


def test_rounds_end_with_the_budget(tmp_path):
    folder = DistillationFolder.open(tmp_path / "pupil", "0", resume=False)
    folder.rounds, folder.seconds = [{"round": 0}], 3601.0
    assert loop._is_over(folder, DistillationPlan(hours=1.0)) and not loop._is_over(folder, DistillationPlan(hours=2.0))
    folder.rounds = [{"round": k} for k in range(6)]
    assert loop._is_over(folder, DistillationPlan())
