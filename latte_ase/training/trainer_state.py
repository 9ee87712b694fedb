"""How far a training has come: all that decides its further numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import optax

from latte_ase.training.history import Row
from latte_ase.training.step import OptimiserState


@dataclass
class TrainerState:
    """How far a training has come.

    Attributes:
        optimiser: parameters, their average, and the state of the optimiser.
        best_trained: the averaged parameters of the best epoch.
        best: its criterion and number.
        history: one row per epoch.
    """

    optimiser: OptimiserState
    best_trained: Any
    best: dict[str, Any] = field(default_factory=lambda: {"criterion": np.inf, "epoch": 0})
    history: list[Row] = field(default_factory=list)

    @classmethod
    def start(cls, trained, transformation: optax.GradientTransformation) -> TrainerState:
        """The state before the first epoch, from the parameters that are to be trained."""
        return cls(OptimiserState(trained, trained, transformation.init(trained), np.zeros((), np.int32)), trained)

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return len(self.history)

    @property
    def epochs_without_improvement(self) -> int:
        """Epochs done since the best one."""
        return self.epoch - self.best["epoch"]

    def judge(self, row: Row) -> None:
        """Note an epoch, and keep its parameters if they are the best."""
        self.history.append(row)
        if row["criterion"] < self.best["criterion"]:
            self.best = {"criterion": row["criterion"], "epoch": row["epoch"]}
            self.best_trained = self.optimiser.average
