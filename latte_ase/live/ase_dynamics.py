"""Dynamics of any ASE calculator by ASE's own dynamics and optimisers, at the calculator's speed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.constraints import FixAtoms
from ase.md.langevin import Langevin
from ase.md.nptberendsen import NPTBerendsen
from ase.md.verlet import VelocityVerlet
from ase.optimize import FIRE

from latte_ase.live.conditions import SOFTNESS, TAUP, Conditions
from latte_ase.live.dynamics import Excess, Now, require_cell
from latte_ase.simulate.device_loop import FARTHEST_STEP
from latte_ase.simulate.pull import MOST_PULLS, Pull, of_positions
from latte_ase.simulate.run import BlewUp


class Pulled:
    """Pulls as ASE has it of a constraint that adds forces and energy.

    Attributes:
        pulls: on the atoms.
    """

    def __init__(self):
        self.pulls: tuple[Pull, ...] = ()

    def of(self, atoms: Atoms) -> tuple[float, np.ndarray]:
        """Energy in eV and forces (pulls, 3) in eV/Angstrom."""
        return of_positions(self.pulls, atoms.positions, atoms.cell.array, atoms.pbc)

    def get_removed_dof(self, atoms: Atoms) -> int:
        """No degree of freedom is removed."""
        return 0

    def adjust_positions(self, atoms: Atoms, newpositions) -> None:
        """Positions are free."""

    def adjust_forces(self, atoms: Atoms, forces) -> None:
        """Add the forces of the pulls."""
        for pull, force in zip(self.pulls, self.of(atoms)[1], strict=True):
            forces[pull.atom] += force

    def adjust_potential_energy(self, atoms: Atoms) -> float:
        """Energy of the pulls in eV, which ASE adds."""
        return self.of(atoms)[0]


class AseDynamics:
    """Dynamics by ASE, see `dynamics.Dynamics`: `VelocityVerlet`, `Langevin`, `NPTBerendsen`, `FIRE`.

    Args:
        calc: any ASE calculator.
        seed: of the random numbers; None draws one.
    """

    def __init__(self, calc: Any, *, seed: int | None = None):
        self._calc, self._rng = calc, np.random.default_rng(seed)
        self.name = type(calc).__name__.lower()

    def begin(self, atoms: Atoms, conditions: Conditions) -> None:
        """Start from atoms with their momenta and FixAtoms."""
        require_cell(atoms, conditions)
        _require_mobile(atoms)
        atoms, pulled = atoms.copy(), Pulled()
        atoms.calc = self._calc
        forces = atoms.get_forces(apply_constraint=False)
        if not np.isfinite(forces).all():
            raise BlewUp(
                f"Dynamics cannot start: forces are not finite: {_named(atoms, ~np.isfinite(forces).all(axis=1))}."
            )
        atoms.set_constraint([pulled, *atoms.constraints])
        self._atoms, self._pulled, self._step = atoms, pulled, 0
        self.steer(conditions)
        self._look()

    def steer(self, conditions: Conditions) -> None:
        """Go on under other conditions."""
        self._conditions, self._mover = conditions, self._make(conditions)

    def hold(self, pulls: Sequence[Pull]) -> None:
        """Pull from now on so."""
        if len(pulls) > MOST_PULLS:
            raise ValueError(
                f"{len(pulls)} atoms were to be pulled at once; at most {MOST_PULLS} can be. Choose fewer."
            )
        self._pulled.pulls = tuple(pulls)

    def advance(self, steps: int) -> None:
        """Go on by some steps."""
        atoms = self._atoms
        for _ in range(steps):
            positions, cell, momenta = atoms.positions.copy(), atoms.cell.array.copy(), atoms.get_momenta()
            self._mover.step()
            self._step += 1
            jumps = np.linalg.norm(atoms.positions - positions, axis=1)
            far = ~(jumps < FARTHEST_STEP)
            if far.any():
                self._step -= 1
                atoms.set_cell(cell)
                atoms.positions[:] = positions
                atoms.set_momenta(momenta, apply_constraint=False)
                self._look()
                raise BlewUp(
                    f"Dynamics blew up: {_named(atoms, far)} would move by up to {jumps.max():.3g} Å in one step; at most "
                    f"{FARTHEST_STEP:g} Å is taken for motion. Take a shorter time step, pull less, or relax the structure first."
                )
        self._look()

    def now(self) -> Now:
        """The last finished step."""
        return self._now

    def uncertainty(self) -> np.ndarray | None:
        """Nobody knows."""
        return None

    def excesses(self) -> list[Excess]:
        """Nobody knows."""
        return []

    def _look(self) -> None:
        atoms = self._atoms
        found = {
            "energy": atoms.get_potential_energy(apply_constraint=False),
            "forces": atoms.get_forces(apply_constraint=False),
        }
        if self._conditions.mode == "npt":
            found["stress"] = atoms.get_stress(apply_constraint=False)
        positions, cell, momenta = atoms.positions.copy(), atoms.cell.array.copy(), atoms.get_momenta()
        self._now = Now(self._step, positions, cell, momenta, found)

    def _make(self, conditions: Conditions) -> Any:
        atoms, dt = self._atoms, conditions.timestep
        if conditions.mode == "nve":
            return VelocityVerlet(atoms, dt)
        if conditions.mode == "relax":
            return FIRE(atoms, logfile=None)  # type: ignore[arg-type]
        if conditions.mode == "langevin":
            heat = {"temperature_K": conditions.temperature_K, "friction": conditions.friction}
            return Langevin(atoms, dt, **heat, fixcm=False, rng=self._rng)
        return NPTBerendsen(
            atoms,
            dt,
            temperature_K=conditions.temperature_K,
            pressure_au=conditions.pressure_au,
            taut=1 / max(conditions.friction, 1e-4 / units.fs),
            taup=TAUP,
            compressibility_au=SOFTNESS,
            fixcm=False,
        )


def _require_mobile(atoms: Atoms) -> None:
    if len(atoms) == 0:
        raise ValueError("The structure has no atoms; at least one is needed.")
    for constraint in atoms.constraints:
        if not isinstance(constraint, FixAtoms):
            raise NotImplementedError(
                f"The structure has the constraint {type(constraint).__name__}; a live simulation knows only FixAtoms. Take it off "
                "(atoms.set_constraint())."
            )
        if len(np.unique(constraint.index)) == len(atoms):
            raise ValueError(f"All {len(atoms)} atoms are fixed; at least one must be free to move.")


def _named(atoms: Atoms, chosen) -> str:
    found = np.flatnonzero(chosen)
    return "atoms " + ", ".join(f"{k} ({atoms.symbols[k]})" for k in found[:5])
