"""Pictures: parity of an evaluation, history of a training, both of a fine-tuning.  Needs the extra `plots`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from latte_ase.evaluation import Evaluation

if TYPE_CHECKING:
    from latte_ase.finetuning import FineTuned


def _pyplot() -> Any:
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError("Plots need matplotlib: pip install 'latte_ase[plots]'.") from error
    return pyplot


def parity(evaluation: Evaluation, path=None):
    """Predicted against labelled energies and forces.

    Args:
        evaluation: from `latte_ase.evaluate`.
        path: where to save the picture; None does not.

    Returns:
        The matplotlib figure.
    """
    figure, axes = _pyplot().subplots(1, 2, figsize=(9, 4.2), layout="constrained")
    numbers = evaluation.metrics
    panels = (
        ("energy", evaluation.energy.reshape(-1, 2), "eV/atom", "meV/atom"),
        ("forces", evaluation.forces.reshape(-1, 2), "eV/Å", "meV/Å"),
    )
    for axis, (name, values, unit, small) in zip(axes, panels, strict=True):
        low, high = values.min(), values.max()
        axis.plot([low, high], [low, high], color="0.6", lw=1, zorder=0)
        axis.plot(*values.T, ".", ms=2 if name == "forces" else 5, alpha=0.4, color="#0072B2", rasterized=True)
        axis.set(xlabel=f"{name}, label ({unit})", ylabel=f"{name}, model ({unit})")
        axis.set_title(f"MAE {numbers[f'{name}_mae']:.3g}, RMSE {numbers[f'{name}_rmse']:.3g} {small}", fontsize=10)
        axis.set_aspect("equal", adjustable="datalim")
    return _finish(figure, path)


def history(rows: list[dict[str, float]], path=None):
    """Errors against the epoch, training and validation.

    Args:
        rows: `history` of a training result.
        path: where to save the picture; None does not.

    Returns:
        The matplotlib figure.
    """
    figure, axes = _pyplot().subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    epochs = [row["epoch"] for row in rows]
    for axis, name, unit in zip(axes, ("energy", "forces"), ("meV/atom", "meV/Å"), strict=True):
        for part, colour in (("train", "#999999"), ("valid", "#D55E00")):
            axis.semilogy(epochs, [row[f"{part}_{name}_rmse"] for row in rows], label=part, color=colour)
        axis.set(xlabel="epoch", ylabel=f"{name} RMSE ({unit})")
        axis.legend(frameon=False)
    return _finish(figure, path)


def finetuning(result: FineTuned, path=None):
    """Errors against the epoch, and forces of held-out frames before and after against their labels.

    Args:
        result: of `latte_ase.finetune`.
        path: where to save the picture; None does not.

    Returns:
        The matplotlib figure.
    """
    figure, (left, right) = _pyplot().subplots(1, 2, figsize=(9, 4.2), layout="constrained")
    epochs = [row["epoch"] for row in result.history]
    for part, colour in (("train", "#999999"), ("valid", "#D55E00")):
        left.semilogy(epochs, [row[f"{part}_forces_rmse"] for row in result.history], label=part, color=colour)
    left.set(xlabel="epoch", ylabel="forces RMSE (meV/Å)")
    left.legend(frameon=False)
    shown = [stage for stage in result.evaluations if stage != "E0 re-fitted"]  # it moves energies alone
    for stage, colour in zip(shown, ("#999999", "#0072B2")[-len(shown) :], strict=True):
        forces = result.evaluations[stage].forces.reshape(-1, 2)
        label = f"{stage}: MAE {result.errors[stage]['forces_mae']:.3g} meV/Å"
        right.plot(*forces.T, ".", ms=2, alpha=0.4, color=colour, label=label, rasterized=True)
    limits = [f(result.evaluations["fine-tuned"].forces[..., 0], initial=0) for f in (np.min, np.max)]
    right.plot(limits, limits, color="0.2", lw=0.8, zorder=0)
    right.set(xlabel="forces, label (eV/Å)", ylabel="forces, model (eV/Å)")
    right.legend(frameon=False, markerscale=4)
    return _finish(figure, path)


def _finish(figure, path):
    if path is not None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150)
    return figure
