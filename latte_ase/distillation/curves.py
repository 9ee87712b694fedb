"""Curves on which pupil and teacher are compared: a path of a molecule, and distances in short dynamics of both."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import suppress

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from latte_ase.calculator import LatteCalculator
from latte_ase.distillation.exploration import is_possible
from latte_ase.distillation.named_task import NamedTask, label
from latte_ase.distillation.plan import DistillationPlan, timestep
from latte_ase.labelling import LabelDatabase, ShortRun, Task, TeacherError, Workers
from latte_ase.labelling.tasks import perform
from latte_ase.model.domain import DomainWarning
from latte_ase.model.potential import Potential
from latte_ase.prediction import predict

ANGLES = np.arange(0, 360, 15)
"""Degrees by which a part of a molecule is turned."""
LENGTHS = np.linspace(0.85, 1.3, 16)
"""Of a bond, relative to that of the seed, in a molecule without a part that can be turned."""
BONDED = 1.2
"""Of the sum of the covalent radii: nearer atoms are bonded."""
STEPS, STEPS_PER_FRAME = 100, 5
"""Of the dynamics of which distances are compared; the first half is left out."""
MOST_ATOMS = 200
"""Atoms of a seed for such dynamics."""
EDGES = np.linspace(0.5, 6.0, 56)
"""Angstrom: bins of distances."""
PATH, DYNAMICS = 3, 4
"""Numbers of the rounds of the database of judges."""


def molecular_path(
    potential: Potential, seeds: Sequence[Atoms], judges: LabelDatabase, processes: Workers, *, title: str
) -> np.ndarray | None:
    """(points, 3) coordinate and energies of teacher and pupil in eV, along the turn of a part of the smallest molecule about a bond.

    The bond is the one that divides the molecule most evenly.  Where it leaves a single atom on a side, it is stretched instead.
    The coordinate is the angle in degrees, or the length of the bond in Angstrom.  Points
    with atoms on top of each other are left out.  None without a molecule with a bond that divides it, or if the teacher fails.
    """
    molecules = [atoms for atoms in seeds if not atoms.pbc.any() and len(atoms) > 1]
    found = path_of(min(molecules, key=len)) if molecules else None
    if found is None:
        return None
    coordinate, frames = found
    with suppress(TeacherError):  # which is in the list of failures
        label(judges, [NamedTask(Task(atoms), "path") for atoms in frames], processes, round=PATH, title=title)
    labelled = judges.frames(f"round={PATH}")
    if len(labelled) < 2:
        return None
    results = predict(potential, labelled, forces=False)
    rows = [
        (coordinate[a.info["task"]], a.get_potential_energy(), p.energy) for a, p in zip(labelled, results, strict=True)
    ]
    return np.array(sorted(rows))


def path_of(atoms: Atoms) -> tuple[np.ndarray, list[Atoms]] | None:
    """Coordinate and structures of the path of `molecular_path`; None for a molecule without one."""
    i, j, d = neighbor_list("ijd", atoms, 2 * BONDED * covalent_radii[atoms.numbers].max())
    bonded = (i < j) & (d < BONDED * (covalent_radii[atoms.numbers[i]] + covalent_radii[atoms.numbers[j]]))
    bonds = np.stack([i[bonded], j[bonded]], axis=1)
    best, part = None, np.zeros(len(atoms), bool)
    for k, (a, b) in enumerate(bonds):
        mine = _connected(np.delete(bonds, k, axis=0), len(atoms), b)
        mine = mine if mine.sum() <= len(atoms) / 2 else _connected(np.delete(bonds, k, axis=0), len(atoms), a)
        if not (mine[a] and mine[b]) and mine.sum() > part.sum():
            best, part = (int(a), int(b)) if mine[b] else (int(b), int(a)), mine
    if best is None:
        return None
    fixed, moving = best
    axis = atoms.positions[moving] - atoms.positions[fixed]
    frames = []
    if part.sum() > 1:
        for angle in ANGLES:
            turned = atoms[part]
            turned.rotate(angle, axis, center=atoms.positions[moving])
            frames.append(_with_part(atoms, part, turned.positions))
        return _possible(ANGLES.astype(float), frames)
    for length in LENGTHS:
        frames.append(_with_part(atoms, part, atoms.positions[part] + (length - 1) * axis))
    return _possible(LENGTHS * float(np.linalg.norm(axis)), frames)


def _possible(coordinate: np.ndarray, frames: list[Atoms]) -> tuple[np.ndarray, list[Atoms]]:
    """Those points of which no atoms are on top of each other."""
    kept = [k for k, atoms in enumerate(frames) if is_possible(atoms)]
    return coordinate[kept], [frames[k] for k in kept]


def _connected(bonds: np.ndarray, count: int, atom: int) -> np.ndarray:
    """(atoms,) whether a chain of bonds leads from an atom to each."""
    graph = coo_matrix((np.ones(len(bonds)), (bonds[:, 0], bonds[:, 1])), (count, count))
    labels = connected_components(graph, directed=False)[1]
    return labels == labels[atom]


def _with_part(atoms: Atoms, part: np.ndarray, positions: np.ndarray) -> Atoms:
    copy = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc, info=dict(atoms.info))
    copy.positions[part] = positions
    return copy


def pair_distribution(
    potential: Potential,
    seeds: Sequence[Atoms],
    plan: DistillationPlan,
    judges: LabelDatabase,
    processes: Workers,
    *,
    title: str,
) -> np.ndarray | None:
    """(bins, 3) distance in Angstrom and g(r) of teacher and pupil, from short dynamics of both.

    Both start from the smallest seed that is periodic in three directions, at the highest temperature of the plan, with the same
    velocities and random numbers, and differ by their forces alone.  The runs are too short for an equilibrium.  None
    without such a seed, or if one of them fails on the way.
    """
    periodic = [atoms for atoms in seeds if atoms.pbc.all() and 1 < len(atoms) <= MOST_ATOMS]
    if not periodic:
        return None
    seed = min(periodic, key=len)
    run = ShortRun(max(plan.temperatures_K), timestep(seed), STEPS, STEPS_PER_FRAME, plan.seed)
    task = NamedTask(Task(seed, run), "teacher", STEPS // STEPS_PER_FRAME)
    with suppress(TeacherError):
        label(judges, [task], processes, round=DYNAMICS, title=title)
    of_teacher = judges.frames(f"round={DYNAMICS}")
    if not of_teacher:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DomainWarning)
            of_pupil = perform(task.task, LatteCalculator(potential))
    except ValueError:  # forces that are no numbers
        return None
    half = len(of_teacher) // 2
    distances = (EDGES[1:] + EDGES[:-1]) / 2
    return np.stack([distances, _g(of_teacher[half:]), _g(of_pupil[half:])], axis=1)


def _g(frames: Sequence[Atoms]) -> np.ndarray:
    """Mean of g(r) of all atoms in the bins `EDGES`."""
    shells, total = 4 / 3 * np.pi * np.diff(EDGES**3), np.zeros(len(EDGES) - 1)
    for atoms in frames:
        counts = np.histogram(neighbor_list("d", atoms, EDGES[-1]), EDGES)[0]
        total += counts * atoms.get_volume() / (len(atoms) ** 2 * shells)
    return total / len(frames)
