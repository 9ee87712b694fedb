"""Dynamics of a `LatteCalculator` on its device."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from latte_ase.calculator import LatteCalculator
from latte_ase.live.conditions import SOFTNESS, TAUP, Conditions
from latte_ase.live.dynamics import Excess, Now, require_cell
from latte_ase.model.domain import CloseContact, UncertainForces
from latte_ase.simulate.pull import Pull
from latte_ase.simulate.steered_run import SteeredRun
from latte_ase.simulate.steering import Steered


class DeviceDynamics:
    """Dynamics on the device, see `dynamics.Dynamics`.

    Args:
        calc: the calculator; its precision, device and skin are used.
        seed: of the random numbers; None draws one.
    """

    def __init__(self, calc: LatteCalculator, *, seed: int | None = None):
        self._engine, self._seeds = calc.engine, np.random.SeedSequence(seed)
        self.name = calc.potential.metadata.get("name", "unnamed")

    def begin(self, atoms: Atoms, conditions: Conditions) -> None:
        """Start from atoms with their momenta and FixAtoms."""
        require_cell(atoms, conditions)
        run = SteeredRun(atoms, self._engine, _steered(conditions), timestep=conditions.timestep)
        run.begin(seed=int(self._seeds.spawn(1)[0].generate_state(1)[0]))
        self._run, self._rests = run, conditions.mode == "relax"

    def steer(self, conditions: Conditions) -> None:
        """Go on under other conditions."""
        self._run.steer(_steered(conditions), timestep=conditions.timestep)

    def hold(self, pulls: Sequence[Pull]) -> None:
        """Pull from now on so."""
        self._run.hold(pulls)

    def advance(self, steps: int) -> None:
        """Go on by some steps."""
        until = self._run.snapshot.step + steps
        while self._run.snapshot.step < until:
            self._run.advance(until)

    def now(self) -> Now:
        """The last finished step."""
        run = self._run
        last = run.snapshot
        if self._rests:  # what FIRE has for velocities
            last = last._replace(momenta=np.zeros_like(last.momenta))
        return Now(last.step, last.positions, last.cell, last.momenta, last.results())

    def uncertainty(self) -> np.ndarray | None:
        """Standard deviations of the forces by the committee."""
        committee = self._engine.potential.committee
        if committee is None:
            return None
        # the pulls are in the forces of each member, so in no deviation
        return np.linalg.norm(committee.deviations(self._run.member_forces(committee.asked)), axis=1)

    def excesses(self) -> list[Excess]:
        """Distances and numbers of neighbours outside the domain of use."""
        return [Excess(str(found), _atoms(found)) for found in self._engine.excursions(self._present())]

    def _present(self) -> Atoms:
        run, last = self._run, self._run.snapshot
        return Atoms(run.numbers, last.positions, cell=last.cell, pbc=run.pbc)


def _atoms(found) -> tuple[int, ...]:
    if isinstance(found, (CloseContact, UncertainForces)):
        return found.atoms
    return () if found.atom is None else (found.atom,)


def _steered(conditions: Conditions) -> Steered:
    heated = conditions.mode in ("langevin", "npt")
    return Steered(
        temperature_K=conditions.temperature_K,
        friction=conditions.friction if heated else 0.0,
        pressure_au=conditions.pressure_au,
        cell_rate=SOFTNESS / TAUP if conditions.mode == "npt" else 0.0,
        relaxes=conditions.mode == "relax",
    )
