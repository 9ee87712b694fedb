"""Result of fine-tuning: the model, and its errors before and after on the new data and on those of the base model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from latte_ase import plots
from latte_ase.calculator import LatteCalculator
from latte_ase.evaluation import Evaluation
from latte_ase.model.potential import Potential

HEADER = f"{'energy (meV/atom)':>22s}{'forces (meV/Å)':>22s}"


@dataclass(frozen=True)
class FineTuned:
    """Result of fine-tuning.

    Attributes:
        potential: the fine-tuned model.
        history: one row per epoch, as in training.
        evaluations: evaluations of the held-out new frames by stage: "base model", "E0 re-fitted" (or "E0 as
            given"), "fine-tuned"; the
            first is missing where the base model does not know all elements.
        base_evaluations: evaluations of held-out frames of the data of the base model, with its E0: "base model",
            "fine-tuned"; empty without `replayed`.
        path: the model file that was written, or None.
    """

    potential: Potential
    history: list[dict[str, float]]
    evaluations: dict[str, Evaluation]
    base_evaluations: dict[str, Evaluation]
    path: Path | None

    @property
    def calculator(self) -> LatteCalculator:
        """Calculator of the fine-tuned model."""
        return LatteCalculator(self.potential)

    @property
    def errors(self) -> dict[str, dict[str, float]]:
        """Metrics of the held-out new frames by stage, see `Evaluation.metrics`."""
        return {stage: evaluation.metrics for stage, evaluation in self.evaluations.items()}

    @property
    def base_errors(self) -> dict[str, dict[str, float]]:
        """Metrics of the held-out frames of the data of the base model by stage, see `Evaluation.metrics`."""
        return {stage: evaluation.metrics for stage, evaluation in self.base_evaluations.items()}

    @property
    def table(self) -> str:
        """Errors before and after, as text."""
        lines = _table("held-out frames", self.errors)
        if self.base_evaluations:
            lines += ["", *_table("base data", self.base_errors)]
        return "\n".join(lines)

    def plot(self, path=None):
        """Figure with learning curves and a parity plot before and after, see `latte_ase.plots.finetuning`."""
        return plots.finetuning(self.history, self.evaluations, path)


def _table(title: str, errors: dict[str, dict[str, float]]) -> list[str]:
    lines = [f"{title:16s}{HEADER}", f"{'':16s}{'MAE':>11s}{'RMSE':>11s}{'MAE':>11s}{'RMSE':>11s}"]
    for stage, m in errors.items():
        keys = ("energy_mae", "energy_rmse", "forces_mae", "forces_rmse")
        lines.append(f"{stage:16s}" + "".join(f"{m[k]:11.2f}" for k in keys))
    return lines
