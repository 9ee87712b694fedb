"""Pupil and teacher compared on what neither training nor choice has seen: errors, a path, a curve, and times.

The structures are of the pupil's own dynamics after its last training.  Crystals and liquids also have an equation of state
and g(r), molecules a path and their vibrations at the pupil's minimum.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.optimize import BFGS
from ase.vibrations import VibrationsData

from latte_ase.calculator import LatteCalculator
from latte_ase.distillation.curves import molecular_path, pair_distribution
from latte_ase.distillation.exploration import explore
from latte_ase.distillation.folder import DistillationFolder
from latte_ase.distillation.named_task import NamedTask, label
from latte_ase.distillation.plan import DistillationPlan
from latte_ase.evaluation import Evaluation, evaluate
from latte_ase.io.progress import track
from latte_ase.labelling import LabelDatabase, Task, Workers
from latte_ase.model.potential import Potential
from latte_ase.prediction import predict

JUDGES = 40
"""Structures of the pupil's dynamics."""
VOLUMES = np.linspace(0.9, 1.1, 9)
"""Relative to that of the seed."""
LARGEST_CRYSTAL, LARGEST_MOLECULE = 120, 16
"""Atoms of a seed for which there is an equation of state, or vibrations: those take six labels per atom."""
DISPLACEMENT = 0.01
"""Angstrom, of finite differences of forces."""
TIMED = 5
"""Structures of which the times are taken."""

TITLE = "labels for the report"
DYNAMICS, STRAINED, DISPLACED = 0, 1, 2
"""Numbers of the rounds of the database of judges."""


@dataclass(frozen=True)
class Comparison:
    """Pupil and teacher on the same structures.

    Attributes:
        evaluation: energies and forces of structures of the pupil's dynamics.
        equation: (volumes, 3) volume in Angstrom^3/atom, energy of teacher and of pupil in eV/atom; None without a periodic seed.
        vibrations: (modes, 2) energies of teacher and of pupil in meV, imaginary ones negative; None without a molecule.
        path: (points, 3) angle in degrees or length in Angstrom, energies of teacher and pupil in eV, see `curves.molecular_path`; None
            without a molecule.
        pairs: (bins, 3) distance in Angstrom, g(r) of teacher and pupil, see `curves.pair_distribution`; None without a periodic seed.
        seconds: of an energy with forces, of teacher and pupil, on one core.
        atoms: of the structures of that.
    """

    evaluation: Evaluation
    equation: np.ndarray | None
    vibrations: np.ndarray | None
    path: np.ndarray | None
    pairs: np.ndarray | None
    seconds: tuple[float, float]
    atoms: int

    @property
    def numbers(self) -> dict[str, Any]:
        """Errors and times for the model file."""
        errors = {"errors": self.evaluation.metrics, "elements": self.evaluation.per_element}
        return errors | {"seconds": list(self.seconds), "atoms": self.atoms}


def compare(
    potential: Potential, seeds: Sequence[Atoms], plan: DistillationPlan, folder: DistillationFolder, processes: Workers
) -> Comparison:
    """Comparison of the pupil with its teacher; labels that are there are not asked for again."""
    judges = folder.judge
    frames = folder.candidates("judge")
    if frames is None:
        frames = _of_dynamics(potential, seeds, plan, under_pressure=folder.labels.has_stress())
        folder.keep_candidates("judge", frames)
    label(
        judges,
        [NamedTask(Task(atoms), atoms.info["origin"]) for atoms in frames],
        processes,
        round=DYNAMICS,
        title=TITLE,
    )
    evaluation = evaluate(potential, judges.frames(f"round={DYNAMICS}"))
    seconds, atoms = _times(potential, frames, processes)
    return Comparison(
        evaluation,
        _equation(potential, seeds, judges, processes),
        _vibrations(potential, seeds, judges, processes),
        molecular_path(potential, seeds, judges, processes, title=TITLE),
        pair_distribution(potential, seeds, plan, judges, processes, title=TITLE),
        seconds,
        atoms,
    )


