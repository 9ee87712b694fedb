"""A run of dynamics as the host sees it: lists are built, the device is called, steps come back."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np

from latte_ase.engine.engine import Engine
from latte_ase.engine.output import Output
from latte_ase.geometry import neighbours
from latte_ase.geometry.graph import Shape
from latte_ase.model.program import Weights
from latte_ase.simulate import device_loop
from latte_ase.simulate.device_loop import (
    FARTHEST_STEP,
    FLEW_APART,
    GOES_ON,
    LIST_SPENT,
    NOT_FINITE,
    Method,
    Progress,
    Reference,
    Setting,
)
from latte_ase.simulate.ensembles import Ensemble
from latte_ase.simulate.state import State, System
from latte_ase.simulate.system import degrees_of_freedom, mobile_atoms, require_fitting

NAMED = 5
"""Atoms that an error names."""

BUCKET_MARGIN = 0.05
"""Free room for neighbours that the bucket of a list has, as a fraction: their counts fluctuate, so a larger bucket would be
compiled in the middle of the run."""


class BlewUp(ArithmeticError):
    """Error of unstable dynamics; the message names the atoms, which are left at the last good step."""


class Snapshot(NamedTuple):
    """A finished step, float64.

    Attributes:
        step: its number.
        positions: (atoms, 3) Angstrom.
        cell: (3, 3) Angstrom.
        momenta: (atoms, 3) in ASE's unit.
        energies: (atoms,) eV, with E0.
        forces: (atoms, 3) eV/Angstrom.
        virial: (3, 3) eV.
    """

    step: int
    positions: np.ndarray
    cell: np.ndarray
    momenta: np.ndarray
    energies: np.ndarray
    forces: np.ndarray
    virial: np.ndarray

    def results(self) -> dict[str, Any]:
        """Results of this step as those of a calculator; with stress where the cell has a volume."""
        return Output(self.energies, self.forces, self.virial).results(neighbours.volume(self.cell))


class RunState(NamedTuple):
    """State of a run that determines its further steps; the content of a checkpoint.

    Attributes:
        positions: (atoms, 3) float64 where the list was built; displacements refer to them.
        cell: (3, 3) float64 there.
        shape: its bucket; another one may change the last digit of a sum.
        shapes: buckets known by then, from which later lists choose.
        freedom: degrees of freedom.
        key: (2,) uint32, random seed.
        progress: on the device.
    """

    positions: np.ndarray
    cell: np.ndarray
    shape: Shape
    shapes: list[Shape]
    freedom: int
    key: np.ndarray
    progress: Progress


class Run:
    """Dynamics from where some atoms are; `advance` moves on.

    `snapshot` is the last finished step, `state` is what a checkpoint holds.

    Args:
        atoms: numbers, masses, pbc and constraints; not changed here.
        engine: of the calculator.
        ensemble: the rules of motion.
        timestep: in ASE's unit.

    Raises:
        ValueError, TypeError, NotImplementedError: as `simulate.system` says.
    """

    def __init__(self, atoms, engine: Engine, ensemble: Ensemble, *, timestep: float):
        self.mobile = mobile_atoms(atoms)
        require_fitting(atoms, ensemble, self.mobile)
        self.engine, self.ensemble, self.timestep = engine, ensemble, float(timestep)
        self.numbers, self.pbc, self.masses = atoms.numbers.copy(), atoms.pbc.copy(), atoms.get_masses()[:, None]
        self._isolated = engine.potential.reference_energies[engine.potential.species(atoms.numbers)]
        self._at_list = atoms.copy()  # positions and cell to which displacements and strain refer
        self._at_list.set_constraint()
        self._shapes = list(engine.lists.buckets.known)

    def begin(self, *, seed: int | None = None) -> None:
        """Forces where the atoms are.

        Args:
            seed: of the random numbers; None draws one.

        Raises:
            ValueError: the momenta do not suit the ensemble.
            BlewUp: the energy or a force is not finite, or the first step would be enormous.
        """
        self._set_freedom(degrees_of_freedom(self._at_list, self.mobile, self.ensemble))
        self.key = np.random.SeedSequence(seed).generate_state(2)
        self._build_list()
        momenta = self._at_list.get_momenta()
        zero = np.zeros_like(momenta)
        velocities = np.divide(momenta, self.masses, out=zero.copy(), where=self.mobile[:, None])
        start = State(
            np.int32(-1), zero, np.zeros(()), velocities, zero, zero[:, 0], np.zeros((3, 3)), self.ensemble.own()
        )
        self._progress = self._cast(Progress(start, start, np.int32(GOES_ON)))
        self.advance(0)

    def continue_from(self, state: RunState) -> None:
        """Take up an earlier run of these atoms, to the same numbers."""
        self._set_freedom(state.freedom)
        self.key = state.key
        self._shapes = list(state.shapes)
        self._move_list(state.positions, state.cell, state.shape)
        self._stand(self._cast(state.progress))

    def advance(self, until: int) -> None:
        """Go on up to step `until`, or less where a list is spent.

        Raises:
            BlewUp: `snapshot` is the last good step.
        """
        progress = self._progress
        if int(progress.status) == LIST_SPENT:
            progress = self._onto_new_list(progress)
        before, evaluator = int(progress.state.step), self.engine.evaluator
        method = Method(type(self.ensemble), evaluator.program)
        setting = self._setting(evaluator.weights)
        with evaluator.precision(), evaluator.counted(0):
            if self._by_threads:
                progress = self._host_loop(method, setting, progress, until)
            else:
                progress = device_loop.run(method, setting, progress, np.int32(until))
        after, status = int(progress.state.step), int(progress.status)
        evaluator.stats.calls += after - before
        if after > before:  # otherwise the state may still refer to an older list
            self._stand(progress)
        if status in (FLEW_APART, NOT_FINITE):
            raise BlewUp(self._diagnose(jax.device_get(progress), status))

    def _setting(self, weights: Weights) -> Setting:
        return Setting(weights, self._reference, self._system, self._numbers, self.key)

    def _host_loop(self, method: Method, setting: Setting, progress: Progress, until: int) -> Progress:
        """As `device_loop.run`, with forces by several threads."""
        atoms = self._at_list.copy()
        while int(progress.state.step) < until and int(progress.status) == GOES_ON:
            atoms.positions[:], cell = self._absolute(jax.device_get(progress.moved))
            atoms.set_cell(cell)
            output = self._twin.evaluate(atoms)
            found = output.energies - self._isolated, output.forces, output.virial
            progress = device_loop.step(method, setting, progress, *self._cast(found))
        return progress

    def member_forces(self, count: int) -> np.ndarray:
        """Forces (members, atoms, 3) of the last finished step in eV/Angstrom, from the first members of the committee, by the
        loop that is compiled already."""
        engine = self.engine
        if self._by_threads:
            atoms = self._at_list.copy()
            atoms.set_cell(self.snapshot.cell)
            atoms.positions[:] = self.snapshot.positions
            return engine.evaluate_members(atoms, count)[1]  # on the twin's list, which it adopted
        method = Method(type(self.ensemble), engine.evaluator.program)
        done = self._progress.state
        start = Progress(done._replace(step=np.int32(-1)), done, np.int32(GOES_ON))  # forces are wanted, and no motion
        forces = []
        for k in range(count):
            setting = self._setting(engine.member(k))
            with engine.evaluator.precision(), engine.evaluator.counted():
                state = jax.device_get(device_loop.run(method, setting, self._cast(start), np.int32(0)).state)
            forces.append(np.float64(state.forces))
        return np.stack(forces)

    @property
    def state(self) -> RunState:
        """What decides how this run goes on."""
        positions, cell = self._at_list.positions.copy(), self._at_list.cell.array.copy()
        progress = jax.device_get(self._progress)
        return RunState(positions, cell, self._shape, self._shapes, self.freedom, self.key, progress)

    def _set_freedom(self, freedom: int) -> None:
        self.freedom = freedom
        numbers = self.ensemble.parameters(freedom=freedom, mobile=int(self.mobile.sum()))
        self._numbers = self._cast(numbers | {"timestep": self.timestep})

    def _stand(self, progress: Progress) -> None:
        self._progress = progress
        state = jax.tree.map(lambda a: np.asarray(a, np.float64), jax.device_get(progress.state))
        momenta, energies = state.velocities * self.masses, state.energies + self._isolated
        self.snapshot = Snapshot(int(state.step), *self._absolute(state), momenta, energies, state.forces, state.virial)

    def _build_list(self, shape: Shape | None = None) -> None:
        """A fresh list for the positions that displacements refer to; in this bucket, or a known or new one."""
        known, margin = (self._shapes, BUCKET_MARGIN) if shape is None else ([shape], 0.0)
        self._twin = self.engine.twin(known, margin=margin)
        placed = self._twin.place(self._at_list)[0]
        self._by_threads = len(placed.parts) > 1
        self._shapes = list(dict.fromkeys([*self._shapes, *self._twin.lists.buckets.known]))
        self.engine.adopt(self._twin)  # which spares it a list where the host looks at the model's domain
        self._shape, layout = placed.shape, placed.packed.layout
        size = placed.shape.blocks * placed.shape.block
        atom = np.full(size, len(self._at_list), np.int32)
        atom[layout.place] = np.arange(len(self._at_list))
        cutoff = self.engine.potential.cutoff
        tables = self._cast((np.asarray(layout.place, np.int32), atom, cutoff, cutoff + self.engine.skin))
        self._reference = Reference(placed.graph, self._cast(placed.packed.used), *tables)
        inverse = np.divide(1.0, self.masses, out=np.zeros_like(self.masses), where=self.mobile[:, None])
        self._system = self._cast(System(self.masses, inverse, abs(np.linalg.det(self._at_list.cell.array))))

    def _onto_new_list(self, progress: Progress) -> Progress:
        """The same advanced step, relative to a list built at its positions."""
        moved = jax.device_get(progress.moved)
        self._move_list(*self._absolute(moved))
        moved = moved._replace(displacements=np.zeros_like(moved.displacements), strain=np.zeros_like(moved.strain))
        return self._cast(Progress(moved, moved, np.int32(GOES_ON)))

    def _move_list(self, positions, cell, shape=None):
        self._at_list.set_cell(cell)
        self._at_list.positions[:] = positions
        self._build_list(shape)

    def _absolute(self, state: State):
        """Positions (atoms, 3) and cell (3, 3), float64."""
        stretch = 1 + np.float64(state.strain)
        return self._at_list.positions * stretch + state.displacements, self._at_list.cell.array * stretch

    def _cast(self, tree):
        """Arrays on the device, floats in the engine's precision."""

        def cast(leaf):
            leaf = np.asarray(leaf)
            return leaf if leaf.dtype in (np.int32, np.uint32) else leaf.astype(self.engine.dtype)

        with self.engine.evaluator.precision():
            return jax.device_put(jax.tree.map(cast, tree), self.engine.device)

    def _diagnose(self, progress: Progress, status: int) -> str:
        """What went wrong in the step after the last good one."""
        step, moved = int(progress.state.step) + 1, progress.moved
        jumps = np.linalg.norm(moved.displacements - progress.state.displacements, axis=1)
        if status == NOT_FINITE:
            wrong = ~np.isfinite(moved.forces).all(axis=1) | ~np.isfinite(moved.energies)
            what = f"energy or forces are not finite: {self._name(wrong)}"
        elif not moved.strain > -1:
            what = f"the cell would be scaled by {1 + float(moved.strain):.3g}"
        else:
            far = ~(jumps < FARTHEST_STEP)
            what = (
                f"{self._name(far)} would move by up to {jumps.max():.3g} Å in one step; at most {FARTHEST_STEP:g} Å is "
                "taken for motion"
            )
        if step == 0:
            return f"Dynamics cannot start: {what}. Look at the distances in this structure, or relax it first."
        return (
            f"Dynamics blew up in step {step}: {what}. The atoms are as they were after step {step - 1}. Take a shorter "
            "time step, relax the structure first, or look whether it left the model's domain (calc with strict=True)."
        )

    def _name(self, chosen) -> str:
        """Atoms by index and symbol."""
        atoms = np.flatnonzero(chosen)
        named = ", ".join(f"{k} ({self._at_list.symbols[k]})" for k in atoms[:NAMED])
        more = f" and {len(atoms) - NAMED} more" if len(atoms) > NAMED else ""
        return f"{'atom' if len(atoms) == 1 else 'atoms'} {named}{more}"
