"""Dynamics of the pupil, in search of structures that it does not know."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from ase import Atoms, units
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list

from latte_ase.calculator import LatteCalculator
from latte_ase.distillation.plan import DistillationPlan, timestep
from latte_ase.labelling.tasks import FRICTION
from latte_ase.model.domain import DomainWarning
from latte_ase.model.potential import Potential
from latte_ase.simulate import BlewUp, CellRescaling, Langevin, md

RUNS = 16
"""Runs of a round."""
SEGMENT = 40
"""Steps between two looks at the uncertainty."""
SEGMENTS = 20
"""Of a run of the first round of dynamics; twice as many in each further one, up to `MOST_SEGMENTS`."""
MOST_SEGMENTS = 80
CLOSEST = 0.5
"""Of the sum of the covalent radii: structures with closer pairs are not labelled."""
COMPRESSIBILITY = 3.0
"""Angstrom^3/eV: between those of metals (about 1) and of liquids (73 for water), so that a volume relaxes in 0.3 to 25 ps."""


class Exploration(NamedTuple):
    """What dynamics of the pupil met.

    Attributes:
        frames: structures, `info["origin"]` says at which temperature.
        runs: number of runs.
        stopped: how many of them left the domain of the pupil before their end.
    """

    frames: list[Atoms]
    runs: int
    stopped: int


def explore(
    potential: Potential,
    starts: Sequence[Atoms],
    plan: DistillationPlan,
    *,
    round: int,
    under_pressure: bool,
    stream: int = 0,
    progress: Callable[[Sequence[int]], Iterable[int]] = iter,
) -> Exploration:
    """Structures from dynamics at temperatures and pressures of a plan.

    Args:
        potential: the pupil, with a committee.
        starts: structures to start from, in turn.
        plan: temperatures and pressures, and the seed of the random numbers.
        round: number of the round, from 1; runs become longer with it.
        under_pressure: whether cells that are periodic in three directions change; otherwise the volume is constant.
        stream: number of the stream of random numbers.
        progress: wraps the iteration over runs.
    """
    calc, rng = LatteCalculator(potential), np.random.default_rng((plan.seed, round, stream))
    segments = min(SEGMENTS * 2 ** (round - 1), MOST_SEGMENTS)
    # one structure after the other, for those of one shape share what is compiled
    order = sorted(rng.permutation(max(RUNS, len(starts)))[:RUNS] % len(starts))
    frames, stopped = [], 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DomainWarning)  # that is looked for
        for k in progress(order):
            temperature = float(rng.choice(plan.temperatures_K))
            pressure = None
            if under_pressure and starts[k].pbc.all() and plan.pressures_GPa:
                pressure = float(rng.choice(plan.pressures_GPa))
            found, left = _follow(calc, starts[k].copy(), temperature, pressure, segments=segments, rng=rng)
            frames += found
            stopped += left
    return Exploration(frames, len(order), stopped)


def _follow(
    calc: LatteCalculator, atoms: Atoms, temperature: float, pressure: float | None, *, segments: int, rng
) -> tuple[list[Atoms], bool]:
    """Structures of one run, and whether it left the domain."""
    origin = f"pupil {temperature:g} K" + ("" if pressure is None else f" {pressure:g} GPa")
    atoms.set_velocities(
        rng.normal(size=(len(atoms), 3)) * np.sqrt(units.kB * temperature / atoms.get_masses())[:, None]
    )
    ensemble = Langevin(temperature, FRICTION)
    if pressure is not None:
        ensemble = CellRescaling(
            temperature,
            pressure * units.GPa,
            taut=100 * units.fs,
            taup=1000 * units.fs,
            compressibility_au=COMPRESSIBILITY,
        )
    every, frames = max(1, segments // 10), []
    for segment in range(1, segments + 1):
        last = _plain(atoms, origin)
        try:
            md(
                atoms,
                calc,
                SEGMENT,
                timestep=timestep(atoms),
                ensemble=ensemble,
                seed=int(rng.integers(2**31)),
                progress=False,
            )
        except BlewUp:
            return _possible([*frames, last, _plain(atoms, origin)]), True
        except ValueError:  # a cell that shrank or grew beyond what a list can be built for
            return _possible([*frames, last]), True
        left = leaves_domain(calc, atoms)
        if left or segment % every == 0:
            frames.append(_plain(atoms, origin))
        if left:
            return _possible(frames), True
    return frames, False


def leaves_domain(calc: LatteCalculator, atoms: Atoms) -> bool:
    """Whether distances or the committee say that a structure is outside of what the pupil knows."""
    if calc.engine.excursions(atoms):
        return True
    committee = calc.potential.committee
    assert committee is not None
    return committee.limit is not None and bool(calc.get_uncertainty(atoms).worst > committee.limit)


def _plain(atoms: Atoms, origin: str) -> Atoms:
    copy = atoms.copy()
    copy.info, copy.calc = atoms.info | {"origin": origin}, None
    copy.set_momenta(np.zeros((len(copy), 3)), apply_constraint=False)
    return copy


def _possible(frames: Sequence[Atoms]) -> list[Atoms]:
    """Those without atoms on top of each other."""
    return [atoms for atoms in frames if is_possible(atoms)]


def is_possible(atoms: Atoms) -> bool:
    """Whether no two atoms are nearer than half of the sum of their covalent radii."""
    if not np.isfinite(atoms.positions).all():
        return False
    largest = 2 * covalent_radii[atoms.numbers].max()
    i, j, d = neighbor_list("ijd", atoms, CLOSEST * largest)
    radii = covalent_radii[atoms.numbers]
    return not bool((d < CLOSEST * (radii[i] + radii[j])).any())
