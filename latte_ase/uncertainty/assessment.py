"""Assessment of uncertainties by the errors on labelled frames, and their calibration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from latte_ase.calculator import LatteCalculator
from latte_ase.io.frames import read_frames
from latte_ase.io.label_checks import labelled_frames
from latte_ase.io.labels import known_forces, label
from latte_ase.model.potential import Potential

WITHIN_ONE = 0.6827
"""Fraction of a normal distribution within one standard deviation."""


@dataclass(frozen=True)
class Assessment:
    """Errors and uncertainties on labelled frames.

    Attributes:
        energy: (frames, 2) error of the energy and its uncertainty, in eV/atom, of the frames that have an energy.
        forces: (atoms, 3, 2) error of a force component and its uncertainty, in eV/Angstrom, of all frames that have forces,
            without atoms of which a constraint took a component away.
    """

    energy: np.ndarray
    forces: np.ndarray

    @property
    def metrics(self) -> dict[str, float]:
        """Coverage of one and of two sigma, and Spearman's rank correlation, for energies and forces.

        A normal distribution has coverages of 0.68 and 0.95.  The correlation is that of |error| and sigma, for forces
        of the vectors of each atom.
        """
        atoms = np.linalg.norm(self.forces, axis=1)
        found = {}
        for name, pairs, ranked in (("energy", self.energy, self.energy), ("forces", self.forces, atoms)):
            error, sigma = np.abs(pairs[..., 0]), pairs[..., 1]
            found[f"{name}_within_1"] = float((error <= sigma).mean())
            found[f"{name}_within_2"] = float((error <= 2 * sigma).mean())
            found[f"{name}_rank"] = _rank(np.abs(ranked[..., 0]), ranked[..., 1])
        return found

    @property
    def factors(self) -> tuple[float, float]:
        """Factors for sigma of energies and of forces with which 68 % of the errors are within sigma."""
        return tuple(  # type: ignore[return-value]
            float(np.quantile(np.abs(p[..., 0]) / np.maximum(p[..., 1], 1e-12), WITHIN_ONE))
            for p in (self.energy, self.forces)
        )

    @property
    def likelihood(self) -> float:
        """Mean log-likelihood of the errors of force components, for normal distributions with calibrated sigma."""
        sigma = np.maximum(self.factors[1] * self.forces[..., 1], 1e-12)
        return float(np.mean(-0.5 * (self.forces[..., 0] / sigma) ** 2 - np.log(sigma)))


def _rank(a, b) -> float:
    return float(np.asarray(spearmanr(a, b))[0]) if len(a) > 2 else float("nan")


def assess(
    model: Any, frames: Any, *, keys: Mapping[str, str] | None = None, progress: Callable | None = None
) -> Assessment:
    """Errors and uncertainties of a model with a committee on labelled frames.

    Args:
        model: a `LatteCalculator`, or what `latte_ase.load_model` takes.
        frames: file or list of ase.Atoms with energies and forces.
        keys: names of the labels where they are not ASE's, see `latte_ase.io.labels.with_keys`.
        progress: wrapper of the iteration over frames, for example `rich.progress.track`.

    Returns:
        Errors and uncertainties of energies and forces.

    Raises:
        ValueError: the model has no committee, or labels are missing.
    """
    calc = model if isinstance(model, LatteCalculator) else LatteCalculator(model)
    structures = labelled_frames(read_frames(frames, keys=keys), ("energy", "forces"), "the frames to judge by")
    energy, forces = [], []
    for atoms in progress(structures) if progress else structures:
        expected, found = calc.get_uncertainty(atoms), calc.engine.evaluate(atoms)
        if (known := label(atoms, "energy")) is not None:
            energy.append(np.array([found.energy - known, expected.energy]) / len(atoms))
        if (known := label(atoms, "forces")) is not None:
            error = np.stack([found.forces - known, expected.forces], axis=-1)
            forces.append(error[known_forces(atoms).all(axis=1)])
    return Assessment(np.array(energy), np.concatenate(forces))


def calibrated(potential: Potential, frames) -> tuple[Potential, Assessment]:
    """Potential with factors calibrated on labelled frames, and the assessment with factors of 1.

    Args:
        potential: potential with a committee.
        frames: labelled frames that the potential was not trained on.
    """
    committee = potential.committee
    assert committee is not None
    before = assess(replace(potential, committee=replace(committee, energy_factor=1.0, forces_factor=1.0)), frames)
    energy, forces = before.factors
    return replace(potential, committee=replace(committee, energy_factor=energy, forces_factor=forces)), before
