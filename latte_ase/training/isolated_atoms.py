"""Energies of isolated atoms, from a file that may hold other structures too.

An isolated atom is a structure of one atom without a neighbour within the cutoff, its own periodic images included: a one-atom
crystal is none.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from latte_ase.geometry.neighbours import neighbour_list
from latte_ase.io.label_checks import labelled_frames
from latte_ase.io.labels import label

TAGS = ("isolatedatom", "isolated_atom")
"""What `atoms.info["config_type"]` says of an isolated atom, in GAP's and MACE's data sets; upper or lower case."""
SAME = 1e-3
"""eV: energies of one element that differ by less are those of the same atom in another box."""


def isolated_atom_energies(frames: Sequence[Atoms], cutoff: float, origin: str) -> dict[str, float]:
    """Energy in eV by symbol of the isolated atoms among structures.

    Of several isolated atoms of an element those count whose `config_type` says IsolatedAtom, where there are such; they have to
    agree, and the first is taken.

    Args:
        frames: structures; all but isolated atoms are passed over.
        cutoff: Angstrom, within which an isolated atom has no neighbour.
        origin: where they come from, for messages.

    Raises:
        ValueError: there is no isolated atom, one has no energy, or two of one element have different energies.
    """
    lone = [atoms for atoms in frames if len(atoms) == 1 and _nearest(atoms, cutoff) is None]
    if not lone:
        raise ValueError(
            f"There is no isolated atom in {origin}: {_what_there_is(frames, cutoff)}. An isolated atom is a structure of one atom "
            f"without a neighbour within the cutoff of {cutoff:g} Angstrom, periodic images included. Give a file that has one of "
            "every element, or leave isolated_atoms out: E0 are then fitted to the training set."
        )
    lone = labelled_frames(lone, ("energy",), origin)
    found: dict[str, list[Atoms]] = {}
    for atoms in lone:
        found.setdefault(atoms.get_chemical_symbols()[0], []).append(atoms)
    return {symbol: _one_energy(symbol, candidates, origin) for symbol, candidates in found.items()}


def _nearest(atoms: Atoms, cutoff: float) -> float | None:
    """Distance to the nearest neighbour in Angstrom; None where it is beyond the cutoff."""
    pairs = neighbour_list(atoms.positions, atoms.cell.array, atoms.pbc, cutoff)
    return float(np.linalg.norm(pairs.edge, axis=1).min()) if len(pairs.i) else None


def _what_there_is(frames: Sequence[Atoms], cutoff: float) -> str:
    """What structures are that are no isolated atoms."""
    several = sum(len(atoms) != 1 for atoms in frames)
    distances = [r for atoms in frames if len(atoms) == 1 and (r := _nearest(atoms, cutoff)) is not None]
    parts = [f"{several} structures have more than one atom"] if several else []
    if distances:
        parts.append(
            f"{len(distances)} one-atom crystals have a periodic image as near as {min(distances):.2f} Angstrom"
        )
    return " and ".join(parts)


def _one_energy(symbol: str, candidates: list[Atoms], origin: str) -> float:
    tagged = [atoms for atoms in candidates if str(atoms.info.get("config_type", "")).lower() in TAGS]
    energies = [label(atoms, "energy") for atoms in tagged or candidates]
    if max(energies) - min(energies) > SAME:
        told = ", ".join(f"{energy:g}" for energy in sorted(set(energies)))
        raise ValueError(
            f"The isolated atoms of {symbol} in {origin} have different energies: {told} eV. Leave one, mark it with "
            "config_type=IsolatedAtom, or give the energy in [data.reference_energies]."
        )
    return energies[0]
