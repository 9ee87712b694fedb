"""Registration of the calculator in ASE under the name `latte`.

ASE reads the entry point `ase.plugins` (see pyproject.toml) for its list of plugins.  Its command `ase run`
knows only calculators that were registered in the same process, so `latte-ase run` registers the calculator and
then calls `ase run latte`.
"""

from __future__ import annotations

NAME = "latte"

__all__ = ["register", "run"]


def register() -> None:
    """Register the calculator for `ase.calculators.calculator.get_calculator_class("latte")`; repeatable."""
    from ase.calculators.calculator import external_calculators, register_calculator_class

    from latte_ase.calculator import LatteCalculator

    if NAME not in external_calculators:
        register_calculator_class(NAME, LatteCalculator)


def run(arguments: list[str]) -> None:
    """Run the command `ase run latte` of ASE.

    Args:
        arguments: further arguments, for example ["si.xyz", "-p", "potential=latte-si", "-f", "0.01"].
    """
    from ase.cli.main import main

    register()
    main(prog="latte-ase", args=["run", NAME, *arguments])


def __getattr__(name: str):
    # imported here because the plugin class of ASE is new and may move; only ASE, reading the entry point, needs it
    if name == "__ase_plugins__":
        from ase._4.plugins.plugin import CalculatorPlugin

        implementation = "latte_ase.calculator.LatteCalculator"
        return {CalculatorPlugin(name=NAME, citation="arXiv:2405.08137", implementation=implementation)}
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
