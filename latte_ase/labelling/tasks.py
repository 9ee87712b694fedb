"""Tasks of a labelling process: one structure, or the structures of a short run of the teacher's own dynamics."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.md.langevin import Langevin

ELECTRONIC = ("initial_charges", "initial_magmoms")
"""Arrays that a teacher may read beside numbers and positions."""
FRICTION = 0.02 / units.fs


class ShortRun(NamedTuple):
    """Langevin dynamics of which some structures are labelled.

    Attributes:
        temperature_K: of the thermostat.
        timestep: in ASE's unit.
        steps: number of steps, each a force call of the teacher.
        interval: steps between labelled structures.
        seed: of the random numbers.
    """

    temperature_K: float
    timestep: float
    steps: int
    interval: int
    seed: int


class Task(NamedTuple):
    """What a labelling process is asked for.

    Attributes:
        atoms: the structure to label, or the first one of the run, whose constraints hold in it.
        run: None for a single structure.
    """

    atoms: Atoms
    run: ShortRun | None = None


class Failure(NamedTuple):
    """A task that has no labels.

    Attributes:
        atoms: its structure.
        reason: what went wrong in every attempt, the last one last.
    """

    atoms: Atoms
    reason: str


def perform(task: Task, calculator: Any) -> list[Atoms]:
    """Labelled structures of a task.

    Raises:
        ValueError: a label is not finite.
        Exception: whatever the calculator raises.
    """
    if task.run is None:
        return [labelled(task.atoms, calculator)]
    atoms, run, rng = task.atoms.copy(), task.run, np.random.default_rng(task.run.seed)
    atoms.calc = calculator
    speeds = np.sqrt(units.kB * run.temperature_K / atoms.get_masses())
    atoms.set_velocities(rng.normal(size=(len(atoms), 3)) * speeds[:, None])
    dynamics = Langevin(atoms, run.timestep, temperature_K=run.temperature_K, friction=FRICTION, rng=rng, fixcm=False)
    found = []
    for _ in range(run.steps // run.interval):
        dynamics.run(run.interval)
        found.append(labelled(atoms, calculator))
    return found


def labelled(atoms: Atoms, calculator: Any) -> Atoms:
    """Copy of a structure with energy, forces, and, where it is periodic in three directions and the calculator has it, stress.

    Constraints are left out: they would take forces away.  `info["seconds"]` is the time that it took.
    """
    copy = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc, info=dict(atoms.info))
    for name in ELECTRONIC:
        if atoms.has(name):
            copy.set_array(name, atoms.get_array(name))
    copy.calc = calculator
    begun = time.perf_counter()
    labels = {"energy": float(copy.get_potential_energy()), "forces": np.array(copy.get_forces(), float)}
    if copy.pbc.all() and "stress" in getattr(calculator, "implemented_properties", ()):
        labels["stress"] = np.array(copy.get_stress(), float)
    for name, value in labels.items():
        if not np.isfinite(value).all():
            raise ValueError(f"the {name} is not finite")
    if labels["forces"].shape != (len(atoms), 3):
        raise ValueError(f"the forces have the shape {labels['forces'].shape} for {len(atoms)} atoms")
    copy.info["seconds"] = time.perf_counter() - begun
    copy.calc = SinglePointCalculator(copy, **labels)
    return copy
