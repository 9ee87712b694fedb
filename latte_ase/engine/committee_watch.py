"""The committee of a model, asked now and then whether a structure is inside the domain of use.

Distances and numbers of neighbours do not tell one molecule from another; the spread of a committee does.  Asking it takes a
force call of each member that is asked, with the same compiled function as the forces, so it is asked where a structure is new, and seldom
while it moves: in `INTERVAL` calls once.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from latte_ase.engine.engine import Engine
from latte_ase.model.domain import UncertainForces

INTERVAL = 1000
"""Calls between two looks at a structure that moves: with four members, 0.4 % of the force calls."""
JUMP = 0.5
"""Angstrom: where the two atoms that moved most since the last pair list moved by more than the skin and this, together, the
structure is another one, for a list is spent when they moved by the skin."""


class CommitteeWatch:
    """Decides when the committee is asked, and asks it.

    It is asked at the first structure of a composition, where the atoms jumped, and once in `INTERVAL` calls.

    Args:
        strict: whether it is asked wherever the atoms jumped, and again while it disagrees.  Otherwise it is asked at the jumps number
            1, 2, 4, 8, ..., and no more about a composition for which it disagreed.
    """

    def __init__(self, *, strict: bool):
        self._strict = strict
        self._asked: set[bytes] = set()
        self._outside: set[bytes] = set()
        self._disagrees = False
        self._jumps = self._calls = 0
        self._builds = -1
        self._composition = b""
        self._positions = np.zeros((0, 3))

    def excursions(self, engine: Engine, atoms, member_forces: Callable | None = None) -> list[UncertainForces]:
        """Forces that the committee is too uncertain of; nothing where it is not asked.

        Args:
            engine: of the potential.
            atoms: the structure.
            member_forces: function of a number of members that gives their forces (members, atoms, 3); default the engine's.
        """
        committee = engine.potential.committee
        if committee is None or committee.limit is None or not self._due(engine, atoms):
            return []
        if member_forces is None:
            forces = engine.evaluate_members(atoms, committee.asked)[1]
        else:
            forces = member_forces(committee.asked)
        sigma = np.linalg.norm(committee.deviations(forces), axis=1)
        self._calls = engine.stats.calls
        self._asked.add(self._composition)
        self._disagrees = bool(sigma.max() > committee.limit)
        if not self._disagrees:
            return []
        self._outside.add(self._composition)
        worst = np.argsort(-sigma, kind="stable")[: np.count_nonzero(sigma > committee.limit)]
        name = atoms.get_chemical_formula()
        return [UncertainForces(name, tuple(map(int, worst)), float(sigma.max()), committee.limit)]

    def _due(self, engine: Engine, atoms) -> bool:
        new, jumped = False, False
        if engine.stats.list_builds != self._builds:
            new, jumped = self._compare(engine, atoms)
            self._builds = engine.stats.list_builds
        if not self._strict and self._composition in self._outside:
            return False
        self._jumps += jumped
        if jumped and not self._strict:
            jumped = self._jumps & (self._jumps - 1) == 0  # powers of two
        again = self._strict and self._disagrees
        return new or jumped or again or abs(engine.stats.calls - self._calls) >= INTERVAL

    def _compare(self, engine: Engine, atoms) -> tuple[bool, bool]:
        """Whether the composition of a new pair list is new, and whether its atoms jumped."""
        verlet = engine.place(atoms)[0].verlet
        before, self._positions = self._positions, verlet.positions
        same, self._composition = self._composition, np.bincount(verlet.numbers).tobytes()
        if self._composition not in self._asked:
            return True, False
        if self._composition != same:
            return False, True
        moved = verlet.positions - before
        images = np.where(verlet.pbc, np.round(moved @ np.linalg.inv(verlet.cell)), 0.0)
        moved -= images @ verlet.cell
        moved -= moved.mean(axis=0)
        farthest = np.sort(np.linalg.norm(moved, axis=1))[-2:].sum() if len(moved) > 1 else 0.0
        return False, bool(farthest > verlet.skin + JUMP)
