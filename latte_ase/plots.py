"""Figures: parity plots of an evaluation, learning curves of a training, and both for fine-tuning."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from latte_ase.evaluation import Evaluation

ERROR_UNITS = {"energy": "meV/atom", "forces": "meV/Å"}
"""Units of errors; values are drawn in eV."""


def parity(evaluation: Evaluation, path=None):
    """Parity plot of energies and forces: predictions against labels.

    Args:
        evaluation: result of `latte_ase.evaluate`.
        path: file to save the figure to; None does not save it.

    Returns:
        The matplotlib figure.
    """
    figure, axes = _subplots(4.2)
    numbers = evaluation.metrics
    for axis, (name, small) in zip(axes, ERROR_UNITS.items(), strict=True):
        values, unit = getattr(evaluation, name).reshape(-1, 2), small.removeprefix("m")
        low, high = values.min(), values.max()
        axis.plot([low, high], [low, high], color="0.6", lw=1, zorder=0)
        axis.plot(*values.T, ".", ms=2 if name == "forces" else 5, alpha=0.4, color="#0072B2", rasterized=True)
        axis.set(xlabel=f"{name}, label ({unit})", ylabel=f"{name}, model ({unit})")
        axis.set_title(f"MAE {numbers[f'{name}_mae']:.3g}, RMSE {numbers[f'{name}_rmse']:.3g} {small}", fontsize=10)
        axis.set_aspect("equal", adjustable="datalim")
    return _finish(figure, path)


def history(rows: list[dict[str, float]], path=None):
    """Learning curves: errors of training and validation against the epoch.

    Args:
        rows: `history` of the result of a training.
        path: file to save the figure to; None does not save it.

    Returns:
        The matplotlib figure.
    """
    figure, axes = _subplots(3.6)
    for axis, name in zip(axes, ERROR_UNITS, strict=True):
        _curves(axis, rows, name)
    return _finish(figure, path)


def finetuning(history: list[dict[str, float]], stages: Mapping[str, Evaluation], path=None):
    """Learning curves of fine-tuning, and a parity plot of the held-out frames before and after it.

    The parity plot shows forces, or energies where there are no forces.

    Args:
        history: `history` of a `FineTuned`.
        stages: evaluations of the held-out frames by stage, of a `FineTuned`.
        path: file to save the figure to; None does not save it.

    Returns:
        The matplotlib figure.
    """
    figure, (left, right) = _subplots(4.2)
    name = "forces" if stages["fine-tuned"].forces.size else "energy"
    _curves(left, history, name)
    # the change of E0 moves energies by electronvolts, forces not at all
    before = next(stage for stage in stages if stage.startswith("E0")) if name == "energy" else "base model"
    for stage, colour in ((before, "#999999"), ("fine-tuned", "#0072B2")):
        if stage in stages:
            values = getattr(stages[stage], name).reshape(-1, 2)
            label = f"{stage}: MAE {stages[stage].metrics[f'{name}_mae']:.3g} {ERROR_UNITS[name]}"
            right.plot(*values.T, ".", ms=2 if name == "forces" else 5, alpha=0.4, color=colour, label=label)
    labels = getattr(stages["fine-tuned"], name)[..., 0]
    limits = [labels.min(), labels.max()]
    right.plot(limits, limits, color="0.2", lw=0.8, zorder=0)
    unit = ERROR_UNITS[name].removeprefix("m")
    right.set(xlabel=f"{name}, label ({unit})", ylabel=f"{name}, model ({unit})")
    right.legend(frameon=False, markerscale=4)
    return _finish(figure, path)


def _subplots(height: float):
    """Figure with two axes side by side."""
    from matplotlib import pyplot  # imported here because it takes half a second

    return pyplot.subplots(1, 2, figsize=(9, height), layout="constrained")


def _curves(axis, rows: list[dict[str, float]], name: str) -> None:
    """Draw the RMSE of training and validation against the epoch."""
    epochs = [row["epoch"] for row in rows]
    for part, colour in (("train", "#999999"), ("valid", "#D55E00")):
        axis.semilogy(epochs, [row[f"{part}_{name}_rmse"] for row in rows], label=part, color=colour)
    axis.set(xlabel="epoch", ylabel=f"{name} RMSE ({ERROR_UNITS[name]})")
    axis.legend(frameon=False)


def _finish(figure, path):
    if path is not None:
        path = Path(path).expanduser()
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150)
    return figure
