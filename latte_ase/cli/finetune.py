"""`latte-ase finetune`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from latte_ase.cli.label_keys import Keys, label_keys


def finetune(
    model: Annotated[
        list[str],
        typer.Argument(
            default_factory=list,
            metavar="[MODEL]",
            help="name, file, folder or hub address; default: the shipped model that knows all elements of FILE and is nearest to it",
        ),
    ],
    file: Annotated[Path, typer.Argument(help="labelled structures, any format of ase.io.read")],
    out: Annotated[Path, typer.Option(help="folder to write")],
    valid: Annotated[Path | None, typer.Option(help="held-out structures; default: a tenth of FILE")] = None,
    strategy: Annotated[str, typer.Option(help="full, network, last-layer or lora")] = "full",
    replayed: Annotated[
        Path | None, typer.Option(help="structures of the data of the model, which are trained on as well")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="passes over FILE; default: about 2500 steps, at least 10 passes")
    ] = None,
    energy_weight: Annotated[float | None, typer.Option(help="weight of energies in the loss; 0 for none")] = None,
    force_weight: Annotated[float | None, typer.Option(help="weight of forces in the loss; 0 for none")] = None,
    key: Keys = None,
    trust_labels: Annotated[
        bool, typer.Option("--trust-labels", help="use labels although they look as if their units were others")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="continue from the checkpoint in OUT")] = False,
):
    """Fine-tune a model on new labels; elements that it does not know are added."""
    from latte_ase.finetuning import finetune as run

    if len(model) > 1:
        raise ValueError(
            f"finetune got {len(model) + 1} arguments, {' '.join([*model, str(file)])}; a model and a file are needed."
        )
    given = {"epochs": epochs, "energy_weight": energy_weight, "force_weight": force_weight}
    training: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    result = run(
        model[0] if model else None,
        file,
        out=out,
        valid=valid,
        strategy=strategy,
        replayed=replayed,
        keys=label_keys(key),
        trust_labels=trust_labels,
        resume=resume,
        **training,
    )
    print(result.table)
    result.plot(out.expanduser() / "finetuning.png")
    print(f"model: {result.path}")
