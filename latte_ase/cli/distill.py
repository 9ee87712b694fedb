"""`latte-ase distill`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def distill(
    seeds: Annotated[
        Path,
        typer.Argument(
            help="structures like those that the model is for: a file of any format of ase.io.read, or smiles:CCO"
        ),
    ],
    teacher: Annotated[
        str, typer.Option(help="MODULE:FACTORY, which makes an ASE calculator, such as ase.calculators.emt:EMT")
    ],
    out: Annotated[Path, typer.Option(help="folder to write")],
    temperatures: Annotated[str, typer.Option(help="of the dynamics, in K, separated by commas")] = "300,600,1000",
    pressures: Annotated[
        str,
        typer.Option(help="of the dynamics of periodic seeds, in GPa, separated by commas; none for constant volume"),
    ] = "0",
    labels: Annotated[int, typer.Option(help="labels of the teacher at most")] = 600,
    hours: Annotated[float | None, typer.Option(help="no round begins after this time")] = None,
    size: Annotated[str, typer.Option(help="small, medium or large")] = "medium",
    epochs: Annotated[int | None, typer.Option(help="of the last training; default those of the preset")] = None,
    workers: Annotated[int | None, typer.Option(help="labelling processes; default one per core")] = None,
    timeout: Annotated[float, typer.Option(help="seconds that one label may take")] = 600.0,
    retries: Annotated[int, typer.Option(help="further attempts at a label that failed")] = 1,
    level: Annotated[str | None, typer.Option(help="level of theory, for the card; default TEACHER")] = None,
    seed: Annotated[int, typer.Option(help="seed of all random numbers")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="go on with the distillation in OUT")] = False,
):
    """Train a model that imitates an ASE calculator."""
    import os
    import sys

    from latte_ase.distillation import distill as run

    sys.path.insert(0, os.getcwd())  # a factory may stand in a file beside the seeds
    training: dict[str, Any] = {"seed": seed} | ({} if epochs is None else {"epochs": epochs})
    result = run(
        teacher,
        seeds,
        out=out,
        temperatures_K=_numbers("temperatures", temperatures),
        pressures_GPa=_numbers("pressures", pressures),
        labels=labels,
        hours=float("inf") if hours is None else hours,
        size=size,
        workers=workers,
        timeout=timeout,
        retries=retries,
        level_of_theory=level,
        resume=resume,
        **training,
    )
    print(result.table)
    print(f"model: {result.path}")


def _numbers(name: str, text: str) -> list[float]:
    """Numbers between commas; raises ValueError."""
    if text == "none":
        return []
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        raise ValueError(f"--{name} is {text!r}; numbers separated by commas are needed, such as 300,600.") from None