def _of_dynamics(
    potential: Potential, seeds: Sequence[Atoms], plan: DistillationPlan, *, under_pressure: bool
) -> list[Atoms]:
    """Structures of dynamics with other random numbers than those of all rounds."""
    found = explore(
        potential,
        seeds,
        plan,
        round=1,
        under_pressure=under_pressure,
        stream=1,
        progress=lambda runs: track(runs, "dynamics for the report"),
    )
    chosen = np.unique(np.linspace(0, len(found.frames) - 1, JUDGES).astype(int))
    return [found.frames[k] for k in chosen]


def _times(potential: Potential, frames: Sequence[Atoms], processes: Workers) -> tuple[tuple[float, float], int]:
    """Median seconds of teacher and pupil, measured in turns, and the number of atoms."""
    largest = max(map(len, frames))
    chosen = [atoms for atoms in frames if len(atoms) == largest][: TIMED + 1]
    calc, taken = LatteCalculator(potential, threads=1), []
    for atoms in chosen:
        of_teacher = [
            a.info["seconds"]
            for _, answer in processes.label([(0, Task(atoms))])
            if isinstance(answer, list)
            for a in answer
        ]
        begun = time.perf_counter()
        calc.engine.evaluate(atoms)
        taken.append((np.mean(of_teacher) if of_teacher else np.nan, time.perf_counter() - begun))
    taken = taken[1:] or taken  # the first call of the pupil compiles
    teacher, pupil = np.nanmedian(np.array(taken), axis=0)
    return (float(teacher), float(pupil)), largest


def _equation(
    potential: Potential, seeds: Sequence[Atoms], judges: LabelDatabase, processes: Workers
) -> np.ndarray | None:
    """Energies of the smallest seed that is periodic in three directions, scaled."""
    periodic = [atoms for atoms in seeds if atoms.pbc.all() and len(atoms) <= LARGEST_CRYSTAL]
    if not periodic:
        return None
    seed, scaled = min(periodic, key=len), []
    for volume in VOLUMES:
        atoms = seed.copy()
        atoms.set_cell(atoms.cell.array * volume ** (1 / 3), scale_atoms=True)
        scaled.append(atoms)
    label(judges, [NamedTask(Task(atoms), "strained") for atoms in scaled], processes, round=STRAINED, title=TITLE)
    frames = judges.frames(f"round={STRAINED}")
    results = predict(potential, frames)
    rows = [(a.get_volume(), a.get_potential_energy(), p.energy) for a, p in zip(frames, results, strict=True)]
    return np.array(sorted(rows)) / len(seed)


def _vibrations(
    potential: Potential, seeds: Sequence[Atoms], judges: LabelDatabase, processes: Workers
) -> np.ndarray | None:
    """Energies of the modes of the smallest seed without periodic boundaries, at the pupil's minimum."""
    molecules = [atoms for atoms in seeds if not atoms.pbc.any() and 2 <= len(atoms) <= LARGEST_MOLECULE]
    if not molecules:
        return None
    atoms = min(molecules, key=len).copy()
    atoms.set_constraint()
    calc = LatteCalculator(potential, dtype="float64")
    atoms.calc = calc
    BFGS(atoms, logfile=None).run(fmax=1e-3, steps=300)  # type: ignore[arg-type]
    displaced = []
    for coordinate in range(3 * len(atoms)):
        for sign in (1, -1):
            copy = atoms.copy()
            copy.positions.flat[coordinate] += sign * DISPLACEMENT
            displaced.append(copy)
    label(judges, [NamedTask(Task(each), "displaced") for each in displaced], processes, round=DISPLACED, title=TITLE)
    frames = {a.info["task"]: a for a in judges.frames(f"round={DISPLACED}")}
    if len(frames) < len(displaced):
        return None
    forces = np.array([frames[k].get_forces().ravel() for k in range(len(displaced))])
    of_teacher = (forces[1::2] - forces[::2]) / (2 * DISPLACEMENT)
    hessians = (of_teacher + of_teacher.T) / 2, calc.get_hessian(atoms)
    return np.stack([_mode_energies(atoms, hessian) for hessian in hessians], axis=1)


def _mode_energies(atoms: Atoms, hessian: np.ndarray) -> np.ndarray:
    """(3 atoms,) energies in meV, ascending; imaginary ones negative."""
    energies = 1e3 * VibrationsData.from_2d(atoms, hessian).get_energies()
    return np.sort(np.where(energies.imag > 0, -energies.imag, energies.real))
