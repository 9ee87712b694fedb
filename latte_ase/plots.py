"""Pictures: parity of an evaluation, history of a training, both of a fine-tuning.  Needs the extra `plots`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from latte_ase.evaluation import Evaluation

if TYPE_CHECKING:
    from latte_ase.finetuning import FineTuned


UNITS = {"energy": "meV/atom", "forces": "meV/Å"}
"""Of errors; values are drawn in eV."""


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
    for axis, (name, small) in zip(axes, UNITS.items(), strict=True):
        values, unit = getattr(evaluation, name).reshape(-1, 2), small.removeprefix("m")
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
    for axis, name in zip(axes, UNITS, strict=True):
        _curves(axis, rows, name)
    return _finish(figure, path)


def finetuning(result: FineTuned, path=None):
    """Errors against the epoch, and held-out frames before and after against their labels: forces, or energies alone.

    Args:
        result: of `latte_ase.finetune`.
        path: where to save the picture; None does not.

    Returns:
        The matplotlib figure.
    """
    figure, (left, right) = _pyplot().subplots(1, 2, figsize=(9, 4.2), layout="constrained")
    name = "forces" if result.evaluations["fine-tuned"].forces.size else "energy"
    _curves(left, result.history, name)
    # the change of E0 moves energies by electronvolts, forces not at all
    before = "E0 re-fitted" if name == "energy" else "base model"
    for stage, colour in ((before, "#999999"), ("fine-tuned", "#0072B2")):
        if stage in result.evaluations:
            values = getattr(result.evaluations[stage], name).reshape(-1, 2)
            label = f"{stage}: MAE {result.errors[stage][f'{name}_mae']:.3g} {UNITS[name]}"
            right.plot(*values.T, ".", ms=2 if name == "forces" else 5, alpha=0.4, color=colour, label=label)
    labels = getattr(result.evaluations["fine-tuned"], name)[..., 0]
    limits = [labels.min(), labels.max()]
    right.plot(limits, limits, color="0.2", lw=0.8, zorder=0)
    unit = UNITS[name].removeprefix("m")
    right.set(xlabel=f"{name}, label ({unit})", ylabel=f"{name}, model ({unit})")
    right.legend(frameon=False, markerscale=4)
    return _finish(figure, path)


def _curves(axis, rows: list[dict[str, float]], name: str) -> None:
    """RMSE against the epoch, training and validation."""
    epochs = [row["epoch"] for row in rows]
    for part, colour in (("train", "#999999"), ("valid", "#D55E00")):
        axis.semilogy(epochs, [row[f"{part}_{name}_rmse"] for row in rows], label=part, color=colour)
    axis.set(xlabel="epoch", ylabel=f"{name} RMSE ({UNITS[name]})")
    axis.legend(frameon=False)


def _finish(figure, path):
    if path is not None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150)
    return figure
