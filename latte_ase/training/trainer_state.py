"""State of a training between epochs, which determines its further course."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import optax

from latte_ase.training.history import Row
from latte_ase.training.step import OptimiserState


@dataclass
class TrainerState:
    """State of a training between epochs.

    Attributes:
        optimiser: parameters, their average, and the state of the optimiser.
        best_trained: averaged parameters of the best epoch.
        best: criterion and number of the best epoch.
        history: one row per epoch.
    """

    optimiser: OptimiserState
    best_trained: Any
    best: dict[str, Any] = field(default_factory=lambda: {"criterion": np.inf, "epoch": 0})
    history: list[Row] = field(default_factory=list)

    @classmethod
    def start(cls, trained, transformation: optax.GradientTransformation) -> TrainerState:
        """State before the first epoch, with the initial values of the trained parameters."""
        return cls(OptimiserState(trained, trained, transformation.init(trained), np.zeros((), np.int32)), trained)

    @property
    def epoch(self) -> int:
        """Number of finished epochs."""
        return len(self.history)

    @property
    def epochs_without_improvement(self) -> int:
        """Number of epochs since the best one."""
        return self.epoch - self.best["epoch"]

    def judge(self, row: Row) -> None:
        """Record an epoch, and its parameters if it is the best one."""
        self.history.append(row)
        if row["criterion"] < self.best["criterion"]:
            self.best = {"criterion": row["criterion"], "epoch": row["epoch"]}
            self.best_trained = self.optimiser.average
