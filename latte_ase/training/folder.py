"""The folder of a training: a checkpoint and a table of errors after every epoch, a model at the end.

A model that is there stays until the new one takes its place.  Its metadata say of which training it is the end, so that
a checkpoint beside it is known to be finished or not.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from latte_ase.io.atomic_file import remove_leftovers
from latte_ase.io.checkpoint_file import CheckpointFile
from latte_ase.io.model_file import ModelFileError, flatten, read_metadata
from latte_ase.io.pretrained import FILE
from latte_ase.training.history import Row, write_metrics
from latte_ase.training.trainer_state import TrainerState

CHECKPOINT, METRICS = "checkpoint.safetensors", "metrics.csv"
MARK = "end_of_training"
"""In the metadata of a model: of which training it is the end."""
CHECKPOINT_FILE = CheckpointFile(
    kind="training",
    version=2,
    after_failed_write="Training then goes on from the last checkpoint with resume=True (--resume).",
    otherwise="train into another folder",
)


@dataclass(frozen=True)
class TrainingFolder:
    """Folder that a training writes to.

    Attributes:
        path: the folder.
        identity: `identity.checksum` of what has to be the same for a training to go on.
        epochs: how many there are to be.
        resume: whether to go on from the checkpoint that is there.
    """

    path: Path
    identity: str
    epochs: int
    resume: bool = False

    def open(self, start: TrainerState) -> TrainerState:
        """State of the checkpoint in the folder, or the initial one; temporary files of a killed run are removed.

        Raises:
            ValueError: the checkpoint is damaged, or of another training.
        """
        for name in (CHECKPOINT, METRICS, FILE):
            remove_leftovers(self.path / name)
        if not self.resume:
            return start
        found, identity = _load(self.path / CHECKPOINT, start)
        if identity != self.identity:
            raise ValueError(
                f"The checkpoint {self.path / CHECKPOINT} was written by a training on other frames, with other settings or from "
                "another model. Resume with those that wrote it, or train into another folder."
            )
        write_metrics(self.path / METRICS, found.history)  # a kill between the two files left it a row behind
        return found

    def save(self, state: TrainerState) -> None:
        """Write the checkpoint, then the table; raises as `write_atomically`."""
        facts = {"history": state.history, "best": state.best, "epochs": self.epochs, "identity": self.identity}
        CHECKPOINT_FILE.save(self.path / CHECKPOINT, flatten(_arrays(state)), facts)
        write_metrics(self.path / METRICS, state.history)

    def mark(self, history: list[Row]) -> dict[str, Any]:
        """Metadata for the model that this training ends with, by which `check_folder` knows it."""
        return {MARK: _mark(self.identity, len(history), self.epochs)}


def _mark(identity: str, done: int, epochs: int) -> dict[str, Any]:
    return {"identity": identity, "done": done, "epochs": epochs}


def _arrays(state: TrainerState):
    return {"optimiser": state.optimiser, "best": state.best_trained}


def _load(path: Path, like: TrainerState) -> tuple[TrainerState, str]:
    """A state whose arrays have the names and shapes of those of `like`, and the identity of its training."""
    arrays, facts = CHECKPOINT_FILE.load(path)
    needed = {name: np.shape(array) for name, array in flatten(_arrays(like)).items()}
    for name in sorted(needed.keys() | arrays.keys()):
        found = arrays[name].shape if name in arrays else None
        if found != needed.get(name):
            raise ValueError(
                f"The checkpoint {path} holds other arrays than this configuration makes: {name} has the shape {found}, "
                f"{needed.get(name)} is needed. Resume with the configuration that wrote it, or train into another folder."
            )
    tree = jax.tree.unflatten(jax.tree.structure(_arrays(like)), [arrays[name] for name in needed])
    return TrainerState(tree["optimiser"], tree["best"], facts["best"], facts["history"]), facts["identity"]


def check_folder(folder: Path, *, resume: bool) -> None:
    """Check that a training may begin or be resumed in a folder.

    Raises:
        FileExistsError: it is to begin, and the checkpoint there is of a training that has not come to its end, which is a
            model file: an older model beside it is of another training.
        FileNotFoundError: it is to go on, and there is no checkpoint.
        NotADirectoryError: there is a file of that name.
    """
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(
            f"{folder} is a file; a folder is needed to train into. Name another one as out (--out)."
        )
    path, model = folder / CHECKPOINT, folder / FILE
    if resume and not path.is_file():
        if model.is_file():
            raise FileNotFoundError(
                f"There is nothing to resume: {model} is finished. Use it, or train into another folder."
            )
        raise FileNotFoundError(f"There is no checkpoint in {folder} to resume from. Train without resume first.")
    if not resume and path.is_file():
        facts = CHECKPOINT_FILE.facts(path)
        done, epochs = len(facts["history"]), facts["epochs"]
        if _mark_of(model) != _mark(facts["identity"], done, epochs):
            raise FileExistsError(
                f"{folder} holds a training after {done} of {epochs} epochs that has not written its model. Go on with "
                f"resume=True (--resume), take another folder, or delete {path}."
            )


def _mark_of(model: Path) -> dict[str, Any] | None:
    """The training that a model file is the end of; None without such a file."""
    try:
        return read_metadata(model).get(MARK)
    except (FileNotFoundError, ModelFileError):
        return None
