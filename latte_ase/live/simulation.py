"""A simulation that carries out commands between short turns; it knows nothing of threads, sockets and pages.

A turn takes about `TURN` seconds; the number of steps in it adapts to the machine.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import singledispatchmethod
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.io import write

from latte_ase.live import commands
from latte_ase.live.commands import CommandError
from latte_ase.live.conditions import Conditions
from latte_ase.live.dynamics import Dynamics, Excess
from latte_ase.live.editing import edited, require_atoms
from latte_ase.live.frame import LiveFrame, LiveStructure, Moment
from latte_ase.live.history import History
from latte_ase.simulate.pull import Pull, nearest_image, of_positions, springs
from latte_ase.simulate.run import BlewUp
from latte_ase.simulate.trajectory import Trajectory, open_trajectory

TURN = 0.016
"""Seconds of a turn: a frame of a display at 60 Hz."""

LOOK_EVERY = 0.25
"""Least time in seconds between two looks at uncertainty or domain."""

SHARE = 0.2
"""Largest share of the time that these looks may take."""

MOST_STEPS = 1000
"""Steps of one command, during which no other one is heard."""

RECORD_EVERY = 10 * units.fs
"""Least simulated time between two recorded frames."""

RELAXED = 1e-3
"""Largest force in eV/Angstrom, pulls included, at which a relaxation waits for the next command."""

WEAKEST = 1e-9
"""Strength of the spring of a pull that has a constant force only, which is as good as none."""


class Simulation:
    """Simulation that takes commands.

    Args:
        atoms: the structure, with FixAtoms and momenta; velocities are drawn where there are none and a thermostat wants some.
        dynamics: what moves it.
        conditions: of the first turns.
        kept: file to which `commands.Keep` appends.
        seed: of the velocities.

    Attributes:
        frame: the last frame.
        conditions: of the dynamics.
        paused: whether the time stands still.
        speed: steps per second that are wanted; 0 for as many as possible.
        message: what a person should know; None for nothing.
        uncertainty: (atoms,) eV/Angstrom of the structure with revision `uncertain_of`, or None.
        warnings: ways in which the structure is outside the domain of use.
        steps_per_second: measured.
    """

    def __init__(
        self,
        atoms: Atoms,
        dynamics: Dynamics,
        conditions: Conditions,
        *,
        kept: Path,
        seed: int | None,
        paused: bool = False,
    ):
        self._dynamics, self.conditions, self._kept = dynamics, conditions, kept
        self._rng = np.random.default_rng(seed)
        self.paused, self.speed, self.message = paused, 0.0, None
        self.uncertainty: np.ndarray | None = None
        self.uncertain_of, self.warnings = -1, list[Excess]()
        self.steps_per_second, self._steps, self._since = 0.0, 1, None
        self._pulls: tuple[Pull, ...] = ()
        self._numbers, self._revisions = iter(range(2**62)), iter(range(2**62))
        self._recorded: tuple[Path | None, Trajectory, float] | None = None
        self._wants_uncertainty = False
        self._looks = {"uncertainty": 0.0, "excesses": 0.0}
        self._due, self._still = 0.0, False
        self.history = History()
        self._time, self._step = 0.0, 0
        self._first = atoms.copy()
        self._start(self._first, 0.0)

    @property
    def recording(self) -> Path | None:
        """File that is written."""
        return None if self._recorded is None else self._recorded[0]

    @property
    def pulls(self) -> tuple[Pull, ...]:
        """Pulls on the atoms."""
        return self._pulls

    def watch(self, *, uncertainty: bool) -> None:
        """Whether somebody wants uncertainties."""
        self._wants_uncertainty = uncertainty

    def close(self) -> None:
        """End a recording."""
        self._end_record()

    # Turns

    def turn(self) -> float:
        """Advance by one turn where time does not stand still; the seconds after which the next one is due (inf: after a command)."""
        if self.paused or self._still:
            self._since = None
            return inf
        now = time.perf_counter()
        if self.speed and now < self._due:
            return self._due - now
        steps = self._steps if not self.speed else max(1, min(self._steps, int(self.speed * TURN)))
        self._advance(steps)
        took = time.perf_counter() - now
        if self.speed:
            self._due = max(self._due, now - TURN) + steps / self.speed
        if steps == self._steps:
            self._steps = max(1, int(steps * min(2.0, max(0.5, TURN / max(took, 1e-9))) + 0.5))
        self._measure(now, steps)
        self._look()
        return 0.0 if not self.speed else max(0.0, self._due - time.perf_counter())

    def _advance(self, steps: int) -> None:
        try:
            self._dynamics.advance(steps)
        except BlewUp as error:
            self.paused, self.message = True, f"{error} Paused: rewind, or release the pull, and play."
        self._publish()

    def _publish(self) -> None:
        """The frame of the present state."""
        now = self._dynamics.now()
        if self.conditions.mode != "relax":
            self._time += (now.step - self._step) * self.conditions.timestep
        self._step = now.step
        moment = Moment(self._structure, self._time, now.positions, now.cell, now.momenta)
        self._show(moment, now.results)
        self.history.append(moment)
        self._still = self.conditions.mode == "relax" and self._largest_force() < RELAXED
        self._record()

    def _show(self, moment: Moment, computed: dict[str, Any]) -> None:
        """A frame with the present pulls."""
        pulled = of_positions(self._pulls, moment.positions, moment.cell, self._structure.pbc)
        self.frame = LiveFrame(next(self._numbers), moment, computed, self._pulls, *pulled)

    def _largest_force(self) -> float:
        forces = self.frame.computed["forces"].copy()
        for pull, force in zip(self.frame.pulls, self.frame.pull_forces, strict=True):
            forces[pull.atom] += force
        return float(np.abs(forces[~self._structure.fixed]).max(initial=0))

    def _measure(self, begun: float, steps: int) -> None:
        if self._since is None:
            self._since, self._counted = begun, 0
        self._counted += steps
        passed = time.perf_counter() - self._since
        if passed >= 0.5:
            self.steps_per_second, self._since, self._counted = self._counted / passed, time.perf_counter(), 0

    def _look(self) -> None:
        """Uncertainty and domain, a few times a second."""
        if self._wants_uncertainty and self._is_due("uncertainty"):
            with _Timed(self._looks, "uncertainty"):
                self.uncertainty, self.uncertain_of = self._dynamics.uncertainty(), self._structure.revision
        if self._is_due("excesses"):
            with _Timed(self._looks, "excesses"):
                self.warnings = self._dynamics.excesses()

    def _is_due(self, what: str) -> bool:
        return time.perf_counter() >= self._looks[what]

    # Commands

    @singledispatchmethod
    def apply(self, command: Any) -> None:
        """Carry out a command.

        Raises:
            CommandError, ValueError, NotImplementedError, BlewUp, OSError: it cannot be done; the simulation is as it was.
        """
        raise TypeError(f"{command!r} is no command of a simulation.")

    @apply.register
    def _(self, command: commands.PullTo) -> None:
        require_atoms(command.atoms, len(self._structure))
        chosen = sorted(set(command.atoms))
        moment = self.frame.moment
        positions = moment.positions[chosen]
        lattice = springs((), moment.cell, self._structure.pbc)
        # the atoms of a molecule that crosses a boundary belong together
        around = positions[:1] + nearest_image(positions - positions[:1], lattice.lattice, lattice.inverse)
        targets = around + np.array(command.to) - around.mean(axis=0)
        pairs = zip(chosen, targets, strict=True)
        new = [Pull(k, target, command.stiffness, command.max_force) for k, target in pairs]
        self._hold([pull for pull in self._pulls if pull.atom not in chosen] + new)

    @apply.register
    def _(self, command: commands.Push) -> None:
        require_atoms(command.atoms, len(self._structure))
        others = [pull for pull in self._pulls if not pull.steady.any() and pull.atom not in command.atoms]
        positions = self.frame.moment.positions
        pushed = [(k, np.array(f)) for k, f in zip(command.atoms, command.forces, strict=True) if any(f)]
        self._hold([*others, *(Pull(k, positions[k], WEAKEST, WEAKEST, steady=force) for k, force in pushed)])

    @apply.register
    def _(self, command: commands.Release) -> None:
        if command.atoms is not None:
            require_atoms(command.atoms, len(self._structure))
        self._hold([] if command.atoms is None else [p for p in self._pulls if p.atom not in command.atoms])

    @apply.register
    def _(self, command: commands.Set) -> None:
        given = {"mode": command.mode, "temperature_K": command.temperature_K}
        if command.friction is not None:
            given["friction"] = command.friction / units.fs
        if command.pressure is not None:
            given["pressure_au"] = command.pressure * units.GPa
        if command.timestep is not None:
            given["timestep"] = command.timestep * units.fs
        new = replace(self.conditions, **{k: v for k, v in given.items() if v is not None})
        if command.speed is not None:
            if not 0 <= command.speed < inf:
                raise CommandError(
                    f"speed is {command.speed}; steps per second are needed, or 0 for as many as possible."
                )
            self.speed, self._due = command.speed, 0.0
        other = new.mode != self.conditions.mode
        if other:
            self._change_mode(new)
        elif new != self.conditions:
            self._dynamics.steer(new)
        self.conditions, self._still = new, False
        if other:
            self._publish()

    @apply.register
    def _(self, command: commands.Pause) -> None:
        self.paused = True

    @apply.register
    def _(self, command: commands.Play) -> None:
        self.paused, self.message = False, None

    @apply.register
    def _(self, command: commands.Step) -> None:
        if not 1 <= command.n <= MOST_STEPS:
            raise CommandError(
                f"{command.n} steps were to be taken at once; 1 to {MOST_STEPS} can be. Play, and pause later."
            )
        self.paused = True
        self._advance(command.n)
        self._look()

    @apply.register
    def _(self, command: commands.Rewind) -> None:
        self._return(self.history.rewind(command.frames))

    @apply.register
    def _(self, command: commands.Reset) -> None:
        self._start(self._first, 0.0)
        self.message = None

    @apply.register(commands.Fix)
    @apply.register(commands.Delete)
    @apply.register(commands.Replace)
    @apply.register(commands.Add)
    def _(self, command) -> None:
        pulls = self._pulls
        self._start(edited(self.frame.moment.atoms(), command), self.frame.moment.time)
        if not isinstance(command, commands.Delete):  # which gives other numbers to the atoms
            self._hold(pulls)

    @apply.register
    def _(self, command: commands.Record) -> None:
        self._end_record()
        if command.path is not None:
            path = Path(command.path).expanduser()
            self._recorded = path, open_trajectory(path), -inf
            self._record()

    @apply.register
    def _(self, command: commands.Keep) -> None:
        atoms = self.frame.moment.atoms()
        frame = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        frame.info["time_fs"] = self.frame.time_fs
        if self.uncertainty is not None and self.uncertain_of == self._structure.revision:
            frame.info["uncertainty"] = float(self.uncertainty.max())
        self._kept.parent.mkdir(parents=True, exist_ok=True)
        write(self._kept, frame, format="extxyz", append=True)
        self.message = f"This frame was appended to {self._kept}."

    def _hold(self, pulls) -> None:
        self._dynamics.hold(pulls)
        self._pulls, self._still = tuple(pulls), False
        self._show(self.frame.moment, self.frame.computed)

    def _start(self, atoms: Atoms, at: float) -> None:
        """Begin with another structure, without pulls."""
        atoms = self._moving(atoms, self.conditions)
        self._dynamics.begin(atoms, self.conditions)
        self._structure = LiveStructure(atoms, next(self._revisions))
        self._began(at)

    def _return(self, state: Moment) -> None:
        """Begin with an earlier state."""
        self._dynamics.begin(state.atoms(), self.conditions)
        self._structure = state.structure
        self._began(state.time)

    def _began(self, at: float) -> None:
        self._pulls, self.warnings, self._looks = (), [], dict.fromkeys(self._looks, 0.0)
        self._time, self._step = at, 0
        self._publish()

    def _change_mode(self, new: Conditions) -> None:
        """Another mode: the velocities of a relaxation are none, and a relaxation starts from rest."""
        atoms, pulls = self.frame.moment.atoms(), self._pulls
        if "relax" in (new.mode, self.conditions.mode):
            atoms.set_momenta(np.zeros((len(atoms), 3)), apply_constraint=False)
        self._dynamics.begin(self._moving(atoms, new), new)
        self._dynamics.hold(pulls)
        self._step = 0

    def _moving(self, atoms: Atoms, conditions: Conditions) -> Atoms:
        """The atoms, with velocities where they have none and there is a thermostat."""
        if conditions.mode not in ("langevin", "npt") or atoms.get_momenta().any():
            return atoms
        atoms = atoms.copy()
        spread = np.sqrt(atoms.get_masses()[:, None] * units.kB * conditions.temperature_K)
        atoms.set_momenta(spread * self._rng.normal(size=(len(atoms), 3)))  # those of fixed atoms become 0
        return atoms

    def _record(self) -> None:
        if self._recorded is None:
            return
        path, trajectory, last = self._recorded
        if abs(self.frame.moment.time - last) >= RECORD_EVERY * (1 - 1e-9):
            atoms = self.frame.moment.atoms()
            atoms.info["time_fs"] = self.frame.time_fs
            trajectory.write(atoms, self.frame)
            self._recorded = path, trajectory, self.frame.moment.time

    def _end_record(self) -> None:
        if self._recorded is not None:
            self._recorded[1].close()
            self._recorded = None


class _Timed:
    """Context that says when a look is due again, by the time that it takes."""

    def __init__(self, looks: dict[str, float], what: str):
        self._looks, self._what = looks, what

    def __enter__(self):
        self._begun = time.perf_counter()

    def __exit__(self, *error):
        now = time.perf_counter()
        self._looks[self._what] = now + max(LOOK_EVERY, (now - self._begun) / SHARE)
