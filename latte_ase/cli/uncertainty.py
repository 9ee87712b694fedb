"""`latte-ase uncertainty`."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated

import typer

from latte_ase.cli.label_keys import Keys, label_keys


def uncertainty(
    model: Annotated[str, typer.Argument(help="name, file, folder or hub address")],
    file: Annotated[Path, typer.Argument(help="the labelled structures that it was trained on")],
    held_out: Annotated[Path, typer.Option(help="labelled structures that it was not trained on")],
    out: Annotated[Path, typer.Option(help="model file to write")],
    members: Annotated[int, typer.Option(help="number of members; an uncertainty costs as many force calls")] = 16,
    key: Keys = None,
):
    """Add a committee of last layers to a model, for the uncertainty of its predictions."""
    from rich.progress import track

    from latte_ase.io.model_file import save_model
    from latte_ase.uncertainty import assess, last_layer

    out = out.expanduser()
    if out.is_dir():
        raise IsADirectoryError(f"{out} is a folder; give the name of a file, such as {out / 'certain.safetensors'}.")
    show = functools.partial(track, description="structures")
    keys = label_keys(key)
    potential = last_layer(model, file, held_out=held_out, members=members, keys=keys, progress=show)
    _print_coverage(assess(potential, held_out, keys=keys).metrics)
    print(f"model: {save_model(potential, out)}")


def _print_coverage(found: dict[str, float]):
    for name in ("energy", "forces"):
        print(
            f"{name} of the structures it was scaled by (68 % by construction): {found[f'{name}_within_1']:.0%} within one sigma, "
            f"{found[f'{name}_within_2']:.0%} within two, rank correlation {found[f'{name}_rank']:.2f}"
        )
