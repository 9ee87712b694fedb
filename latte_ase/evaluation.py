"""Errors of a model on labelled structures: overall and per element."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from latte_ase import dataset
from latte_ase.prediction import predict


@dataclass(frozen=True)
class Evaluation:
    """Labels beside predictions.

    Attributes:
        energy: (frames, 2) label and prediction in eV/atom.
        forces: (atoms, 3, 2) label and prediction in eV/Angstrom, all frames in a row.
        numbers: (atoms,) atomic numbers of those atoms.
    """

    energy: np.ndarray
    forces: np.ndarray
    numbers: np.ndarray

    @property
    def metrics(self) -> dict[str, float]:
        """MAE and RMSE: energy in meV/atom, forces in meV/Angstrom."""
        e, f = _difference(self.energy), _difference(self.forces)
        return {
            "energy_mae": _mae(e),
            "energy_rmse": _rmse(e),
            "forces_mae": _mae(f),
            "forces_rmse": _rmse(f),
        }

    @property
    def per_element(self) -> dict[str, dict[str, float]]:
        """MAE and RMSE of force components in meV/Angstrom, by symbol."""
        difference = _difference(self.forces)
        return {
            chemical_symbols[z]: {
                "atoms": int((self.numbers == z).sum()),
                "forces_mae": _mae(difference[self.numbers == z]),
                "forces_rmse": _rmse(difference[self.numbers == z]),
            }
            for z in np.unique(self.numbers)
        }


def _difference(pairs):
    return 1e3 * (pairs[..., 1] - pairs[..., 0])


def _mae(x):
    return float(np.abs(x).mean()) if x.size else float("nan")


def _rmse(x):
    return float(np.sqrt((x**2).mean())) if x.size else float("nan")


def evaluate(
    model: Any, frames: Any, *, device=None, dtype: str | None = None, progress: Callable | None = None
) -> Evaluation:
    """Compare a model with labels.

    Args:
        model: a `LatteCalculator`, or what `latte_ase.load_model` takes.
        frames: file or iterable of ase.Atoms with energies and forces in their calculators.
        device, dtype: as for `latte_ase.predict`.
        progress: wraps the iteration over frames, for example `rich.progress.track`.

    Returns:
        `Evaluation`.

    Raises:
        ValueError: a frame without energy or forces.
    """
    structures = dataset.read_frames(frames)
    dataset.require_labels(structures, ("energy", "forces"), str(frames) if isinstance(frames, str) else "the set")
    energies: list[Any] = []
    forces: list[Any] = []
    results = predict(model, structures, device=device, dtype=dtype, progress=progress)
    for atoms, result in zip(structures, results, strict=True):
        energies.append((dataset.label(atoms, "energy") / len(atoms), result.energy / len(atoms)))
        forces.append(np.stack([dataset.label(atoms, "forces"), np.asarray(result.forces)], axis=-1))
    return Evaluation(
        np.array(energies), np.concatenate(forces), np.concatenate([atoms.numbers for atoms in structures])
    )
