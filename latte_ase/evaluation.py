"""Errors of a model on labelled structures: overall and per element."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
        energy: (frames, 2) label and prediction in eV/atom; (0, 2) where they were not compared.
        forces: (atoms, 3, 2) label and prediction in eV/Angstrom, all frames in a row; or (0, 3, 2).
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
    model: Any,
    frames: Any,
    *,
    labels: Sequence[str] = ("energy", "forces"),
    device=None,
    dtype: str | None = None,
    progress: Callable | None = None,
) -> Evaluation:
    """Compare a model with labels.

    Args:
        model: a `LatteCalculator`, or what `latte_ase.load_model` takes.
        frames: file or iterable of ase.Atoms with labels in their calculators.
        labels: "energy", "forces" or both: what to compare.
        device, dtype: as for `latte_ase.predict`.
        progress: wraps the iteration over frames, for example `rich.progress.track`.

    Returns:
        `Evaluation`.

    Raises:
        ValueError: a frame without one of the labels.
    """
    structures = dataset.read_frames(frames)
    dataset.require_labels(structures, labels, str(frames) if isinstance(frames, str) else "the set")
    energies: list[Any] = []
    forces: list[Any] = []
    results = predict(model, structures, device=device, dtype=dtype, progress=progress)
    numbers: list[Any] = []
    for atoms, result in zip(structures, results, strict=True):
        if "energy" in labels:
            energies.append((dataset.label(atoms, "energy") / len(atoms), result.energy / len(atoms)))
        if "forces" in labels:
            forces.append(np.stack([dataset.label(atoms, "forces"), np.asarray(result.forces)], axis=-1))
            numbers.append(atoms.numbers)
    return Evaluation(
        np.reshape(energies, (-1, 2)),
        np.concatenate([np.zeros((0, 3, 2)), *forces]),
        np.concatenate([np.zeros(0, int), *numbers]),
    )
