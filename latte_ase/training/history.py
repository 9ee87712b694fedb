"""History of a training: a row for every epoch, shown as a progress bar and written as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from latte_ase.io.atomic_file import write_atomically
from latte_ase.io.progress import progress_bar
from latte_ase.training.config import TrainingConfig
from latte_ase.training.loss import Errors, criterion, metrics

Row = dict[str, float]
"""Epoch, `loss.criterion`, errors of training and validation set (meV/atom, meV/Angstrom), seconds."""
Report = Callable[[Row, int], None]
"""A function that is called after every epoch with its row and the number of epochs."""


def row(epoch: int, trained: Errors, checked: Errors, training: TrainingConfig) -> Row:
    """A row of the history, without the seconds.

    Args:
        epoch: its number, from 1.
        trained, checked: error sums of the training set and of the validation set.
        training: for the weights of the criterion.

    Raises:
        FloatingPointError: the validation error is no longer a number.
    """
    value = float(criterion(checked, (training.energy_weight, training.force_weight, training.stress_weight)))
    if not np.isfinite(value):
        raise FloatingPointError(
            f"The validation error is {value} after epoch {epoch}. Lower the learning rate (now {training.rate}) "
            "and look for frames with absurd forces."
        )
    found = {"epoch": epoch, "criterion": value}
    found |= {f"train_{name}": error for name, error in metrics(trained).items()}
    return found | {f"valid_{name}": error for name, error in metrics(checked).items()}


def write_metrics(path: Path, history: list[Row]) -> None:
    """Write a history as CSV, in one step; raises as `write_atomically`."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in history for name in row)))
    writer.writeheader()
    writer.writerows(history)
    write_atomically(path, text.getvalue().encode())


@contextmanager
def epoch_bar(title: str, epochs: int) -> Iterator[Report]:
    """Show a bar over epochs with the errors of the last one, and yield the `Report` that moves it."""
    with progress_bar(title, epochs) as move:
        yield lambda row, _: move(
            int(row["epoch"]),
            f"valid {row['valid_energy_rmse']:.2f} meV/atom {row['valid_forces_rmse']:.1f} meV/Å "
            f"(train {row['train_forces_rmse']:.1f})",
        )
