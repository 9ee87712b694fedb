"""`latte-ase train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train(
    config: Annotated[Path, typer.Argument(help="TOML file, such as models/latte-si-large/recipe.toml")],
    data: Annotated[Path | None, typer.Option(help="folder of the data; default: that of CONFIG")] = None,
    out: Annotated[Path | None, typer.Option(help="folder to write; default: the model's name")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="continue from the checkpoint in OUT")] = False,
):
    """Train a model from scratch."""
    from dataclasses import replace

    from latte_ase.training import load_config
    from latte_ase.training import train as run

    settings = load_config(config)
    if data is not None:
        settings = replace(settings, folder=data.expanduser())
    result = run(settings, out=out, resume=resume)
    _report_best(result.history)
    print(f"model: {result.path}")


def _report_best(history):
    best = min(history, key=lambda row: row["criterion"])
    print(
        f"best epoch {best['epoch']}: energy {best['valid_energy_mae']:.2f} / {best['valid_energy_rmse']:.2f} meV/atom, "
        f"forces {best['valid_forces_mae']:.1f} / {best['valid_forces_rmse']:.1f} meV/Å (MAE / RMSE)"
    )
