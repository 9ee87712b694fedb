"""The option --key: what a file calls its labels."""

from __future__ import annotations

from typing import Annotated

import typer

Keys = Annotated[
    list[str] | None,
    typer.Option(
        "--key",
        metavar="LABEL=NAME",
        help="name of a label (energy, forces, stress, virial) where it is not ASE's, such as energy=REF_energy; may be given several times",
    ),
]
"""Type of the option."""


def label_keys(given: list[str] | None) -> dict[str, str] | None:
    """Names by label, as `latte_ase.io.labels.with_keys` takes them; None where none is given.

    Raises:
        ValueError: a text is not LABEL=NAME, or a label has two names.
    """
    keys: dict[str, str] = {}
    for text in given or ():
        name, _, key = text.partition("=")
        if not name or not key:
            raise ValueError(f"--key is {text!r}; LABEL=NAME is needed, such as --key energy=REF_energy.")
        if name in keys:
            raise ValueError(f"--key names {name} twice, {keys[name]!r} and {key!r}; a label has one name.")
        keys[name] = key
    return keys or None
