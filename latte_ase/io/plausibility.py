"""Are these labels energies in eV and forces in eV/Angstrom?  Asked before a step of training is taken.

Between two frames of the same atoms, close to each other, the trapezoidal rule says

    E_b - E_a = -1/2 (F_a + F_b) . (r_b - r_a) + O(dr^3),

so the slope of one side against the other is 1, and in other units the ratio of the units.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from ase import Atoms, units

from latte_ase.io.labels import label

CLOSE = 0.3
"""Angstrom; frames whose atoms moved less are compared."""
FEWEST = 3
"""Pairs of frames that are needed to say anything."""
AGREEMENT = 0.9
"""Correlation of the two sides from which on the slope means something."""
TOLERATED = 1.5
"""Slopes from 1/1.5 to 1.5 pass: noise, or a small error of the rule."""
RATIOS = {
    "energies are in Hartree": 1 / units.Hartree,
    "energies are in kcal/mol": units.mol / units.kcal,
    "energies are in kJ/mol": units.mol / units.kJ,
    "forces are in Hartree/Bohr": units.Hartree / units.Bohr,
    "forces are in kcal/mol/Angstrom": units.kcal / units.mol,
    "forces are gradients, with the opposite sign": -1.0,
}


def refuse_implausible_labels(frames: Sequence[Atoms], origin: str = "the training set") -> None:
    """Raise where labels cannot be energies and forces that belong together.

    Args:
        frames: ase.Atoms with energies and forces.
        origin: where they come from, for the message.

    Raises:
        ValueError: all energies are equal though the atoms move, all forces are 0, or their units do not fit.
    """
    frames = [a for a in frames if label(a, "energy") is not None and label(a, "forces") is not None]
    energies = np.array([label(atoms, "energy") for atoms in frames], float)
    forces = [np.asarray(label(atoms, "forces"), float) for atoms in frames]
    if len(frames) > 1 and np.ptp(energies) == 0 and _moved(frames):
        raise ValueError(
            f"All {len(frames)} energies of {origin} are {energies[0]:g} eV, though the atoms move. Look at how the file "
            "was written: is it the energy of the frame?"
        )
    if not any(f.any() for f in forces) and _moved(frames):
        raise ValueError(
            f"All forces of {origin} are 0, though the atoms move. Look at how the file was written: does it hold forces?"
        )
    changes, works = _compared(frames, energies, forces)
    if len(changes) < FEWEST or np.ptp(changes) == 0 or np.ptp(works) == 0:
        return  # too few frames are alike to say anything
    if abs(np.corrcoef(changes, works)[0, 1]) < AGREEMENT:
        return
    slope = float(changes @ works / (works @ works))
    if 1 / TOLERATED < slope < TOLERATED:
        return
    raise ValueError(
        f"Energies and forces of {origin} do not belong together: between frames that are close, energies change by "
        f"{slope:.3g} times what the forces say.{_guess(slope, len(frames[0]))} Energies in eV and forces in "
        "eV/Angstrom are needed."
    )


def _moved(frames) -> bool:
    """Whether atoms move against each other; a crystal that is only strained has forces of 0 by symmetry."""
    places = [a.get_scaled_positions(wrap=False) if a.cell.volume > 0 else a.positions for a in frames]
    return any(p.shape == places[0].shape and not np.allclose(p, places[0], atol=1e-5) for p in places)


def _compared(frames, energies, forces):
    """Both sides of the rule, for frames that follow each other and are alike."""
    changes, works = [], []
    for a, b in pairwise(range(len(frames))):
        if not np.array_equal(frames[a].numbers, frames[b].numbers):
            continue
        if not np.allclose(frames[a].cell.array, frames[b].cell.array, atol=1e-6):
            continue
        moved = frames[b].positions - frames[a].positions
        if 0 < np.abs(moved).max() < CLOSE:
            changes.append(energies[b] - energies[a])
            works.append(-0.5 * float(((forces[a] + forces[b]) * moved).sum()))
    return np.array(changes), np.array(works)


def _guess(slope: float, atoms: int) -> str:
    ratios = {"energies are per atom": 1 / atoms, **RATIOS}
    what, ratio = min(ratios.items(), key=lambda item: abs(slope / item[1] - 1))
    return f" It looks as if {what}." if abs(slope / ratio - 1) < 0.1 else ""
