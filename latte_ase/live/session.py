"""Sessions: a simulation in a thread, steered by Python, by pages and by notebooks."""

from __future__ import annotations

import atexit
import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from math import isinf
from pathlib import Path
from typing import Any, Self

import numpy as np
from ase import Atoms, units
from ase.data import atomic_numbers

from latte_ase.calculator import LatteCalculator
from latte_ase.live import commands
from latte_ase.live.ase_dynamics import AseDynamics
from latte_ase.live.commands import Command
from latte_ase.live.conditions import Conditions
from latte_ase.live.device_dynamics import DeviceDynamics
from latte_ase.live.frame import LiveFrame
from latte_ase.live.hub import Hub, View
from latte_ase.live.imd import ImdServer
from latte_ase.live.mailbox import Mailbox
from latte_ase.live.server import Server
from latte_ase.live.simulation import Simulation

STATUS_EVERY = 0.25
"""Seconds between two messages of the status, if no command is carried out."""

ENDED = "The session has ended. Start another one with live(atoms)."

HYDROGEN_STEP, STEP = 0.5 * units.fs, 2.0 * units.fs
"""Default time steps, with hydrogen and without."""


def live(
    atoms: Atoms,
    calc: Any = None,
    *,
    mode: str = "langevin",
    temperature_K: float = 300.0,
    friction: float = 0.01 / units.fs,
    pressure_au: float = 0.0,
    timestep: float | None = None,
    paused: bool = False,
    kept: str | Path = "kept.extxyz",
    seed: int | None = None,
) -> Session:
    """Simulation in a thread, which is steered while it runs.

    The dynamics of a `LatteCalculator` runs on its device; that of any other ASE calculator is ASE's, at its speed.

    Args:
        atoms: the structure, not changed; FixAtoms is the only constraint that is supported.
        calc: calculator; default `atoms.calc`.
        mode: "nve" (constant energy), "langevin" (constant temperature), "npt" (constant temperature and pressure) or "relax".
        temperature_K: of the thermostat in Kelvin.
        friction: of the thermostat in inverse units of ASE's time.
        pressure_au: in eV/Angstrom^3.
        timestep: in ASE's unit; default 0.5 fs with hydrogen, 2 fs without.
        paused: whether time stands still at first.
        kept: file to which `Session.keep` appends.
        seed: of the random numbers; None draws one.

    Returns:
        The session, which runs until `Session.stop`, or until Python ends.

    Raises:
        ValueError: there is no calculator; a condition or the structure cannot be used.
        NotImplementedError: a constraint other than FixAtoms.
        BlewUp: the forces of the structure are not finite or too large.
    """
    calc = atoms.calc if calc is None else calc
    if calc is None:
        raise ValueError(
            "The structure has no calculator, and none was given. Pass one: live(atoms, LatteCalculator.from_pretrained(NAME))."
        )
    if timestep is None:
        timestep = HYDROGEN_STEP if 1 in atoms.numbers else STEP
    conditions = Conditions(mode, temperature_K, friction, pressure_au, timestep)
    kind = DeviceDynamics if isinstance(calc, LatteCalculator) else AseDynamics
    dynamics = kind(calc, seed=seed)
    simulation = Simulation(atoms, dynamics, conditions, kept=Path(kept).expanduser(), seed=seed, paused=paused)
    return Session(simulation, dynamics.name)


