"""Errors of a model on labelled structures: overall and per element."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from latte_ase.io.frames import read_frames
from latte_ase.io.label_checks import labelled_frames
from latte_ase.io.labels import known_forces, label, voigt
from latte_ase.io.stress_plausibility import stress_doubt
from latte_ase.prediction import predict


@dataclass(frozen=True)
class Evaluation:
    """Labels and predictions of a set of structures.

    Attributes:
        energy: (frames, 2) label and prediction in eV/atom, of the frames that have an energy; (0, 2) where they were not compared.
        forces: (atoms, 3, 2) label and prediction in eV/Angstrom, all frames that have forces in a row, without atoms of
            which a constraint took a component away; or (0, 3, 2).
        stress: (frames, 6, 2) label and prediction in eV/Angstrom^3, Voigt order xx yy zz yz xz xy, of the frames that have a
            stress; or (0, 6, 2).
        numbers: (atoms,) atomic numbers of the atoms of `forces`.
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


SHAPES = {"energy": (0, 2), "forces": (0, 3, 2), "stress": (0, 6, 2)}
"""Labels that can be compared, and no pair of each."""
KINDS = {"mae": _mae, "rmse": _rmse}


def evaluate(
    model: Any,
    frames: Any,
    *,
    labels: Sequence[str] = ("energy", "forces"),
    keys: Mapping[str, str] | None = None,
    device: Any = None,
    dtype: str | None = None,
    progress: Callable | None = None,
) -> Evaluation:
    """Errors of a model on labelled structures.

    Args:
        model: a `LatteCalculator`, or what `latte_ase.load_model` takes.
        frames: file or iterable of ase.Atoms with labels in their calculators.
        labels: of "energy", "forces" and "stress": what to compare, where a frame has it.
        keys: names of the labels where they are not ASE's, such as {"energy": "REF_energy", "forces": "REF_forces"}, of
            energy, forces, stress and virial; see `latte_ase.io.labels.with_keys`.
        device, dtype: as for `latte_ase.predict`.
        progress: wraps the iteration over frames, for example `rich.progress.track`.

    Returns:
        `Evaluation`.

    Raises:
        ValueError: no frame has one of the labels, or a label of another name.
    """
    unknown = sorted(set(labels) - set(SHAPES))
    if unknown:
        raise ValueError(f"labels are {', '.join(unknown)}; allowed are {', '.join(SHAPES)}.")
    structures = read_frames(frames, keys=keys)
    origin = str(frames) if isinstance(frames, (str, Path)) else "the set"
    structures = labelled_frames(structures, labels, origin, otherwise="Or leave it out: labels=... (--labels)")
    if "stress" in labels and (doubt := stress_doubt(structures, origin)) is not None:
        warnings.warn(doubt.text, stacklevel=2)
    pairs: dict[str, list] = {name: [np.zeros(shape)] for name, shape in SHAPES.items()}
    numbers = [np.zeros(0, int)]
    results = predict(model, structures, device=device, dtype=dtype, progress=progress)
    for atoms, result in zip(structures, results, strict=True):
        energy, forces, stress = (label(atoms, name) if name in labels else None for name in SHAPES)
        if energy is not None:
            pairs["energy"].append(np.array([[energy, result.energy]]) / len(atoms))
        if forces is not None:
            whole = known_forces(atoms).all(axis=1)
            pairs["forces"].append(np.stack([forces, np.asarray(result.forces)], axis=-1)[whole])
            numbers.append(atoms.numbers[whole])
        if stress is not None and result.stress is not None:
            pairs["stress"].append(np.stack([voigt(stress), result.stress], axis=-1)[None])
    return Evaluation(**{name: np.concatenate(found) for name, found in pairs.items()}, numbers=np.concatenate(numbers))
