"""`latte` as a name in ASE: among its plugins, in `get_calculator_class`, and for `ase run`.

ASE reads the entry point `ase.plugins` (see pyproject.toml) for its list of plugins.  Its command
`ase run` knows only what was registered in the same process, so `latte-ase run` registers and then
hands over to `ase run latte`.
"""

from __future__ import annotations

NAME = "latte"

__all__ = ["register", "run"]


def register() -> None:
    """Make `ase.calculators.calculator.get_calculator_class("latte")` work; repeated calls do nothing."""
    from ase.calculators.calculator import external_calculators, register_calculator_class

    from latte_ase.calculator import LatteCalculator

    if NAME not in external_calculators:
        register_calculator_class(NAME, LatteCalculator)


def run(arguments: list[str]) -> None:
    """ASE's command `ase run latte` with these further arguments.

    Args:
        arguments: for example ["si.xyz", "-p", "potential=latte-si", "-f", "0.01"].
    """
    from ase.cli.main import main

    register()
    main(prog="latte-ase", args=["run", NAME, *arguments])


def __getattr__(name: str):
    # ASE's plugin class is young and may move: only ASE itself, reading the entry point, needs it.
    if name == "__ase_plugins__":
        from ase._4.plugins.plugin import CalculatorPlugin

        implementation = "latte_ase.calculator.LatteCalculator"
        return {CalculatorPlugin(name=NAME, citation="arXiv:2405.08137", implementation=implementation)}
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
