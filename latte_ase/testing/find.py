"""Calculators named by import path, MODULE:CLASS."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any


def is_import_path(text: str) -> bool:
    """Whether a text has the form package.module:Name and is not the name of a file."""
    return re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", text) is not None and not Path(text).exists()


def load_calculator(text: str) -> Any:
    """Calculator that MODULE:CLASS returns when called without arguments.

    Modules are also looked for in the working folder.

    Args:
        text: import path, such as "ase.calculators.emt:EMT".

    Raises:
        ImportError: there is no such module.
        ValueError: the module has no such name, or the call needs arguments.
    """
    module_name, _, name = text.partition(":")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"There is no module {error.name!r}, which {text} needs. Install it, or run in the folder that holds it."
        ) from error
    make = getattr(module, name, None)
    if make is None:
        raise ValueError(f"Module {module_name} has no {name!r}. Give MODULE:CLASS, such as ase.calculators.emt:EMT.")
    try:
        return make()
    except TypeError as error:
        raise ValueError(
            f"{text} cannot be called without arguments ({error}). Write a function that makes the calculator, and "
            "give MODULE:FUNCTION."
        ) from error
