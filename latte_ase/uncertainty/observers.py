"""Observers for the dynamics and optimisers of ASE that stop, or write the structure, where the uncertainty is large.

Examples:
    >>> dynamics.attach(uncertainty.stop_above(atoms, 0.5), interval=10)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ase import Atoms
from ase.io import write

from latte_ase.calculator import LatteCalculator
from latte_ase.model.committee import Uncertainty


class TooUncertain(RuntimeError):
    """Error of `stop_above`: the uncertainty exceeds the threshold.

    Attributes:
        uncertainty: uncertainty of the structure at which the run stopped.
    """

    def __init__(self, message: str, uncertainty: Uncertainty):
        super().__init__(message)
        self.uncertainty = uncertainty


def stop_above(atoms: Atoms, threshold: float) -> Callable[[], None]:
    """Observer that raises `TooUncertain` where the largest uncertainty of a force exceeds a threshold.

    Args:
        atoms: the structure that moves, with a `LatteCalculator` whose model has a committee.
        threshold: largest allowed `Uncertainty.worst` in eV/Angstrom.

    Returns:
        Function without arguments, for `dynamics.attach`.

    Raises:
        ValueError: the calculator has no committee, or `threshold` is not positive.
    """
    calc = _calculator(atoms, threshold)

    def observe():
        found = calc.get_uncertainty(atoms)
        if found.worst > threshold:
            raise TooUncertain(_describe(found, threshold), found)

    return observe


def log_above(atoms: Atoms, threshold: float, file: str | Path) -> Callable[[], None]:
    """Observer that appends the structure to a file where the largest uncertainty of a force exceeds a threshold.

    Args:
        atoms: as for `stop_above`.
        threshold: as for `stop_above`.
        file: extended XYZ file, with `Uncertainty.worst` in eV/Angstrom as `info["uncertainty"]`; an input of
            `latte-ase select`.

    Returns:
        Function without arguments, for `dynamics.attach`.

    Raises:
        ValueError: the calculator has no committee, or `threshold` is not positive.
    """
    calc, path = _calculator(atoms, threshold), Path(file).expanduser()
    path.parent.mkdir(parents=True, exist_ok=True)  # at once, so that a run does not fail here later

    def observe():
        found = calc.get_uncertainty(atoms)
        if found.worst > threshold:
            frame = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
            frame.info["uncertainty"] = found.worst
            write(path, frame, format="extxyz", append=True)

    return observe


def _calculator(atoms, threshold) -> LatteCalculator:
    calc = atoms.calc
    if not isinstance(calc, LatteCalculator) or calc.engine.potential.committee is None:
        raise ValueError(
            f"The calculator of these atoms is {_whose(calc)}; a LatteCalculator is needed, of a model with a "
            "committee (latte_ase.uncertainty.last_layer)."
        )
    if not threshold > 0:
        raise ValueError(f"threshold is {threshold}; a positive number in eV/Angstrom is needed.")
    return calc


def _whose(calc) -> str:
    kind = type(calc).__name__
    return f"a {kind} of a model without a committee" if isinstance(calc, LatteCalculator) else kind


def _describe(found: Uncertainty, threshold: float) -> str:
    atom = int(found.of_atoms.argmax())
    return (
        f"The force on atom {atom} is uncertain by {found.worst:.3g} eV/Angstrom; {threshold:g} are allowed. Label this "
        "structure and fine-tune (latte_ase.finetune), or allow more."
    )
