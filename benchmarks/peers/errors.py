"""Errors of a peer's predictions, for the scripts that train peers."""

import numpy as np


def errors(frames, predictions) -> dict[str, float]:
    """MAE and RMSE: energies in meV/atom, forces in meV/Angstrom.

    Args:
        frames: structures with labels.
        predictions: of each one energy in eV and forces (atoms, 3) in eV/Angstrom.
    """
    energies, forces = [], []
    for atoms, (energy, force) in zip(frames, predictions, strict=True):
        energies.append(1e3 * (energy - atoms.get_potential_energy()) / len(atoms))
        forces.append(1e3 * (force - atoms.get_forces()))
    found = {"energy": np.array(energies), "forces": np.concatenate(forces)}
    return {f"{name}_mae": float(np.abs(error).mean()) for name, error in found.items()} | {
        f"{name}_rmse": float(np.sqrt((error**2).mean())) for name, error in found.items()
    }
