"""Result of a distillation: the model, its rounds, and how it compares with its teacher."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latte_ase.calculator import LatteCalculator
from latte_ase.distillation.comparison import Comparison
from latte_ase.model.potential import Potential


@dataclass(frozen=True)
class Distilled:
    """Result of a distillation.

    Attributes:
        potential: the model, with a committee.
        rounds: a row per round: labels, tasks that failed, runs of the pupil and how many of them left its domain, and its errors
            on new labels before it learned them.
        comparison: pupil and teacher on structures of the pupil's own dynamics, which it did not learn.
        path: the model file.
    """

    potential: Potential
    rounds: list[dict[str, Any]]
    comparison: Comparison
    path: Path

    @property
    def calculator(self) -> LatteCalculator:
        """Calculator of the model."""
        return LatteCalculator(self.potential)

    @property
    def table(self) -> str:
        """Rounds, errors by element, and times, as text."""
        return "\n".join([*_rounds(self.rounds), "", *_errors(self.comparison), "", *_times(self.comparison)])


def _rounds(rows: list[dict[str, Any]]) -> list[str]:
    lines = ["round  labels  failed  left domain  forces of new labels, RMSE (meV/Å)"]
    for row in rows:
        left = f"{row['stopped']} of {row['runs']}" if "runs" in row else ""
        error = f"{row['new_forces_rmse']:.0f}" if "new_forces_rmse" in row else ""
        lines.append(f"{row['round']:5d}  {row['labels']:6d}  {row['failed']:6d}  {left:>11s}  {error:>6s}")
    return lines


def _errors(compared: Comparison) -> list[str]:
    m = compared.evaluation.metrics
    lines = [
        f"On {len(compared.evaluation.energy)} structures of its own dynamics: energies {m['energy_mae']:.1f} MAE, "
        f"{m['energy_rmse']:.1f} RMSE meV/atom; forces {m['forces_mae']:.0f} MAE, {m['forces_rmse']:.0f} RMSE meV/Å."
    ]
    for symbol, row in compared.evaluation.per_element.items():
        lines.append(f"  {symbol:2s} forces {row['forces_mae']:.0f} MAE, {row['forces_rmse']:.0f} RMSE meV/Å")
    return lines


def _times(compared: Comparison) -> list[str]:
    teacher, pupil = compared.seconds
    return [
        f"Energy and forces of {compared.atoms} atoms on one core: teacher {1e3 * teacher:.3g} ms, pupil {1e3 * pupil:.3g} ms, "
        f"{teacher / pupil:.3g} times as fast."
    ]
