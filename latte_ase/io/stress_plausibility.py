"""Plausibility of stresses: whether they are in eV/Angstrom^3 with ASE's sign, judged by energies and forces of the same frames.

Between two frames of the same atoms whose cells C (rows are vectors) differ a little, with scaled coordinates x, the trapezoidal
rule says

    E_b - E_a = 1/2 SUM_{k = a, b} ( -F_k . (x_b - x_a) C_k + V_k stress_k : C_k^-1 (C_b - C_a) ),

so the slope of what is left of the energy after the work of the forces against the work of the stress is 1, and in other units or
with the other sign the ratio of the two.  Where all frames have one cell the size has to do.  For correct labels the virial V stress
is a few eV per atom at most (6 in random sets of EMT labels, 7.4 in 1000 frames of MPtrj), and it fluctuates between frames of
the same atoms by no more than 1.6 times (2 Angstrom) * (RMS of the force components) * sqrt(atoms).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from ase import Atoms, units

from latte_ase.io.labels import has_label, label
from latte_ase.io.plausibility import DOUBTFUL, FEWEST, NEAR, OVERRIDE, UNCERTAINTY, WRONG

FARTHEST_MOVE = 0.3
"""Angstrom; frames in which no coordinate moved farther, but for the strain, are compared."""
STRAINED = (1e-4, 0.1)
"""Strains between which two frames are compared."""
FRAMES_AHEAD = 10
"""Every frame is compared with so many that follow it."""
LARGEST_VIRIAL = 30.0
"""eV per atom; correct virials of nine tenths of a set are four times smaller or more."""
REACH = 2.0
"""Angstrom: a bond length, which makes a virial of a force."""
LARGEST_FLUCTUATION = 8.0
"""Of the virial, in units of REACH * RMS force * sqrt(atoms); five times that of correct labels."""
NEEDED = "Stress in eV/Angstrom^3 is needed, (1/V) dE/d(strain), positive under tension."


class Doubt(NamedTuple):
    """What speaks against the stresses of a set, as a text, and whether it is certain."""

    text: str
    certain: bool


def check_stress(frames: Sequence[Atoms], origin: str = "the training set") -> None:
    """Raise ValueError where stresses have other units or another sign, and warn where that is doubtful; see `stress_doubt`."""
    doubt = stress_doubt(frames, origin)
    if doubt is None:
        return
    if doubt.certain:
        raise ValueError(f"{doubt.text} {OVERRIDE}")
    warnings.warn(doubt.text, stacklevel=3)


def stress_doubt(frames: Sequence[Atoms], origin: str = "the training set") -> Doubt | None:
    """What speaks against the stresses of labelled structures; None where nothing does, or too little is known.

    Args:
        frames: structures; those that have energy, forces and stress are compared, the size is that of all with stress.
        origin: where they come from, for the text.
    """
    frames = [atoms for atoms in frames if has_label(atoms, "stress")]
    if len(frames) < FEWEST:
        return None
    groups = [group for group in _of_same_atoms(frames) if len(group) > 1]
    return _slope_doubt(groups, origin) or _size_doubt(frames, groups, origin)


def _of_same_atoms(frames: Sequence[Atoms]) -> Iterable[list[Atoms]]:
    groups: dict[bytes, list[Atoms]] = {}
    for atoms in frames:
        if has_label(atoms, "energy") and has_label(atoms, "forces"):
            groups.setdefault(atoms.numbers.tobytes(), []).append(atoms)
    return groups.values()


def _slope_doubt(groups: Iterable[list[Atoms]], origin: str) -> Doubt | None:
    """By the work of the stress, where cells differ."""
    works = [_works(a, b) for group in groups for a, b in _pairs(group)]
    if len(works) < FEWEST:
        return None
    left, right = np.array(works).T
    if not (left.any() and right.any()):
        return None
    slope, correlation = left @ right / (right @ right), left @ right / np.sqrt((left @ left) * (right @ right))
    uncertainty = np.sqrt(max(1 / correlation**2 - 1, 0.0) / len(works)) if correlation else np.inf
    if uncertainty > UNCERTAINTY or 1 / DOUBTFUL < slope < DOUBTFUL:
        return None
    known = _known_ratio(slope, float(np.mean([atoms.get_volume() for group in groups for atoms in group])))
    text = (
        f"Stresses and energies of {origin} do not belong together: between frames whose cells differ, energies change by {slope:.3g} "
        f"times what stresses and forces say (within {100 * uncertainty:.0f} %, from {len(works)} pairs)."
    )
    return Doubt(
        f"{text}{f' It looks as if {known}.' if known else ''} {NEEDED}",
        bool(known) and not 1 / WRONG < slope < WRONG,
    )


def _pairs(group: list[Atoms]) -> Iterator[tuple[Atoms, Atoms]]:
    """Of every frame, the one among the next that is most like it, of those in another cell."""
    for k, a in enumerate(group):
        candidates = [(moved, b) for b in group[k + 1 : k + 1 + FRAMES_AHEAD] if (moved := _moved(a, b)) is not None]
        if candidates:
            yield a, min(candidates, key=lambda candidate: candidate[0])[1]


def _moved(a: Atoms, b: Atoms) -> float | None:
    """The largest move of a coordinate in Angstrom but for the strain; None where frames are not compared."""
    strain = np.abs(np.linalg.solve(a.cell.array, b.cell.array - a.cell.array)).max()
    moved = np.abs((b.get_scaled_positions(wrap=False) - a.get_scaled_positions(wrap=False)) @ a.cell.array).max()
    return float(moved) if STRAINED[0] < strain < STRAINED[1] and moved < FARTHEST_MOVE else None


def _works(a: Atoms, b: Atoms) -> tuple[float, float]:
    """Change of the energy without the work of the forces, and the work of the stress, in eV."""
    moved = b.get_scaled_positions(wrap=False) - a.get_scaled_positions(wrap=False)
    of_forces = -0.5 * sum((label(k, "forces") * (moved @ k.cell.array)).sum() for k in (a, b))
    change = b.cell.array - a.cell.array
    of_stress = 0.5 * sum(
        k.get_volume() * (label(k, "stress") * np.linalg.solve(k.cell.array, change)).sum() for k in (a, b)
    )
    return label(b, "energy") - label(a, "energy") - of_forces, of_stress


def _known_ratio(slope: float, volume: float) -> str:
    """What a slope looks like that is near known ratios, the nearest first; empty where it is near none."""
    ratios = {
        "they are in GPa": units.GPa,
        "they are in GPa, with the opposite sign": -units.GPa,
        "they are in kbar": units.GPa / 10,
        "they are in kbar with VASP's sign": -units.GPa / 10,
        "they have the opposite sign": -1.0,
        "they are virials in eV": -1 / volume,
        "they are virials in eV, with the opposite sign": 1 / volume,
        "they are in Hartree/Bohr^3": units.Hartree / units.Bohr**3,
    }
    distance = {what: abs(np.log(slope / ratio)) for what, ratio in ratios.items() if slope / ratio > 0}
    near = [what for what in sorted(distance, key=distance.__getitem__) if distance[what] < np.log(NEAR)]
    return " or ".join(near)


def _size_doubt(frames: Sequence[Atoms], groups: Iterable[list[Atoms]], origin: str) -> Doubt | None:
    """By the size of virials, and of their fluctuation beside that of the forces."""
    advice = f"They look like stresses in GPa or kbar, or like virials in eV. {NEEDED}"
    largest = float(np.quantile([np.sqrt(np.mean(_virial(atoms) ** 2)) / len(atoms) for atoms in frames], 0.9))
    if largest > LARGEST_VIRIAL:
        return Doubt(f"Stresses of {origin} are too large: V stress is {largest:.3g} eV per atom. {advice}", True)
    for group in groups:
        virials, forces = np.array([_virial(a) for a in group]), np.array([label(a, "forces") for a in group])
        expected = REACH * np.sqrt(len(group[0]) * np.mean(forces**2))
        found = np.sqrt(np.mean((virials - virials.mean(axis=0)) ** 2))
        one_cell = np.ptp([a.cell.array for a in group], axis=0).max() < STRAINED[0]
        if one_cell and len(group) >= FEWEST and expected > 0.1 and found > LARGEST_FLUCTUATION * expected:
            return Doubt(
                f"Stresses of {origin} are too large beside the forces: V stress varies by {found:.3g} eV between frames of "
                f"{group[0].get_chemical_formula()} in one cell, where the forces let expect {expected:.3g} or less. {advice}",
                True,
            )
    return None


def _virial(atoms: Atoms) -> np.ndarray:
    return atoms.get_volume() * label(atoms, "stress")
