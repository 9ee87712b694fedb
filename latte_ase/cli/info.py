"""`latte-ase info`."""

from __future__ import annotations

from typing import Annotated

import typer


def info(model: Annotated[str, typer.Argument(help="name, file, folder or hub address")]):
    """Show the hyper-parameters and metadata of a model."""
    from rich import print_json

    from latte_ase import load_model
    from latte_ase.io.hyperparameters import architecture_to_json

    potential = load_model(model)
    energies = dict(zip(potential.elements, potential.reference_energies.tolist(), strict=True))
    print_json(
        data={
            "architecture": architecture_to_json(potential.architecture),
            "reference_energies": energies,
            "committee": 0 if potential.committee is None else len(potential.committee),
            **potential.metadata,
        }
    )
