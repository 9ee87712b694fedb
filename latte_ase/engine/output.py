"""Results of one structure, in the order of its atoms and in the conventions of ASE; the stress from the virial."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from ase.stress import full_3x3_to_voigt_6_stress


class Output(NamedTuple):
    """Energies, forces and virial of a structure.

    Attributes:
        energies: (atoms,) float64 eV, with E0.
        forces: (atoms, 3) float64 eV/Angstrom.
        virial: (3, 3) float64 eV, SUM g (x) D.
    """

    energies: np.ndarray
    forces: np.ndarray
    virial: np.ndarray

    @property
    def energy(self) -> float:
        """Total energy in eV, summed in float64."""
        return float(self.energies.sum())

    def results(self, volume: float) -> dict[str, Any]:
        """ASE's results: energy, free_energy, energies, forces, and stress where the volume in Angstrom^3 is not 0."""
        energy = self.energy
        found = {"energy": energy, "free_energy": energy, "energies": self.energies, "forces": self.forces}
        return found | ({"stress": stress(self.virial, volume)} if volume else {})


def stress(virial, volume) -> np.ndarray:
    """Stress (W + W^T) / 2V = (1/V) dE/d(strain) in eV/Angstrom^3.

    Args:
        virial: W (..., 3, 3) in eV.
        volume: V in Angstrom^3.

    Returns:
        (..., 6), Voigt order xx yy zz yz xz xy.
    """
    return full_3x3_to_voigt_6_stress(virial) / volume
