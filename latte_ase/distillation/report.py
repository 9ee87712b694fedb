"""Report of a distillation: a card of the model and a figure."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from latte_ase.distillation.plan import DistillationPlan
from latte_ase.distillation.result import Distilled
from latte_ase.io.atomic_file import write_atomically

ELEMENT_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000")


def write_report(result: Distilled, plan: DistillationPlan, folder: Path) -> None:
    """Write README.md and report.png into the folder of a distillation."""
    figure(result, folder / "report.png")
    write_atomically(folder / "README.md", card(result, plan).encode())


def card(result: Distilled, plan: DistillationPlan) -> str:
    """Card of the model in Markdown."""
    metadata, potential = result.potential.metadata, result.potential
    pressures = ", ".join(f"{p:g}" for p in plan.pressures_GPa) or "constant volume"
    return f"""# {metadata["name"]}

Imitates {metadata["level_of_theory"]} for {" ".join(potential.elements)}; made by `latte_ase.distill`, preset {plan.size}.

Every error of the teacher is one of this model too, and the errors below come on top. It knows structures like the seeds, moved
at {", ".join(f"{t:g}" for t in plan.temperatures_K)} K and {pressures} GPa; elsewhere the calculator warns, and raises with `strict=True`.

```
{result.table}
```

![Forces of pupil and teacher, rounds, and curves](report.png)

`labels.db` holds all labels (`held=1`: held out), `judge.db` those of the comparison, `labels-failures.db` what the teacher could not label.
"""


def figure(result: Distilled, path: Path):
    """Figure with forces by element, energies, rounds, and the curves that there are.

    Args:
        result: of `distill`.
        path: file to save the figure to.

    Returns:
        The matplotlib figure.
    """
    from matplotlib import pyplot  # imported here because it takes half a second

    compared = result.comparison
    curves = (
        (_path, compared.path),
        (_equation, compared.equation),
        (_pairs, compared.pairs),
        (_vibrations, compared.vibrations),
    )
    curves = [(draw, values) for draw, values in curves if values is not None]
    columns = -(-(3 + len(curves)) // 2)
    figure, axes = pyplot.subplots(2, columns, figsize=(4.5 * columns, 7.5), layout="constrained")
    for draw, axis in zip((_forces, _energies, _rounds), axes.flat, strict=False):
        draw(axis, result)
    for (draw, values), axis in zip(curves, axes.flat[3:], strict=False):
        draw(axis, values)
    for axis in axes.flat[3 + len(curves) :]:
        axis.axis("off")
    figure.savefig(path, dpi=150)
    pyplot.close(figure)
    return figure


def _forces(axis, result: Distilled) -> None:
    evaluation = result.comparison.evaluation
    for (symbol, row), z, colour in zip(
        evaluation.per_element.items(), np.unique(evaluation.numbers), ELEMENT_COLOURS * 20, strict=False
    ):
        values = evaluation.forces[evaluation.numbers == z].reshape(-1, 2)
        label = f"{symbol}: RMSE {row['forces_rmse']:.0f} meV/Å"
        axis.plot(*values.T, ".", ms=2, alpha=0.4, color=colour, label=label, rasterized=True)
    limits = [evaluation.forces.min(), evaluation.forces.max()]
    axis.plot(limits, limits, color="0.3", lw=0.8, zorder=0)
    axis.set(xlabel="force, teacher (eV/Å)", ylabel="force, pupil (eV/Å)", title="Dynamics of the pupil")
    axis.legend(frameon=False, markerscale=5, fontsize=8)


def _energies(axis, result: Distilled) -> None:
    error = 1e3 * np.diff(result.comparison.evaluation.energy, axis=1).ravel()
    axis.plot(np.arange(len(error)), error, "o", ms=4, color=ELEMENT_COLOURS[0])
    axis.axhline(0, color="0.3", lw=0.8)
    axis.set(xlabel="structure", ylabel="energy, pupil - teacher (meV/atom)", title="The same structures")


def _rounds(axis, result: Distilled) -> None:
    rows = [row for row in result.rounds if "new_forces_rmse" in row]
    if not rows:
        axis.axis("off")
        return
    numbers = [row["round"] for row in rows]
    axis.plot(numbers, [row["new_forces_rmse"] for row in rows], "o-", color=ELEMENT_COLOURS[0])
    axis.set(
        xlabel="round", ylabel="force RMSE of new labels (meV/Å)", title="Before they were learned", ylim=(0, None)
    )
    axis.set_xticks(numbers)
    other = axis.twinx()
    other.plot(numbers, [100 * row["stopped"] / row["runs"] for row in rows], "s--", color=ELEMENT_COLOURS[1])
    other.set(ylabel="runs that left the domain (%)", ylim=(0, 105))
    axis.yaxis.label.set_color(ELEMENT_COLOURS[0])
    other.yaxis.label.set_color(ELEMENT_COLOURS[1])


def _equation(axis, equation: np.ndarray) -> None:
    volumes, teacher, pupil = equation.T
    lowest = teacher.min()
    axis.plot(volumes, 1e3 * (teacher - lowest), "o", color="0.3", label="teacher")
    axis.plot(volumes, 1e3 * (pupil - lowest), "-", color=ELEMENT_COLOURS[0], label="pupil")
    axis.set(xlabel="volume (Å³/atom)", ylabel="energy (meV/atom)", title="Equation of state")
    axis.legend(frameon=False)


def _vibrations(axis, vibrations: np.ndarray) -> None:
    axis.plot(vibrations[:, 0], vibrations[:, 1], "o", ms=4, color=ELEMENT_COLOURS[0])
    limits = [min(0, vibrations.min()), vibrations.max()]
    axis.plot(limits, limits, color="0.3", lw=0.8, zorder=0)
    axis.set(xlabel="teacher (meV)", ylabel="pupil (meV)", title="Vibrations at the pupil's minimum")


def _path(axis, path: np.ndarray) -> None:
    coordinate, teacher, pupil = path.T
    lowest = teacher.min()
    axis.plot(coordinate, 1e3 * (teacher - lowest), "o", color="0.3", label="teacher")
    axis.plot(coordinate, 1e3 * (pupil - lowest), "-", color=ELEMENT_COLOURS[0], label="pupil")
    turned = coordinate[-1] > 10
    axis.set(
        xlabel="angle (°)" if turned else "length (Å)",
        ylabel="energy (meV)",
        title="A part of the molecule turned about a bond" if turned else "A bond of the molecule stretched",
    )
    axis.legend(frameon=False)


def _pairs(axis, pairs: np.ndarray) -> None:
    distances, teacher, pupil = pairs.T
    axis.plot(distances, teacher, "o", ms=3, color="0.3", label="teacher")
    axis.plot(distances, pupil, "-", color=ELEMENT_COLOURS[0], label="pupil")
    axis.set(xlabel="distance (Å)", ylabel="g(r)", title="The same short dynamics of both", ylim=(0, None))
    axis.legend(frameon=False)
