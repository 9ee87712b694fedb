"""Errors of a model on labelled structures: overall and per element."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from ase.stress import full_3x3_to_voigt_6_stress

from latte_ase.io.frames import label, read_frames, require_labels
from latte_ase.prediction import predict


@dataclass(frozen=True)
class Evaluation:
    """Labels beside predictions.

    Attributes:
        energy: (frames, 2) label and prediction in eV/atom; (0, 2) where they were not compared.
        forces: (atoms, 3, 2) label and prediction in eV/Angstrom, all frames in a row; or (0, 3, 2).
        stress: (frames, 6, 2) label and prediction in eV/Angstrom^3, Voigt order xx yy zz yz xz xy; or (0, 6, 2).
        numbers: (atoms,) atomic numbers of those atoms.
    """

    energy: np.ndarray
    forces: np.ndarray
    stress: np.ndarray
    numbers: np.ndarray

    @property
    def metrics(self) -> dict[str, float]:
        """MAE and RMSE: energy in meV/atom, forces in meV/Angstrom; stress, if compared, in meV/Angstrom^3."""
        compared = {"energy": self.energy, "forces": self.forces} | (
            {"stress": self.stress} if len(self.stress) else {}
        )
        errors = {name: _difference(pairs) for name, pairs in compared.items()}
        return {f"{name}_{kind}": f(error) for name, error in errors.items() for kind, f in KINDS.items()}

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


def _voigt(stress) -> np.ndarray:
    """(6,) of a stress of shape (6,) or (3, 3)."""
    stress = np.asarray(stress, float)
    return stress if stress.shape == (6,) else full_3x3_to_voigt_6_stress(stress)


SHAPES = {"energy": (0, 2), "forces": (0, 3, 2), "stress": (0, 6, 2)}
"""Labels that can be compared, and no pair of each."""
KINDS = {"mae": _mae, "rmse": _rmse}


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
        labels: of "energy", "forces" and "stress": what to compare.
        device, dtype: as for `latte_ase.predict`.
        progress: wraps the iteration over frames, for example `rich.progress.track`.

    Returns:
        `Evaluation`.

    Raises:
        ValueError: a frame without one of the labels, or a label of another name.
    """
    unknown = sorted(set(labels) - set(SHAPES))
    if unknown:
        raise ValueError(f"labels are {', '.join(unknown)}; allowed are {', '.join(SHAPES)}.")
    structures = read_frames(frames)
    origin = str(frames) if isinstance(frames, (str, Path)) else "the set"
    require_labels(structures, labels, origin, otherwise="Or leave it out: labels=...")
    pairs: dict[str, list] = {name: [np.zeros(shape)] for name, shape in SHAPES.items()}
    results = predict(model, structures, device=device, dtype=dtype, progress=progress)
    for atoms, result in zip(structures, results, strict=True):
        if "energy" in labels:
            pairs["energy"].append([[label(atoms, "energy") / len(atoms), result.energy / len(atoms)]])
        if "forces" in labels:
            pairs["forces"].append(np.stack([label(atoms, "forces"), np.asarray(result.forces)], axis=-1))
        if "stress" in labels:
            pairs["stress"].append(np.stack([_voigt(label(atoms, "stress")), _voigt(result.stress)], axis=-1)[None])
    numbers = np.concatenate([a.numbers for a in structures] if "forces" in labels else [np.zeros(0, int)])
    return Evaluation(**{name: np.concatenate(found) for name, found in pairs.items()}, numbers=numbers)
