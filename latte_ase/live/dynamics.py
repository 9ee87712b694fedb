"""What a live simulation needs of a dynamics; `device_dynamics` and `ase_dynamics` are two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from ase import Atoms

from latte_ase.live.conditions import Conditions
from latte_ase.simulate.pull import Pull


class Now(NamedTuple):
    """The last finished step.

    Attributes:
        step: its number since the dynamics began.
        positions: (atoms, 3) Angstrom.
        cell: (3, 3) Angstrom.
        momenta: (atoms, 3) in ASE's unit.
        results: of the calculator, without the pulls.
    """

    step: int
    positions: np.ndarray
    cell: np.ndarray
    momenta: np.ndarray
    results: dict[str, Any]


class Excess(NamedTuple):
    """A way in which the structure is outside the domain of use of the model.

    Attributes:
        text: what it is.
        atoms: indices.
    """

    text: str
    atoms: tuple[int, ...]


class Dynamics(Protocol):
    """Dynamics that can be steered.

    Attributes:
        name: of the calculator.
    """

    name: str

    def begin(self, atoms: Atoms, conditions: Conditions) -> None:
        """Start from atoms with their momenta and FixAtoms, without pulls.

        Raises:
            ValueError, NotImplementedError: the structure does not suit; what ran before is as it was.
            BlewUp: its forces are not finite or too large; likewise.
        """
        ...

    def steer(self, conditions: Conditions) -> None:
        """Go on under other conditions, of the same mode."""
        ...

    def hold(self, pulls: Sequence[Pull]) -> None:
        """Pull from now on so, and no longer as before.

        Raises:
            ValueError: there are too many.
        """
        ...

    def advance(self, steps: int) -> None:
        """Go on by some steps.

        Raises:
            BlewUp: the last good step is there.
        """
        ...

    def now(self) -> Now:
        """The last finished step."""
        ...

    def uncertainty(self) -> np.ndarray | None:
        """Standard deviations (atoms,) of the force vectors in eV/Angstrom; None where nobody knows."""
        ...

    def excesses(self) -> list[Excess]:
        """Ways in which the structure is outside the domain of use."""
        ...


def require_cell(atoms: Atoms, conditions: Conditions) -> None:
    """Raise ValueError where the mode changes the cell and cannot."""
    if conditions.mode != "npt":
        return
    if not atoms.pbc.all():
        raise ValueError(
            f"The mode 'npt' scales the cell, but pbc is {atoms.pbc.tolist()}. Only a structure that is periodic along all "
            "three directions has a pressure; take another mode."
        )
    if atoms.constraints:
        raise ValueError(
            "The mode 'npt' scales the cell and all positions with it, but atoms are fixed. Free them, or take another mode."
        )
