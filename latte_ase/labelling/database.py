"""Database of labelled structures: an `ase.db` file, to which labels are added one by one and which no kill can harm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ase import Atoms
from ase.db import connect

from latte_ase.labelling.tasks import Failure


class LabelDatabase:
    """Labelled structures of a distillation in one file of SQLite; `latte-ase train` and `ase gui` read it.

    Each row has the keys `round` and `task`, the number of the round and of the task in it, `frame`, the number of the structure
    of that task, `origin`, a text, and `held`, 1 for structures that are held out and 0 for others.

    Args:
        path: the file; a second one beside it, with `-failures` in its name, takes the tasks that failed.
    """

    def __init__(self, path: Path):
        self.path, self.failures = path, path.with_name(f"{path.stem}-failures{path.suffix}")
        path.parent.mkdir(parents=True, exist_ok=True)
        # one process writes; ASE's lock file would outlive a kill, and block the next run for ever
        self._labels: Any = connect(path, type="db", use_lock_file=False)
        self._failures: Any = connect(self.failures, type="db", use_lock_file=False)

    def add(self, frames: list[Atoms], *, round: int, task: int, origin: str, held: bool) -> None:
        """Write the structures of a task, all or none."""
        with self._labels:
            for number, atoms in enumerate(frames):
                plain = atoms.copy()
                plain.info, plain.calc = {}, atoms.calc
                keys = {"round": round, "task": task, "frame": number, "origin": origin, "held": int(held)}
                self._labels.write(plain, **keys)

    def add_failure(self, failure: Failure, *, round: int, task: int) -> None:
        """Write the structure of a task that failed, and the reason."""
        atoms = Atoms(failure.atoms.numbers, failure.atoms.positions, cell=failure.atoms.cell, pbc=failure.atoms.pbc)
        self._failures.write(atoms, round=round, task=task, data={"reason": failure.reason})

    def done(self, round: int) -> set[int]:
        """Numbers of the tasks of a round that are labelled or have failed."""
        rows = [*self._labels.select(f"round={round}"), *self._failures.select(f"round={round}")]
        return {int(row.task) for row in rows}

    def count(self, selection: str = "") -> int:
        """Number of labelled structures, of those that match a selection as `ase db` takes it."""
        return self._labels.count(selection)

    def tasks(self) -> int:
        """Number of labelled tasks."""
        return self._labels.count("frame=0")

    def frames(self, selection: str = "") -> list[Atoms]:
        """Labelled structures, with their results in a calculator and their keys in `info`."""
        found = []
        for row in self._labels.select(selection):
            atoms = row.toatoms()
            atoms.info = dict(row.key_value_pairs)
            found.append(atoms)
        return found

    def has_stress(self, selection: str = "") -> bool:
        """Whether there is a label with a stress, among those that match a selection."""
        return any(row.get("stress") is not None for row in self._labels.select(selection))

    def reasons(self, round: int) -> list[str]:
        """Why tasks of a round failed."""
        return [row.data["reason"] for row in self._failures.select(f"round={round}")]
