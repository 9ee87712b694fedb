"""Files of a run: a trajectory and a log."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase import units

from latte_ase.geometry import neighbours
from latte_ase.simulate.run import Run, Snapshot
from latte_ase.simulate.trajectory import open_trajectory


class Written(NamedTuple):
    """Lengths of the files when a checkpoint was written, to which a resumed run cuts them.

    Attributes:
        frames: of the trajectory.
        log_bytes: of the log.
    """

    frames: int = 0
    log_bytes: int = 0


class Log:
    """Log with a line per frame, whose first columns are those of `ase.md.MDLogger`.

    The temperature is 2 K / (freedom kB), with the degrees of freedom that the thermostat acts on.
    With a cell follow pressure, (2 K - tr W) / 3 V, and volume.

    Args:
        path: the file, or "-" for the terminal.
        freedom: degrees of freedom.
        timestep: in ASE's unit.
        keep: bytes to keep of a file that is there; 0 replaces it.
    """

    def __init__(self, path, *, freedom: int, timestep: float, keep: int = 0):
        self._freedom, self._timestep, self._new = freedom, timestep, not keep
        self._file = sys.stdout
        if str(path) != "-":
            path = Path(path).expanduser()
            path.parent.mkdir(parents=True, exist_ok=True)
            if keep and path.is_file():
                os.truncate(path, min(keep, path.stat().st_size))
            self._file = path.open("a" if keep else "w", encoding="utf-8")

    @property
    def bytes(self) -> int:
        """Written so far; 0 for the terminal."""
        return 0 if self._file is sys.stdout else self._file.tell()

    def write(self, atoms, snapshot: Snapshot) -> None:
        """Append a line, and a heading before the first."""
        kinetic, potential, volume = (
            atoms.get_kinetic_energy(),
            snapshot.energies.sum(),
            neighbours.volume(atoms.cell.array),
        )
        if self._new:
            cell = ["P[GPa]", "V[A^3]"] if volume else []
            self._line(["Time[ps]", "Etot[eV]", "Epot[eV]", "Ekin[eV]", "T[K]", *cell])
            self._new = False
        numbers = [
            f"{snapshot.step * self._timestep / (1000 * units.fs):.4f}",
            *(f"{e:.6f}" for e in (potential + kinetic, potential, kinetic)),
            f"{2 * kinetic / (self._freedom * units.kB):.2f}",
        ]
        if volume:
            inner = (2 * kinetic - np.trace(snapshot.virial)) / (3 * volume)
            numbers += [f"{inner / units.GPa:.4f}", f"{volume:.3f}"]
        self._line(numbers)

    def _line(self, columns):
        self._file.write(f"{columns[0]:<10s}" + "".join(f" {c:>16s}" for c in columns[1:]) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not sys.stdout:
            self._file.close()


class Files:
    """Trajectory and log, either of which may be absent.

    Args:
        trajectory, log: paths or None; "-" is a log on the terminal.
        run: where it stands, for its degrees of freedom and time step.
        written: what to keep of files that are there; default: nothing.
    """

    def __init__(self, trajectory, log, run: Run, *, written: Written = Written()):  # noqa: B008 (immutable)
        self._before, self._trajectory, self._log = written, None, None
        if trajectory is not None:
            self._trajectory = open_trajectory(trajectory, keep=written.frames)
        if log is not None:
            self._log = Log(log, freedom=run.freedom, timestep=run.timestep, keep=written.log_bytes)

    def write(self, atoms, snapshot: Snapshot) -> None:
        """Record a step."""
        if self._trajectory is not None:
            self._trajectory.write(atoms, snapshot)
        if self._log is not None:
            self._log.write(atoms, snapshot)

    @property
    def written(self) -> Written:
        """What is there by now; of an absent file what was there before."""
        frames = self._before.frames if self._trajectory is None else self._trajectory.frames
        return Written(frames, self._before.log_bytes if self._log is None else self._log.bytes)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        with ExitStack() as stack:
            for file in (self._trajectory, self._log):
                if file is not None:
                    stack.callback(file.close)
