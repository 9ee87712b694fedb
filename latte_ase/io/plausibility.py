"""Plausibility of energies and forces: whether they are those of the same structures, in eV and eV/Angstrom.

Between two frames of the same atoms, close to each other, the trapezoidal rule says

    E_b - E_a = -1/2 (F_a + F_b) . (r_b - r_a) + O(dr^3),

so the slope s of the left side against the right side is 1, and in other units the ratio of the units.  All pairs of frames that
are close enter by least squares with weights 1 / dr^6, since the error of the rule has the size dr^3.  In 10 000 random sets of
correct labels (`benchmarks/plausibility.py`) s lies between 0.4 and 1.7 where it is determined at all, because the error of the
rule is systematic; so only a slope that is several times larger or smaller, and near a known ratio, is evidence of other units.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from ase import Atoms, units

from latte_ase.io.labels import known_forces, label

CLOSE = 0.5
"""Angstrom; frames in which no coordinate moved farther are compared."""
SHIFTED = 1e-6
"""Angstrom; frames in which no coordinate moved farther are the same but for a shift."""
WINDOW = 30
"""Every frame is compared with so many that follow it."""
FEWEST = 5
"""Independent pairs of frames that are needed to say anything."""
UNCERTAINTY = 0.25
"""Largest relative uncertainty of a slope that means something."""
DOUBTFUL = 2.0
"""Slopes beyond this factor from 1 cause a warning."""
WRONG = 4.0
"""Slopes beyond this factor from 1 and near a known ratio are refused."""
CERTAIN = 0.15
"""Largest relative uncertainty of a slope that is refused."""
NEAR = 1.6
"""Factor within which a slope is near a known ratio: the error of the rule is not smaller."""
RATIOS = {
    "energies are in Hartree": 1 / units.Hartree,
    "energies are in kcal/mol": units.mol / units.kcal,
    "energies are in kJ/mol": units.mol / units.kJ,
    "forces are in Hartree/Bohr": units.Hartree / units.Bohr,
    "forces are in kcal/mol/Angstrom": units.kcal / units.mol,
    "forces are gradients, with the opposite sign": -1.0,
}


class Slope(NamedTuple):
    """Slope of energy differences against what the forces say of them.

    Attributes:
        value: 1 for labels that belong together.
        uncertainty: relative standard error.
        pairs: number of independent pairs of frames.
    """

    value: float
    uncertainty: float
    pairs: int


def check_plausibility(frames: Sequence[Atoms], origin: str = "the training set") -> None:
    """Raise where labels cannot be energies and forces that belong together, and warn where that is doubtful.

    Args:
        frames: ase.Atoms with energies and forces.
        origin: where they come from, for messages.

    Raises:
        ValueError: all energies are equal though the atoms move, all forces are 0, or the units do not fit.
    """
    frames = [a for a in frames if label(a, "energy") is not None and known_forces(a).all()]
    energies = np.array([label(atoms, "energy") for atoms in frames], float)
    forces = [np.asarray(label(atoms, "forces"), float) for atoms in frames]
    if len(frames) > 1 and np.ptp(energies) == 0 and _moved(frames):
        raise ValueError(
            f"All {len(frames)} energies of {origin} are {energies[0]:g} eV, though the atoms move. Look at how the file "
            f"was written: is it the energy of the frame? {OVERRIDE}"
        )
    if not any(f.any() for f in forces) and _moved(frames):
        raise ValueError(
            f"All forces of {origin} are 0, though the atoms move. Look at how the file was written: does it hold forces? "
            f"{OVERRIDE}"
        )
    slope = _slope(frames, energies, forces)
    if slope is None or slope.pairs < FEWEST or slope.uncertainty > UNCERTAINTY:
        return  # too few frames are alike to say anything
    if 1 / DOUBTFUL < slope.value < DOUBTFUL:
        return
    text = (
        f"Between frames of {origin} that are close, energies change by {slope.value:.3g} times what the forces say "
        f"(within {100 * slope.uncertainty:.0f} %, from {slope.pairs} pairs). Energies in eV and forces in eV/Angstrom are needed."
    )
    known = _known_ratio(slope.value, sum(map(len, frames)) / len(frames))
    if known and slope.uncertainty < CERTAIN and not 1 / WRONG < slope.value < WRONG:
        raise ValueError(f"Energies and forces do not belong together. {text} It looks as if {known}. {OVERRIDE}")
    guess = f" It looks as if {known}." if known else ""
    warnings.warn(f"{text}{guess} Look at the labels before you trust the model.", stacklevel=3)


OVERRIDE = (
    "If the labels are right all the same, say so: trust_labels = true in [data], trust_labels=True, or --trust-labels."
)
"""How to train in spite of a refusal."""


def _moved(frames) -> bool:
    """Whether atoms move against each other; a crystal that is only strained has forces of 0 by symmetry."""
    places = [a.get_scaled_positions(wrap=False) if a.cell.volume > 0 else a.positions for a in frames]
    places = [p - p[0] for p in places]
    return any(p.shape == places[0].shape and not np.allclose(p, places[0], atol=1e-5) for p in places)


def _slope(frames: Sequence[Atoms], energies, forces) -> Slope | None:
    """The slope, over all groups of frames of the same atoms and cell; None where no two frames are close."""
    xx = xy = yy = 0.0
    independent = 0
    for group in _alike(frames):
        positions = np.array([frames[k].positions for k in group])
        e, f = energies[group], np.array([forces[k] for k in group])
        compared = np.zeros(len(group), bool)
        for ahead in range(1, min(WINDOW, len(group) - 1) + 1):
            moved = positions[ahead:] - positions[:-ahead]
            moved -= moved.mean(axis=1, keepdims=True)  # a shift as a whole is no work
            largest = np.abs(moved).max(axis=(1, 2))
            close = (largest > SHIFTED) & (largest < CLOSE)
            moved = moved[close]
            weights = (moved**2).sum(axis=(1, 2)) ** -1.5
            changes = weights * (e[ahead:] - e[:-ahead])[close]
            works = -0.5 * weights * ((f[ahead:] + f[:-ahead])[close] * moved).sum(axis=(1, 2))
            xx, xy, yy = xx + works @ works, xy + works @ changes, yy + changes @ changes
            compared[ahead:] |= close
            compared[:-ahead] |= close
        independent += max(0, int(compared.sum()) - 1)
    if independent == 0 or xx == 0 or xy == 0:
        return None
    unexplained = max(xx * yy / xy**2 - 1, 0.0)  # 1 / correlation^2 - 1
    return Slope(float(xy / xx), float(np.sqrt(unexplained / independent)), independent)


def _alike(frames: Sequence[Atoms]) -> Iterable[np.ndarray]:
    """Indices of the frames of the same atoms in the same cell, in order."""
    groups: dict[tuple, list[int]] = {}
    for k, atoms in enumerate(frames):
        groups.setdefault((atoms.numbers.tobytes(), tuple(atoms.cell.array.round(5).ravel())), []).append(k)
    return [np.array(group) for group in groups.values()]


def _known_ratio(slope: float, atoms: float) -> str:
    """What a slope near a known ratio of units looks like; empty where it is near none."""
    ratios = {"energies are per atom": 1 / atoms, **RATIOS}
    distance = {what: abs(np.log(slope / ratio)) for what, ratio in ratios.items() if slope / ratio > 0}
    nearest = min(distance, key=distance.__getitem__, default="")
    return nearest if nearest and distance[nearest] < np.log(NEAR) else ""
