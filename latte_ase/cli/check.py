"""`latte-ase check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def check(
    calculator: Annotated[str, typer.Argument(help="model (name, file, folder, hub address), or MODULE:CLASS")],
    json: Annotated[Path | None, typer.Option(help="where to write the report as JSON")] = None,
    dtype: Annotated[
        str | None, typer.Option(help="float64 (default) or float32: of a model, and of the tolerances")
    ] = None,
    elements: Annotated[str | None, typer.Option(help="such as Cu,Au; default: what the calculator knows")] = None,
    structures: Annotated[
        Path | None, typer.Option(help="structures to check on: a file of any format of ase.io.read, or smiles:CCO")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="a property; may be given several times")] = None,
):
    """Check the physical consistency of an ASE calculator and its conformance to ASE; exit status 1 if a check fails.

    MODULE:CLASS, such as ase.calculators.emt:EMT, is called without arguments.
    """
    from rich.console import Console

    from latte_ase.io.frames import read_frames
    from latte_ase.testing import check_calculator
    from latte_ase.testing.find import is_import_path, load_calculator

    if is_import_path(calculator):
        calc = load_calculator(calculator)
    else:
        from latte_ase import LatteCalculator

        calc = LatteCalculator.from_pretrained(calculator, dtype=dtype or "float64")
    if json is not None:
        json = json.expanduser()
        json.parent.mkdir(parents=True, exist_ok=True)
    frames = None if structures is None else read_frames(structures)
    with Console(stderr=True).status("") as status:
        report = check_calculator(
            calc,
            frames,
            elements=None if elements is None else elements.replace(",", " ").split(),
            precision=dtype,
            only=only,
            progress=lambda name: status.update(f"checking: {name}"),
        )
    Console().print(report, soft_wrap=True)
    if json is not None:
        json.write_text(report.to_json())
        print(f"report: {json}")
    if not report.passed:
        raise typer.Exit(1)