class Session:
    """Simulation in a thread; made by `live`.

    Methods wait until the simulation has carried them out, which takes one turn of about 16 ms, and raise where it cannot.  Any thread may
    call them.  `with live(...) as session:` ends it.

    Attributes:
        hub: the viewers.
    """

    def __init__(self, simulation: Simulation, name: str):
        self._simulation, self._mailbox = simulation, Mailbox()
        self._queue: queue.SimpleQueue[tuple[Command | None, Future]] = queue.SimpleQueue()
        self._mailbox.put(simulation.frame)
        self._status, self._status_at = self._new_status(), time.monotonic()
        self._uncertainty: tuple[int, np.ndarray | None] | None = None
        self.hub = Hub(
            self.submit, lambda wanted: simulation.watch(uncertainty=wanted), {"calculator": name}, self._view()
        )
        self._server: Server | None = None
        self._imd: ImdServer | None = None
        self._ended = threading.Event()
        self._serving = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="latte_ase live", daemon=True)
        self._thread.start()
        atexit.register(self.stop)

    # The present state

    @property
    def atoms(self) -> Atoms:
        """Copy of the present state: ase.Atoms with momenta, results, and `info["time_fs"]`."""
        return self._mailbox.latest.atoms()

    @property
    def frame(self) -> LiveFrame:
        """The last frame."""
        return self._mailbox.latest

    def wait(self, frames: int = 1, timeout: float | None = None) -> LiveFrame:
        """The frame that many later, or the last one when the time in seconds is over."""
        return self._mailbox.wait(self.frame.number + frames - 1, timeout)

    @property
    def running(self) -> bool:
        """Whether the session has not ended."""
        return not self._ended.is_set()

    @property
    def status(self) -> dict[str, Any]:
        """What pages show: mode, speed, warnings and so on, in their units."""
        return dict(self._status)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """The page, in a notebook."""
        from latte_ase.live.widget import widget

        return widget(self)._repr_mimebundle_(**options)

    # Conditions

    @property
    def mode(self) -> str:
        """Mode of the dynamics; can be set, as what follows."""
        return self._simulation.conditions.mode

    @mode.setter
    def mode(self, value: str) -> None:
        self.do(commands.Set(mode=value))

    @property
    def temperature_K(self) -> float:
        """Temperature of the thermostat in Kelvin."""
        return self._simulation.conditions.temperature_K

    @temperature_K.setter
    def temperature_K(self, value: float) -> None:
        self.do(commands.Set(temperature_K=value))

    @property
    def friction(self) -> float:
        """Friction of the thermostat in inverse units of ASE's time."""
        return self._simulation.conditions.friction

    @friction.setter
    def friction(self, value: float) -> None:
        self.do(commands.Set(friction=value * units.fs))

    @property
    def pressure_au(self) -> float:
        """Pressure in eV/Angstrom^3."""
        return self._simulation.conditions.pressure_au

    @pressure_au.setter
    def pressure_au(self, value: float) -> None:
        self.do(commands.Set(pressure=value / units.GPa))

    @property
    def timestep(self) -> float:
        """Time step in ASE's unit."""
        return self._simulation.conditions.timestep

    @timestep.setter
    def timestep(self, value: float) -> None:
        self.do(commands.Set(timestep=value / units.fs))

    @property
    def speed(self) -> float:
        """Wanted steps per second; 0 for as many as possible."""
        return self._simulation.speed

    @speed.setter
    def speed(self, value: float) -> None:
        self.do(commands.Set(speed=value))

    # Steering

    def pull(self, index: int | Sequence[int], to, *, stiffness: float = 2.0, max_force: float = 2.0) -> None:
        """Pull an atom, or the centre of several, to a point, until `release`.

        Args:
            index: of the atom or atoms.
            to: (3,) the point in Angstrom.
            stiffness: of the spring of each atom, near its target, in eV/Angstrom^2.
            max_force: the most with which each atom is pulled, in eV/Angstrom.

        Raises:
            ValueError: there is no such atom, or a number is not possible.
        """
        x, y, z = np.asarray(to, np.float64).tolist()
        self.do(commands.PullTo(_indices(index), (x, y, z), stiffness, max_force))

    def push(self, index: int | Sequence[int], forces) -> None:
        """Constant forces on atoms, in place of those given before.

        Args:
            index: of the atom or atoms.
            forces: (3,) or (atoms, 3) in eV/Angstrom.
        """
        chosen = _indices(index)
        vectors = np.broadcast_to(np.asarray(forces, np.float64), (len(chosen), 3))
        self.do(commands.Push(chosen, tuple(map(tuple, vectors.tolist()))))

    def release(self, index: int | Sequence[int] | None = None) -> None:
        """Let go of an atom or atoms; default all."""
        self.do(commands.Release(None if index is None else _indices(index)))

    def pause(self) -> None:
        """Stop the time."""
        self.do(commands.Pause())

    def play(self) -> None:
        """Go on."""
        self.do(commands.Play())

    def step(self, n: int = 1) -> None:
        """Pause, and take n steps."""
        self.do(commands.Step(n))

    def rewind(self, frames: int = 1) -> None:
        """Go back by some frames; pulls end."""
        self.do(commands.Rewind(frames))

    def reset(self) -> None:
        """Go back to the structure that the session began with."""
        self.do(commands.Reset())

    # The structure

    def fix(self, index: int | Sequence[int]) -> None:
        """Fix an atom or atoms where they are."""
        self.do(commands.Fix(_indices(index)))

    def free(self, index: int | Sequence[int]) -> None:
        """Let fixed atoms move."""
        self.do(commands.Fix(_indices(index), fixed=False))

    def add(self, what: str, at) -> None:
        """Put an atom (symbol of an element) or a molecule (name of `ase.build.molecule`) with its centre at a point in Angstrom."""
        x, y, z = np.asarray(at, np.float64).tolist()
        kind = {"symbol": what} if what in atomic_numbers else {"molecule": what}
        self.do(commands.Add((x, y, z), **kind))

    def delete(self, index: int | Sequence[int]) -> None:
        """Take an atom or atoms out; pulls end."""
        self.do(commands.Delete(_indices(index)))

    def replace(self, index: int, symbol: str) -> None:
        """Make an atom one of another element."""
        self.do(commands.Replace(int(index), symbol))

    # Files

    def record(self, path: str | Path | None) -> None:
        """Write a frame about every 10 fs to a file (.traj, .extxyz) from now on; None ends it."""
        self.do(commands.Record(None if path is None else str(path)))

    def keep(self) -> None:
        """Append the present frame to the file of frames to label."""
        self.do(commands.Keep())

    # Viewers

    @property
    def url(self) -> str:
        """Address of the page, with its token; serves it on any free port if `serve` was not called.

        Raises:
            ImportError: the package websockets is not installed.
        """
        return self.serve()

    def serve(self, *, port: int = 0, origins: Sequence[str] = ()) -> str:
        """Serve the page on 127.0.0.1, if it is not served already.

        Args:
            port: of the server; 0 for any that is free.
            origins: addresses of other sites whose pages may connect, such as "https://hub.example.org".

        Returns:
            Address of the page, with its token.

        Raises:
            ImportError: the package websockets is not installed.
            OSError: the port is not free.
        """
        with self._serving:
            self._require_running()
            if self._server is None:
                self._server = Server(self.hub, port=port, origins=origins)
            return self._server.url

    def serve_imd(self, *, port: int = 0) -> int:
        """Serve the IMD protocol, version 3, on 127.0.0.1, if it is not served already: other programs watch and pull.

        Without a token: every user of this computer may connect.

        Args:
            port: of the server; 0 for any that is free.

        Returns:
            The port.

        Raises:
            OSError: the port is not free.
        """
        with self._serving:
            self._require_running()
            if self._imd is None:
                self._imd = ImdServer(self.hub, port=port)
            return self._imd.port

    # The thread

    def do(self, command: Command) -> None:
        """Carry out a command, and wait for that.

        Raises:
            RuntimeError: the session has ended.
            ValueError, OSError: the command cannot be carried out.
        """
        self.submit(command).result()

    def submit(self, command: Command) -> Future:
        """Have a command carried out after the present turn."""
        future: Future = Future()
        self._queue.put((command, future))
        if not self.running:
            self._cancel_waiting()
        return future

    def stop(self) -> None:
        """End the simulation, a recording, and the server."""
        with self._serving:
            servers, self._server, self._imd = (self._server, self._imd), None, None
        for server in filter(None, servers):
            server.stop()
        if self.running:
            self._queue.put((None, Future()))
        if threading.current_thread() is not self._thread:
            self._thread.join()
        atexit.unregister(self.stop)

    def join(self) -> None:
        """Wait until the session has ended."""
        while not self._ended.wait(1.0):  # so that Ctrl-C comes through on every system
            pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def _run(self) -> None:
        wait = 0.0
        try:
            while self._carry_out(wait):
                wait = self._turn()
        finally:
            self._ended.set()
            self._simulation.close()
            self._cancel_waiting()

    def _turn(self) -> float:
        """One turn; the seconds until the next one is due."""
        before = self._simulation.frame
        try:
            wait = self._simulation.turn()
        except Exception as error:  # of a calculator, which can be anything; the session lives
            self._simulation.paused = True
            self._simulation.message = f"{type(error).__name__}: {error} Paused."
            wait = 0.0
        simulation, shown = self._simulation, self._status
        stopped = (simulation.paused, simulation.message) != (shown["paused"], shown["message"])
        changed = stopped or time.monotonic() - self._status_at > STATUS_EVERY
        if changed or simulation.frame is not before:
            self._publish(changed=changed)
        return wait

    def _carry_out(self, wait: float) -> bool:
        """Carry out the commands that are there, or come within so many seconds; False to end."""
        done = 0
        while done < 1000:
            try:
                if done or wait <= 0:
                    command, future = self._queue.get_nowait()
                else:
                    command, future = self._queue.get(timeout=None if isinf(wait) else wait)
            except queue.Empty:
                break
            if command is None:
                return False
            done += 1
            try:
                self._simulation.apply(command)
            except Exception as error:
                future.set_exception(error)
            else:
                future.set_result(None)
        if done:
            self._publish(changed=True)
        return True

    def _cancel_waiting(self) -> None:
        while True:
            try:
                _, future = self._queue.get_nowait()
            except queue.Empty:
                return
            future.set_exception(RuntimeError(ENDED))

    def _require_running(self) -> None:
        if not self.running:
            raise RuntimeError(ENDED)

    def _publish(self, *, changed: bool) -> None:
        """Show the frame; and the status, where it may have changed."""
        simulation = self._simulation
        self._mailbox.put(simulation.frame)
        if changed:
            self._status, self._status_at = self._new_status(), time.monotonic()
        if simulation.uncertain_of >= 0 and (
            self._uncertainty is None or self._uncertainty[1] is not simulation.uncertainty
        ):
            self._uncertainty = simulation.uncertain_of, simulation.uncertainty
        self.hub.publish(self._view())

    def _view(self) -> View:
        return View(self._mailbox.latest, self._status, getattr(self, "_uncertainty", None))

    def _new_status(self) -> dict[str, Any]:
        simulation = self._simulation
        conditions = simulation.conditions
        return {
            "mode": conditions.mode,
            "paused": simulation.paused,
            "temperature_K": conditions.temperature_K,
            "friction": conditions.friction * units.fs,
            "pressure": conditions.pressure_au / units.GPa,
            "timestep": conditions.timestep / units.fs,
            "speed": simulation.speed,
            "steps_per_second": simulation.steps_per_second,
            "recording": None if simulation.recording is None else str(simulation.recording),
            "history": len(simulation.history) - 1,
            "warnings": [
                {"text": excess.text, "atoms": list(map(int, excess.atoms))} for excess in simulation.warnings
            ],
            "message": simulation.message,
        }


def _indices(index: int | Sequence[int]) -> tuple[int, ...]:
    found = np.atleast_1d(np.asarray(index))
    if found.size == 0 or not np.issubdtype(found.dtype, np.integer):
        raise ValueError(f"The atoms are {index!r}; one index or several are needed.")
    return tuple(found.tolist())
