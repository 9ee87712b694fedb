"""`latte-ase run`."""

from __future__ import annotations

import typer


def run(context: typer.Context):
    """Run `ase run` of ASE with this calculator: latte-ase run si.xyz -p potential=latte-si -f 0.01"""
    from latte_ase import ase_plugin

    ase_plugin.run(context.args)
