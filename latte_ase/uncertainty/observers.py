"""What ASE's dynamics and optimisers call while they run: stop, or keep the frame, where the model is not certain.

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
    """Raised by `stop_above`.

    Attributes:
        uncertainty: of the structure where the run stopped.
    """

    def __init__(self, message: str, uncertainty: Uncertainty):
        super().__init__(message)
        self.uncertainty = uncertainty


def stop_above(atoms: Atoms, threshold: float) -> Callable[[], None]:
    """An observer that raises `TooUncertain` where a force is less certain than `threshold`.

    Args:
        atoms: what moves, with a `LatteCalculator` of a model with a committee.
        threshold: of `Uncertainty.worst`, in eV/Angstrom.
    """
    calc = _calculator(atoms, threshold)

    def observe():
        found = calc.get_uncertainty(atoms)
        if found.worst > threshold:
            raise TooUncertain(_describe(found, threshold), found)

    return observe


def log_above(atoms: Atoms, threshold: float, file: str | Path) -> Callable[[], None]:
    """An observer that appends the structure to `file` where a force is less certain than `threshold`.

    Args:
        atoms, threshold: as for `stop_above`.
        file: extended XYZ; `info["uncertainty"]` is `Uncertainty.worst` in eV/Angstrom.  It is what
            `latte-ase select` chooses from.
    """
    calc, path = _calculator(atoms, threshold), Path(file).expanduser()
    path.parent.mkdir(parents=True, exist_ok=True)  # now, and not where a run is first in doubt

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
