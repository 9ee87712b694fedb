"""Command line `latte-ase`: its commands, one module each, and the display of their errors.

Modules of commands import JAX, ASE and NumPy inside their functions, so that `latte-ase --help` is fast.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import typer

from latte_ase.cli.check import check
from latte_ase.cli.distill import distill
from latte_ase.cli.evaluate import evaluate
from latte_ase.cli.finetune import finetune
from latte_ase.cli.info import info
from latte_ase.cli.live import live
from latte_ase.cli.models import models
from latte_ase.cli.run import run
from latte_ase.cli.select import select
from latte_ase.cli.train import train
from latte_ase.cli.uncertainty import uncertainty

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Machine-learned potentials for ASE: list, inspect, evaluate, train, fine-tune, distil and check models.",
)

COMMANDS = (models, info, evaluate, train, finetune, distill, uncertainty, select, live, check)
"""Commands in the order of `latte-ase --help`."""

MISTAKES = (ValueError, TypeError, OSError, ImportError, FloatingPointError, RuntimeError, MemoryError)
"""Errors that are shown by their message alone."""


def plain_errors(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command, whose errors in what the user gave end with one line on standard error, without a traceback."""

    @functools.wraps(command)
    def wrapped(*args, **kwargs):
        try:
            return command(*args, **kwargs)
        except MISTAKES as error:
            print(f"latte-ase: {error}", file=sys.stderr)
            raise typer.Exit(1) from error

    return wrapped


for _command in COMMANDS:
    app.command()(plain_errors(_command))
# ASE reads the options of this one, also --help
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})(
    plain_errors(run)
)


def main() -> None:
    """Run the command line, with the cache of compiled functions."""
    from latte_ase.io.compilation_cache import prepare_command

    prepare_command()
    app()
