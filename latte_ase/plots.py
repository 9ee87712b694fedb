"""Pictures: parity of an evaluation, history of a training.  Needs the extra `plots`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from latte_ase.evaluation import Evaluation


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


def _finish(figure, path):
    if path is not None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150)
    return figure
