"""Molecular dynamics on the device: the function `md`, with the atoms, units and files of ASE."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms

from latte_ase.calculator import LatteCalculator
from latte_ase.io.progress import progress_bar
from latte_ase.simulate import checkpoint as checkpoints
from latte_ase.simulate.clock import Clock
from latte_ase.simulate.ensembles import NVE, Ensemble
from latte_ase.simulate.output import Files, Written
from latte_ase.simulate.run import Run, Snapshot

LOOK_AFTER = 0.5
"""Time in seconds between two calls of the device, after which the progress bar and Ctrl-C are served."""

FIRST_LOOK = 10
"""Number of steps of the first call, from which the speed is measured."""


class Summary(NamedTuple):
    """Summary of a run.

    Attributes:
        steps: number of steps of this call.
        seconds_per_step: time of a step without the first ones, which include compilation; nan for a very short run.
        ns_per_day: simulated nanoseconds per day, likewise.
    """

    steps: int
    seconds_per_step: float
    ns_per_day: float


def md(
    atoms: Atoms,
    calc: LatteCalculator,
    steps: int,
    *,
    timestep: float,
    ensemble: Ensemble = NVE(),  # noqa: B008 (immutable)
    seed: int | None = None,
    trajectory: str | Path | Any = None,
    log: str | Path | None = None,
    interval: int = 100,
    checkpoint: str | Path | None = None,
    checkpoint_interval: int = 10_000,
    resume: bool = False,
    progress: bool = True,
) -> Summary:
    """Molecular dynamics with the loop over steps on the device.

    Energies, temperatures and structures are those of `ase.md`, without work of the host in every step: the device runs
    until the neighbour list is no longer valid, and the host builds a new one.  (Where several CPU cores share the
    forces of a large structure, the loop runs on the host.)  FixAtoms is the only constraint that is supported.

    Args:
        atoms: ase.Atoms with momenta.  At the end, or after an error, they are at the last finished step, with `calc`
            attached and its results those of that step.
        calc: the calculator; its precision, device and skin are used.
        steps: number of steps of the whole run; with `resume` it includes those before the checkpoint.
        timestep: time step in ASE's unit, such as 1 * units.fs.
        ensemble: `NVE`, `Langevin`, `Bussi`, `NoseHooverChain` or `CellRescaling` of this package.
        seed: seed of the random numbers; None draws one.
        trajectory: path of a file to write, in the format of its suffix (.traj, .extxyz, .xyz or another one to which ASE can
            append), a writer of ASE such as `ase.io.Trajectory(PATH, "w")`, or None.
        log: path of a text file with the columns of `ase.md.MDLogger`, "-" for the terminal.
        interval: number of steps between frames and log lines, beginning with the initial structure.
        checkpoint: path of the checkpoint file, from which an interrupted run can be continued.
        checkpoint_interval: number of steps between checkpoints; another one is written at the end.
        resume: continue from `checkpoint`, on the same kind of device to the numbers of an uninterrupted run; trajectory
            and log are continued.
        progress: whether a progress bar is shown.

    Returns:
        Number of steps, and speed.

    Raises:
        TypeError: `calc` or `ensemble` is of another type.
        ValueError: an argument, the structure or the checkpoint cannot be used.
        NotImplementedError: a constraint other than FixAtoms.
        BlewUp: energy or forces are not finite, or an atom moves too far in a step; the message names the atoms.
        DomainError: the calculator is strict, and a frame is outside the model's domain.
    """
    schedule = _Schedule(steps, interval, checkpoint_interval)
    _require_possible(calc, timestep, checkpoint, resume=resume)
    run, written = Run(atoms, calc.engine, ensemble, timestep=timestep), Written()
    if resume:
        written = checkpoints.load(checkpoint, run)
    else:
        run.begin(seed=seed)
    first, clock = run.snapshot.step, Clock(timestep)
    bar = progress_bar("dynamics", steps, done=first) if progress else nullcontext(lambda done, text: None)
    with Files(trajectory, log, run, written=written) as files, bar as show:
        try:
            _bring(atoms, run.snapshot)
            calc.watch_domain(atoms, run.member_forces)
            if not resume:
                files.write(atoms, run.snapshot)
            while run.snapshot.step < steps:
                stop = schedule.next_stop(run.snapshot.step, clock.seconds_per_step)
                while run.snapshot.step < stop:
                    run.advance(stop)
                _bring(atoms, run.snapshot)
                calc.watch_domain(atoms, run.member_forces)
                if schedule.writes_frame(stop):
                    files.write(atoms, run.snapshot)
                if checkpoint is not None and schedule.writes_checkpoint(stop):
                    checkpoints.save(checkpoint, run, files.written)
                clock.look(stop)
                show(stop, "" if np.isnan(clock.ns_per_day) else f"{clock.ns_per_day:.3g} ns/day")
        finally:
            _bring(atoms, run.snapshot)
            _leave_results(atoms, calc, run.snapshot)
    return Summary(run.snapshot.step - first, clock.seconds_per_step, clock.ns_per_day)


@dataclass(frozen=True)
class _Schedule:
    """When the device stops, and what the host then writes.

    Attributes:
        steps: the last step.
        interval: steps between two frames.
        checkpoint_interval: steps between two checkpoints.
    """

    steps: int
    interval: int
    checkpoint_interval: int

    def __post_init__(self):
        for name, least in (("steps", 0), ("interval", 1), ("checkpoint_interval", 1)):
            value = getattr(self, name)
            if not isinstance(value, (int, np.integer)) or value < least:
                raise ValueError(f"{name} is {value!r}; a whole number of {least} or more is needed.")

    def next_stop(self, step: int, seconds_per_step: float) -> int:
        """The step at which the host looks next; nan for a speed that is not known."""
        pause = FIRST_LOOK if np.isnan(seconds_per_step) else max(1, int(LOOK_AFTER / max(seconds_per_step, 1e-9)))
        return min(self.steps, step + pause, _next(step, self.interval), _next(step, self.checkpoint_interval))

    def writes_frame(self, step: int) -> bool:
        """Whether a frame and a line of the log are due."""
        return step % self.interval == 0

    def writes_checkpoint(self, step: int) -> bool:
        """Whether a checkpoint is due."""
        return step % self.checkpoint_interval == 0 or step == self.steps


def _next(step: int, interval: int) -> int:
    """The first multiple of `interval` after `step`."""
    return (step // interval + 1) * interval


def _require_possible(calc, timestep: float, checkpoint, *, resume: bool) -> None:
    """Raise TypeError or ValueError where a run cannot begin."""
    if not isinstance(calc, LatteCalculator):
        raise TypeError(
            f"calc is a {type(calc).__name__}; a LatteCalculator is needed. For other calculators, also sums and "
            "mixtures with a LatteCalculator, use ASE's own dynamics (ase.md)."
        )
    if not (np.isfinite(timestep) and timestep > 0):
        raise ValueError(f"timestep is {timestep}; a number larger than 0 is needed, such as 1 * ase.units.fs.")
    if resume and checkpoint is None:
        raise ValueError("resume=True, but no checkpoint was given to resume from. Pass checkpoint=PATH.")


def _bring(atoms, snapshot: Snapshot) -> None:
    """The atoms to a step."""
    atoms.set_cell(snapshot.cell)
    atoms.positions[:] = snapshot.positions
    atoms.set_momenta(snapshot.momenta, apply_constraint=False)


def _leave_results(atoms, calc: LatteCalculator, snapshot: Snapshot) -> None:
    """Attach the calculator with the results of the last step, so that asking costs nothing."""
    with calc.engine.exclusive():
        calc.atoms, calc.results = atoms.copy(), snapshot.results()
    atoms.calc = calc
