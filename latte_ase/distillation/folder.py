"""Folder of a distillation: the labels, the rounds with their models, and how far it is.

OUT/labels.db             every label, see `labelling.database`
OUT/judge.db              labels for the report, on which nothing is trained
OUT/distillation.json     identity, time, and a row per finished round
OUT/rounds/1/candidates.traj   structures that the round labels
OUT/rounds/1/             checkpoint and model of its training
OUT/last/                 those of the last training
OUT/model.safetensors     the pupil, with README.md and report/
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.io import read
from ase.io.trajectory import TrajectoryWriter

from latte_ase.io.atomic_file import remove_leftovers, write_atomically
from latte_ase.io.pretrained import FILE
from latte_ase.labelling import LabelDatabase

STATE = "distillation.json"
CANDIDATES = "candidates.traj"


@dataclass
class DistillationFolder:
    """Folder that a distillation writes to; every step that is there is not done again.

    Attributes:
        path: the folder.
        identity: checksum of what must be the same for a distillation to go on.
        rounds: a row per finished round.
        seconds: time of earlier calls.
    """

    path: Path
    identity: str
    rounds: list[dict[str, Any]]
    seconds: float

    def __post_init__(self):
        self._begun = time.monotonic()
        self.labels = LabelDatabase(self.path / "labels.db")
        self.judge = LabelDatabase(self.path / "judge.db")

    @classmethod
    def open(cls, path: Path, identity: str, *, resume: bool) -> DistillationFolder:
        """The folder, new or as a stopped distillation left it.

        Raises:
            FileExistsError: it holds a distillation, and `resume` was not asked for.
            FileNotFoundError: there is nothing to resume.
            NotADirectoryError: there is a file of that name.
            ValueError: the distillation there is of another plan or other seeds.
        """
        if path.exists() and not path.is_dir():
            raise NotADirectoryError(f"{path} is a file; a folder is needed. Name another one as out (--out).")
        state = path / STATE
        if not resume:
            if state.exists():
                raise FileExistsError(
                    f"{path} holds a distillation. Go on with resume=True (--resume), take another folder, or delete it."
                )
            if (path / FILE).exists():
                raise FileExistsError(f"{path} holds a model. Take another folder as out (--out).")
            folder = cls(path, identity, [], 0.0)
            folder.save()
            return folder
        if not state.is_file():
            raise FileNotFoundError(f"There is no distillation in {path} to resume. Begin without resume.")
        remove_leftovers(state)
        found = json.loads(state.read_text())
        if found["identity"] != identity:
            raise ValueError(
                f"The distillation in {path} was begun with other seeds or another plan. Resume with those, or take another "
                "folder."
            )
        return cls(path, identity, found["rounds"], found["seconds"])

    def save(self) -> None:
        """Write how far it is."""
        facts = {"identity": self.identity, "rounds": self.rounds, "seconds": self.elapsed}
        write_atomically(self.path / STATE, json.dumps(facts, indent=1).encode())

    @property
    def elapsed(self) -> float:
        """Seconds of all calls until now."""
        return self.seconds + time.monotonic() - self._begun

    def round(self, number: int | str) -> Path:
        """Folder of a round, or of the comparison that follows."""
        return self.path / "rounds" / str(number)

    def finished(self, number: int, row: dict[str, Any]) -> None:
        """Note that a round is finished."""
        self.rounds = [*self.rounds[:number], row]
        self.save()

    def candidates(self, number: int | str) -> list[Atoms] | None:
        """Structures that a round labels, if they were chosen already."""
        path = self.round(number) / CANDIDATES
        return read(path, ":") if path.is_file() else None  # type: ignore[return-value]

    def keep_candidates(self, number: int | str, structures: Sequence[Atoms]) -> None:
        """Write the structures that a round labels, all or none."""
        path = self.round(number) / CANDIDATES
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".unfinished")
        with TrajectoryWriter(str(unfinished)) as file:
            for atoms in structures:
                file.write(atoms)
        unfinished.replace(path)
