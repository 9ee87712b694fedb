"""Tasks of the first round: the seeds, rattled and strained seeds, and short runs of the teacher's own dynamics."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from latte_ase.distillation.named_task import NamedTask
from latte_ase.distillation.plan import DistillationPlan, timestep
from latte_ase.labelling import ShortRun, Task

RATTLED = (0.01, 0.12)
"""Angstrom: range of the standard deviation of displacements."""
LARGEST_STRAIN = 0.06
"""Largest component of the strain of a cell."""
DYNAMICS_SHARE = 0.25
"""Share of labels from the teacher's dynamics."""
FRAMES_PER_RUN, STEPS_PER_FRAME = 4, 15


def initial_tasks(seeds: Sequence[Atoms], plan: DistillationPlan) -> list[NamedTask]:
    """Tasks for `plan.first_labels` labels; the same for the same seeds and plan."""
    rng = np.random.default_rng((plan.seed, 0))
    runs = round(DYNAMICS_SHARE * plan.first_labels / FRAMES_PER_RUN)
    tasks = [_run(seeds[k % len(seeds)], plan, rng) for k in rng.permutation(max(runs, len(seeds)))[:runs]]
    left = plan.first_labels - FRAMES_PER_RUN * runs
    chosen = rng.permutation(len(seeds))[:left]
    tasks += [NamedTask(Task(seeds[k]), "seed") for k in chosen[: max(1, left // 3)]]
    left = plan.first_labels - sum(task.labels for task in tasks)
    order = np.concatenate([rng.permutation(len(seeds)) for _ in range(1 + left // len(seeds))])[:left]
    return tasks + [NamedTask(Task(_disturbed(seeds[k], rng)), "rattled") for k in order]


def _run(seed: Atoms, plan: DistillationPlan, rng: np.random.Generator) -> NamedTask:
    temperature = float(rng.choice(plan.temperatures_K))
    steps = FRAMES_PER_RUN * STEPS_PER_FRAME
    run = ShortRun(temperature, timestep(seed), steps, STEPS_PER_FRAME, int(rng.integers(2**31)))
    return NamedTask(Task(seed, run), "teacher", FRAMES_PER_RUN)


def _disturbed(seed: Atoms, rng: np.random.Generator) -> Atoms:
    """Copy with random displacements of the atoms that can move, and, if periodic in three directions, a random strain."""
    atoms = seed.copy()
    if atoms.pbc.all():
        strain = rng.uniform(-LARGEST_STRAIN, LARGEST_STRAIN, (3, 3))
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + (strain + strain.T) / 2), scale_atoms=True)
    moves = rng.normal(0, rng.uniform(*RATTLED), (len(atoms), 3))
    atoms.set_positions(atoms.positions + moves)  # where constraints let it
    return atoms
