"""Committee of a potential: alternative parameters whose predictions give an uncertainty.

    sigma = factor * sqrt( SUM_k (y_k - mean_k y)^2 / (members - 1) ),   y: energy, site energy, force component

Members differ in all parameters (an ensemble) or in some of them, such as those of the last layer.  The factors are
calibrated on frames that the potential was not trained on (`latte_ase.uncertainty`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

ASKED = 4
"""Number of members that are asked whether a structure is inside the domain of use: enough to tell ten times the usual
spread from the usual one, at a quarter of the price of sixteen."""


class Uncertainty(NamedTuple):
    """Standard deviations of the predictions of a potential for a structure.

    Attributes:
        energy: standard deviation of the total energy in eV.
        energies: (atoms,) standard deviations of the site energies in eV.
        forces: (atoms, 3) standard deviations of the force components in eV/Angstrom.
    """

    energy: float
    energies: np.ndarray
    forces: np.ndarray

    @property
    def of_atoms(self) -> np.ndarray:
        """Standard deviation (atoms,) of each force vector, the norm over its components, in eV/Angstrom."""
        return np.linalg.norm(self.forces, axis=1)

    @property
    def worst(self) -> float:
        """Largest standard deviation of a force vector, in eV/Angstrom."""
        return float(self.of_atoms.max())


@dataclass(frozen=True)
class Committee:
    """Members of a committee, and the calibration of their spread.

    Attributes:
        members: some of the parameters of the potential, nested dictionaries with the same names; every array has a
            leading axis (members, ...).
        energy_factor: ratio of the standard deviation of energies to the spread of the members.
        forces_factor: ratio of the standard deviation of forces to the spread of the members.
        shifts: (members, species) difference of E0 of each member to that of the potential in eV; None for none.
        limit: largest standard deviation of a force vector in the domain of use in eV/Angstrom, from the first `asked` members;
            None where it is not known.

    Raises:
        ValueError: fewer than two members, or numbers that do not fit together.
    """

    members: Any
    energy_factor: float = 1.0
    forces_factor: float = 1.0
    shifts: np.ndarray | None = None
    limit: float | None = None

    def __post_init__(self):
        sizes = {np.shape(a)[0] for a in jax.tree.leaves(self.members)}
        if len(sizes) != 1 or min(sizes) < 2:
            raise ValueError(f"A committee has arrays for {sorted(sizes)} members; it needs two or more, all as many.")
        if self.shifts is not None and len(self.shifts) != len(self):
            raise ValueError(f"A committee of {len(self)} members has shifts of E0 for {len(self.shifts)}.")
        if not all(np.isfinite(f) and f >= 0 for f in (self.energy_factor, self.forces_factor)):
            raise ValueError(
                f"The factors of a committee are {self.energy_factor} and {self.forces_factor}; finite ones, not below "
                "0, are needed."
            )
        if self.limit is not None and not (np.isfinite(self.limit) and self.limit > 0):
            raise ValueError(f"The limit of a committee is {self.limit}; a finite number above 0 is needed, or None.")

    @property
    def asked(self) -> int:
        """Number of members that are asked whether a structure is inside the domain of use, the first ones."""
        return min(ASKED, len(self))

    def __len__(self):
        return len(jax.tree.leaves(self.members)[0])

    def params(self, params: dict[str, Any], member: int) -> dict[str, Any]:
        """Parameters of a member: those of the potential, with those of the member in their place."""
        return replaced(params, jax.tree.map(lambda a: a[member], self.members))

    def uncertainty(self, energies: np.ndarray, forces: np.ndarray) -> Uncertainty:
        """Standard deviations from the predictions of the members.

        Args:
            energies: (members, atoms) site energies in eV, of all members or of some.
            forces: (members, atoms, 3) forces in eV/Angstrom.
        """
        energies, forces = np.asarray(energies, np.float64), np.asarray(forces, np.float64)
        return Uncertainty(
            self.energy_factor * float(energies.sum(axis=1).std(ddof=1)),
            self.energy_factor * energies.std(axis=0, ddof=1),
            self.deviations(forces),
        )

    def deviations(self, forces: np.ndarray) -> np.ndarray:
        """Standard deviations (atoms, 3) of the force components in eV/Angstrom, from forces (members, atoms, 3)."""
        return self.forces_factor * np.asarray(forces, np.float64).std(axis=0, ddof=1)


def replaced(params, part):
    """Nested dictionaries `params`, with the arrays of `part` in place of those with the same names."""
    if not isinstance(part, dict):
        return part
    return {name: replaced(branch, part[name]) if name in part else branch for name, branch in params.items()}
