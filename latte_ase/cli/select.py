"""`latte-ase select`."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated

import typer


def select(
    model: Annotated[str, typer.Argument(help="name, file, folder or hub address; with a committee")],
    file: Annotated[Path, typer.Argument(help="trajectory, any format of ase.io.read; FILE@INDEX for a part of it")],
    count: Annotated[int, typer.Option(help="how many structures to choose")],
    out: Annotated[Path, typer.Option(help="extended XYZ file to write")],
):
    """Select the structures of a trajectory to label next: uncertain ones that differ from each other."""
    from ase.io import write
    from rich.progress import track

    from latte_ase import uncertainty as package
    from latte_ase.io.frames import read_frames

    out = out.expanduser()
    out.parent.mkdir(parents=True, exist_ok=True)
    frames = read_frames(file)
    chosen = package.select(model, frames, count, progress=functools.partial(track, description="structures"))
    picked = []
    for index, sigma in chosen:
        atoms = frames[index].copy()
        atoms.info |= {"frame": index, "uncertainty": sigma}
        picked.append(atoms)
        print(f"frame {index}: a force is uncertain by {sigma:.3g} eV/Å")
    write(out, picked, format="extxyz")
    print(f"{len(picked)} of {len(frames)} structures: {out}")
