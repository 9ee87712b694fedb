"""Members: further parameters of a potential, whose disagreement says how far to trust it.

    sigma = factor * sqrt( SUM_k (y_k - mean_k y)^2 / (members - 1) ),   y: energy, site energy, force component

Members differ in all parameters (an ensemble) or in some, such as the last layer; whoever computes with them need
not know.  The factors come from frames that no training saw (`latte_ase.uncertainty`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np


class Uncertainty(NamedTuple):
    """One standard deviation of what a potential predicts for a structure.

    Attributes:
        energy: of the total energy, in eV.
        energies: (atoms,) of the site energies, in eV.
        forces: (atoms, 3) of the components of the forces, in eV/Angstrom.
    """

    energy: float
    energies: np.ndarray
    forces: np.ndarray

    @property
    def of_atoms(self) -> np.ndarray:
        """(atoms,) of each force as a vector: the root of the sum over its components, in eV/Angstrom."""
        return np.linalg.norm(self.forces, axis=1)

    @property
    def worst(self) -> float:
        """Of the least certain force, in eV/Angstrom."""
        return float(self.of_atoms.max())


@dataclass(frozen=True)
class Committee:
    """Members of a potential, and what their spread is worth.

    Attributes:
        members: part of the potential's parameters, nested dictionaries with the same names; every array has one
            more axis in front, (members, ...).
        energy_factor, forces_factor: standard deviation per spread.
        shifts: (members, species) in eV, by how much E0 of each member is above the potential's; None: not at all.
    """

    members: Any
    energy_factor: float = 1.0
    forces_factor: float = 1.0
    shifts: np.ndarray | None = None

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

    def __len__(self):
        return len(jax.tree.leaves(self.members)[0])

    def params(self, params, member: int):
        """The parameters of a member: `params` with what belongs to it in their place."""
        return replaced(params, jax.tree.map(lambda a: a[member], self.members))

    def uncertainty(self, energies, forces) -> Uncertainty:
        """From what the members say.

        Args:
            energies: (members, atoms) site energies in eV.
            forces: (members, atoms, 3) in eV/Angstrom.
        """
        energies, forces = np.asarray(energies, np.float64), np.asarray(forces, np.float64)
        return Uncertainty(
            self.energy_factor * float(energies.sum(axis=1).std(ddof=1)),
            self.energy_factor * energies.std(axis=0, ddof=1),
            self.forces_factor * forces.std(axis=0, ddof=1),
        )


def replaced(params, part):
    """Nested dictionaries `params` with the arrays of `part` in place of those of the same names."""
    if not isinstance(part, dict):
        return part
    return {name: replaced(branch, part[name]) if name in part else branch for name, branch in params.items()}
