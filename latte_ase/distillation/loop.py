"""Distillation: the loop of labels, training, and dynamics of the pupil in search of what it does not know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from ase import Atoms

from latte_ase.distillation import comparison, pupil
from latte_ase.distillation.exploration import explore
from latte_ase.distillation.folder import DistillationFolder
from latte_ase.distillation.initial_tasks import initial_tasks
from latte_ase.distillation.named_task import NamedTask, label
from latte_ase.distillation.plan import DistillationPlan
from latte_ase.distillation.report import write_report
from latte_ase.distillation.result import Distilled
from latte_ase.engine.threads import cores
from latte_ase.evaluation import evaluate
from latte_ase.io.frames import read_frames
from latte_ase.io.model_file import save_model
from latte_ase.io.pretrained import FILE, refuse_shipped_name
from latte_ase.io.progress import track
from latte_ase.io.structures import StructureSource
from latte_ase.labelling import Task, Workers
from latte_ase.labelling.workers import Teacher
from latte_ase.model.potential import Potential
from latte_ase.settings import Count, Natural, Positive, check_value
from latte_ase.simulate.system import mobile_atoms
from latte_ase.training.config import Config, TrainingSettings, plain
from latte_ase.training.identity import checksum
from latte_ase.uncertainty import select

CALM = 0.05
"""Share of runs that may leave the domain in the last round."""
STANDS_STILL = 0.9
"""The error on new labels stands still where neither it nor that of the round before is below this part of the other."""


def distill(
    teacher: Teacher,
    seeds: StructureSource,
    *,
    out: str | Path,
    temperatures_K: Sequence[float] = DistillationPlan.temperatures_K,
    pressures_GPa: Sequence[float] = DistillationPlan.pressures_GPa,
    labels: int = DistillationPlan.labels,
    hours: float = DistillationPlan.hours,
    size: str = DistillationPlan.size,
    workers: int | None = None,
    timeout: float = 600.0,
    retries: int = 1,
    level_of_theory: str | None = None,
    resume: bool = False,
    **training: Unpack[TrainingSettings],
) -> Distilled:
    """Model that imitates an ASE calculator on structures like some seeds.

    The teacher labels rattled and strained seeds and a little of its own dynamics.  Then, in rounds, dynamics of the pupil run until
    its committee or its domain of use say that it is lost; of what it met, the most uncertain structures that differ from each
    other are labelled, and training goes on from the last weights.  The rounds end when hardly a run leaves the domain and
    the error on new labels stands still, or with the budget.  A last training, a committee, a comparison with the teacher and
    a card follow.

    Args:
        teacher: function without arguments that makes an ASE calculator, or "MODULE:FUNCTION"; it is called in worker processes,
            each of which is told to use one thread.
        seeds: file or list of structures; what the model is for should be among them, periodic or not, of any sizes.  Atoms
            with `ase.constraints.FixAtoms` are fixed in dynamics.
        out: folder for the model, its card, the report, and all labels.
        temperatures_K: temperatures of the dynamics.
        pressures_GPa: pressures of the dynamics of seeds that are periodic in three directions; empty for constant volume, which
            is also kept if the teacher has no stress.
        labels: number of labels at most; the comparison takes up to three hundred more.
        hours: no round begins after this time; inf for no limit.
        size: preset of the model, "small", "medium" or "large".
        workers: number of labelling processes; default one per core.
        timeout: seconds that one label, or a short run of the teacher, may take.
        retries: further attempts at a label that failed; then it is left out and noted in labels-failures.db.
        level_of_theory: what the teacher stands for, for card and model file; default its name.
        resume: go on with the distillation in `out`, with the same arguments.  No label is lost, at whatever moment it was killed.
        **training: attributes of `latte_ase.training.TrainingConfig` that replace those of the preset; `epochs` are those of the last
            training, `seed` is that of all random numbers.

    Returns:
        `Distilled`; `.calculator` is ready to use, `print(result.table)` compares pupil and teacher.

    Raises:
        FileExistsError, FileNotFoundError: `out` holds a distillation and `resume` is False, or there is none to resume.
        TeacherError: the teacher cannot be made, or labels too little.
        ValueError, TypeError: an argument is of another type or out of range; nothing has been labelled yet.
    """
    plan = DistillationPlan(
        temperatures_K=tuple(temperatures_K),
        pressures_GPa=tuple(pressures_GPa),
        labels=labels,
        hours=hours,
        size=size,
        seed=training.get("seed", DistillationPlan.seed),
    )
    for name, value, kind in (("timeout", timeout, Positive), ("retries", retries, Natural), ("resume", resume, bool)):
        check_value(name, value, kind)
    count = cores() if workers is None else workers
    check_value("workers", count, Count)
    structures, path = _seeds(seeds), Path(out).expanduser()
    refuse_shipped_name(path)
    known = level_of_theory or _name(teacher)
    folder = DistillationFolder.open(
        path, checksum([plain(asdict(plan)), dict(training)], {"seeds": structures}), resume=resume
    )
    with Workers(teacher, count=count, timeout=timeout, retries=retries) as processes:
        model, config = _rounds(folder, structures, plan, processes, dict(training), known)
        last = pupil.learn(config, folder.labels, model, out=path / "last", epochs=config.training.epochs)
        compared = comparison.compare(last, structures, plan, folder, processes)
    facts = {"level_of_theory": known, "distillation": {"rounds": folder.rounds, "compared": compared.numbers}}
    last = replace(last, metadata={**last.metadata, "name": path.resolve().name, **facts})
    result = Distilled(last, folder.rounds, compared, save_model(last, path / FILE))
    write_report(result, plan, path)
    return result


def _seeds(seeds: StructureSource) -> list[Atoms]:
    """Structures without results, in which everything that dynamics need is possible.

    Numbers and texts in `info` stay: a teacher may read the total charge there.
    """
    structures = []
    for atoms in read_frames(seeds):
        mobile_atoms(atoms)  # which refuses constraints that the pupil's dynamics do not know
        copy = atoms.copy()
        copy.info, copy.calc = (
            {k: v for k, v in atoms.info.items() if isinstance(v, (bool, int, float, str, np.generic))},
            None,
        )
        structures.append(copy)
    return structures


def _name(teacher: Teacher) -> str:
    return teacher if isinstance(teacher, str) else getattr(teacher, "__qualname__", type(teacher).__name__)


def _rounds(
    folder: DistillationFolder,
    seeds: list[Atoms],
    plan: DistillationPlan,
    processes: Workers,
    training: dict[str, Any],
    level_of_theory: str,
) -> tuple[Potential, Config]:
    """The pupil after the last round, and its recipe."""
    model, number = None, 0
    while True:
        if number >= len(folder.rounds):
            if number and _is_over(folder, plan):
                break
            tasks, row = _tasks(folder, seeds, plan, model, number)
            row |= label(folder.labels, tasks, processes, round=number, title=f"labels of round {number}")
            if model is not None:
                row |= _errors_on_new(folder, model, number)
        config = pupil.recipe(
            folder.labels,
            name=folder.path.resolve().name,
            size=plan.size,
            training=training,
            card={"level_of_theory": level_of_theory},
        )
        epochs = pupil.ROUND_EPOCHS * (2 if model is None else 1)
        model = pupil.learn(config, folder.labels, model, out=folder.round(number), epochs=epochs)
        if number >= len(folder.rounds):
            folder.finished(number, {"round": number, **row})
        number += 1
    assert model is not None
    return model, config


def _is_over(folder: DistillationFolder, plan: DistillationPlan) -> bool:
    """Whether there is to be no further round."""
    rows = folder.rounds
    if len(rows) > plan.rounds or folder.elapsed > 3600 * plan.hours or folder.labels.count() >= plan.labels:
        return True
    if len(rows) < 3:
        return False
    calm = rows[-1]["stopped"] <= CALM * rows[-1]["runs"]
    smaller, larger = sorted(row["new_forces_rmse"] for row in rows[-2:])  # a larger error is of something new
    return calm and smaller >= STANDS_STILL * larger


def _tasks(
    folder: DistillationFolder, seeds: list[Atoms], plan: DistillationPlan, model: Potential | None, number: int
) -> tuple[list[NamedTask], dict[str, Any]]:
    """Tasks of a round, and what its row says of them."""
    if model is None:
        return initial_tasks(seeds, plan), {}
    chosen = folder.candidates(number)
    if chosen is None:
        chosen = _choose(folder, seeds, plan, model, number)
        folder.keep_candidates(number, chosen)
    row = {key: chosen[0].info[key] for key in ("runs", "stopped")}
    return [NamedTask(Task(atoms), atoms.info["origin"]) for atoms in chosen], row


def _choose(
    folder: DistillationFolder, seeds: list[Atoms], plan: DistillationPlan, model: Potential, number: int
) -> list[Atoms]:
    """The most uncertain and diverse structures of dynamics of the pupil."""
    found = explore(
        model,
        seeds,
        plan,
        round=number,
        under_pressure=folder.labels.has_stress(),
        progress=lambda runs: track(runs, f"dynamics of round {number}"),
    )
    wanted = min(plan.further_labels, plan.labels - folder.labels.count())
    picked = select(model, found.frames, wanted, progress=lambda frames: track(frames, f"choice of round {number}"))
    chosen = [found.frames[each.index] for each in picked]
    for atoms in chosen:
        atoms.info |= {"runs": found.runs, "stopped": found.stopped}
    return chosen


def _errors_on_new(folder: DistillationFolder, model: Potential, number: int) -> dict[str, float]:
    """Errors of the pupil on the labels of a round, which it has not learned yet."""
    new = folder.labels.frames(f"round={number}")
    return {f"new_{name}": error for name, error in evaluate(model, new).metrics.items()}
