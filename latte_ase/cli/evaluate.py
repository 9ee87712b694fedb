"""`latte-ase evaluate`."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated

import typer

from latte_ase.cli.label_keys import Keys, label_keys


def evaluate(
    model: Annotated[str, typer.Argument(help="name, file, folder or hub address")],
    file: Annotated[Path, typer.Argument(help="labelled structures, any format of ase.io.read")],
    plot: Annotated[Path | None, typer.Option(help="where to write the parity plot")] = Path("parity.png"),
    labels: Annotated[str, typer.Option(help="labels to compare, of energy and forces")] = "energy,forces",
    key: Keys = None,
    dtype: Annotated[str, typer.Option(help="float32 or float64")] = "float32",
):
    """Print errors of a model on labelled structures, per element, and draw a parity plot."""
    from rich.console import Console
    from rich.progress import track
    from rich.table import Table

    from latte_ase import evaluation, plots

    compared = tuple(labels.replace(",", " ").split())
    show = functools.partial(track, description="evaluating")
    result = evaluation.evaluate(model, file, labels=compared, keys=label_keys(key), dtype=dtype, progress=show)
    m = result.metrics
    table = Table("", "MAE", "RMSE", "unit", title=f"{model} on {file.name}")
    if len(result.energy):
        table.add_row(
            f"energy of {len(result.energy)} frames", f"{m['energy_mae']:.3f}", f"{m['energy_rmse']:.3f}", "meV/atom"
        )
    if len(result.forces):
        table.add_row("forces", f"{m['forces_mae']:.2f}", f"{m['forces_rmse']:.2f}", "meV/Å")
    for symbol, e in result.per_element.items():
        table.add_row(f"forces on {symbol}", f"{e['forces_mae']:.2f}", f"{e['forces_rmse']:.2f}", "meV/Å")
    Console().print(table)
    if plot is not None and len(result.energy) and len(result.forces):
        plots.parity(result, plot)
        print(f"parity plot: {plot}")
