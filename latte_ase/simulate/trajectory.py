"""Trajectories that a run writes: files of ASE's formats that grow, and ASE's own writers."""

from __future__ import annotations

import os
from io import IOBase
from pathlib import Path
from typing import Any, Protocol

from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import iread, write
from ase.io.formats import UnknownFileTypeError, filetype, get_ioformat
from ase.io.trajectory import TrajectoryReader, TrajectoryWriter

from latte_ase.io.atomic_file import link_target


class Computed(Protocol):
    """What a frame is written with, such as a `run.Snapshot`."""

    def results(self) -> dict[str, Any]:
        """Results as those of a calculator."""
        ...


class Trajectory(Protocol):
    """Growing sequence of frames.

    Attributes:
        frames: number of frames so far.
    """

    frames: int

    def write(self, atoms: Atoms, snapshot: Computed) -> None:
        """Append a frame with its results."""
        ...

    def close(self) -> None:
        """Close what was opened here."""
        ...


def open_trajectory(target: Any, *, keep: int = 0) -> Trajectory:
    """The trajectory of a run.

    Args:
        target: path, whose suffix is that of the format: .traj (also without a suffix), .extxyz, .xyz, or another one to which
            ASE can append; or an object whose method `write` takes ase.Atoms, such as `ase.io.Trajectory(PATH, "w")`, which
            stays open.
        keep: number of frames of a file to keep; later ones are dropped.

    Raises:
        ValueError: ASE cannot append to this format; the file has fewer frames than `keep`; frames are to be kept of an object.
        TypeError: neither a path nor such an object.
    """
    if isinstance(target, (str, os.PathLike)):
        path = Path(target).expanduser()
        path.parent.mkdir(parents=True, exist_ok=True)
        name = _format_of(path)
        return TrajectoryFile(path, keep=keep) if name == "traj" else AppendedFile(path, name, keep=keep)
    if not callable(getattr(target, "write", None)) or isinstance(target, IOBase):
        raise TypeError(
            f"trajectory is a {type(target).__name__}; a path is needed, or a writer of ASE such as ase.io.Trajectory(PATH, 'w')."
        )
    if keep:
        raise ValueError(
            f"The checkpoint was written when the trajectory had {keep} frames, and frames that came later cannot be dropped "
            f"from a {type(target).__name__}. Resume with the path of the trajectory, or without one."
        )
    return Writer(target)


def _format_of(path: Path) -> str:
    if not path.suffix:
        return "traj"
    if path.suffix in (".xyz", ".extxyz"):
        return "extxyz"
    try:
        name = filetype(str(path), read=False)
        appends = name == "traj" or get_ioformat(name).can_append
    except UnknownFileTypeError:
        appends = False
    if not appends:
        raise ValueError(
            f"trajectory is {path}, but ASE cannot append frames to a {path.suffix} file. Write .traj or .extxyz, and convert it "
            "afterwards (ase convert)."
        )
    return name


def _with_results(atoms: Atoms, snapshot: Computed) -> Atoms:
    frame = atoms.copy()
    frame.calc = SinglePointCalculator(frame, **snapshot.results())
    return frame


class TrajectoryFile:
    """File in ASE's own format.

    Args:
        path: the file; it is replaced, unless `keep`.
        keep: number of frames of it to keep.
    """

    def __init__(self, path: Path, *, keep: int = 0):
        if keep:
            _cut(path, keep)
        self._file = TrajectoryWriter(path, "a" if keep else "w")
        self.frames = keep

    def write(self, atoms: Atoms, snapshot: Computed) -> None:
        """Append a frame with its results."""
        self._file.write(_with_results(atoms, snapshot))
        self.frames += 1

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _cut(path: Path, keep: int) -> None:
    """Drop the frames after the first `keep`: written after the checkpoint by a run that was killed."""
    path, found = link_target(path), 0
    if path.is_file():
        with TrajectoryReader(path) as old:
            found = len(old)
    _require_frames(path, found, keep)
    if found > keep:
        temporary = path.with_name(path.name + ".cut")
        with TrajectoryReader(path) as old, TrajectoryWriter(temporary, "w") as new:
            for k in range(keep):
                new.write(old[k])
        os.replace(temporary, path)


def _require_frames(path: Path, found: int, keep: int) -> None:
    if found < keep:
        raise ValueError(
            f"The checkpoint was written when the trajectory {path} had {keep} frames; it has {found}. Resume with "
            "the trajectory of that run, or without one."
        )


class AppendedFile:
    """File in a format of ASE to which frames are appended, such as extended XYZ.

    Args:
        path: the file; it is replaced, unless `keep`.
        name: ASE's name of the format.
        keep: number of frames of it to keep.
    """

    def __init__(self, path: Path, name: str, *, keep: int = 0):
        path = link_target(path)
        self._path, self._name, self.frames = path, name, keep
        kept: list[Atoms] = []
        if keep:
            frames = iread(path, slice(0, keep), format=name) if path.is_file() else iter(())
            kept = list(frames)
            _require_frames(path, len(kept), keep)
        temporary = path.with_name(f"{path.stem}.cut{path.suffix}")  # some formats look at the suffix
        temporary.unlink(missing_ok=True)
        for frame in kept:
            write(temporary, frame, format=name, append=True)
        if kept:
            os.replace(temporary, path)
        else:
            path.unlink(missing_ok=True)

    def write(self, atoms: Atoms, snapshot: Computed) -> None:
        """Append a frame with its results."""
        write(self._path, _with_results(atoms, snapshot), format=self._name, append=True)
        self.frames += 1

    def close(self) -> None:
        """Nothing is open between frames."""


class Writer:
    """Object of the user that writes frames.

    Args:
        target: its method `write` takes ase.Atoms.
    """

    def __init__(self, target: Any):
        self._target, self.frames = target, 0

    def write(self, atoms: Atoms, snapshot: Computed) -> None:
        """Append a frame with its results."""
        self._target.write(_with_results(atoms, snapshot))

    def close(self) -> None:
        """It stays open: it is the user's."""
