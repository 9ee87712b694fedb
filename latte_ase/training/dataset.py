"""Labelled structures prepared for training: species, pairs and labels as arrays.

Neighbour lists are built once per frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import NamedTuple

import numpy as np
from ase import Atoms

from latte_ase.geometry.neighbours import Pairs, neighbour_list, volume
from latte_ase.io.frame_selection import FrameSelection
from latte_ase.io.frame_weights import frame_weight
from latte_ase.io.labels import known_forces, label
from latte_ase.model.potential import Potential

FURTHER_FRAMES = 100
"""Times as many frames as there are: how far dynamics should go before they leave the domain of their training set."""
TAIL_FRAMES = 20
"""Frames whose shortest distances say how the distribution ends."""
FARTHEST_EXTRAPOLATION = 0.05
"""Of a distance, that it is extrapolated at most."""


@dataclass(frozen=True)
class Frame:
    """One structure with its labels and its pairs.

    Attributes:
        species: (atoms,) index into the model's elements.
        pairs: within the cutoff, or a little more.
        energy: eV, or None.
        forces: (atoms, 3) eV/Angstrom, or None.
        known_forces: (atoms, 3) components of them that are labels, see `latte_ase.io.labels.known_forces`.
        stress: (3, 3) eV/Angstrom^3, or None.
        volume: Angstrom^3; 1 where the cell has none.
        weight: of the labels in the loss, see `latte_ase.io.frame_weights`.
        origin: where it comes from, for messages.
    """

    species: np.ndarray
    pairs: Pairs
    energy: float | None
    forces: np.ndarray | None
    known_forces: np.ndarray
    stress: np.ndarray | None
    volume: float
    weight: float = 1.0
    origin: str = ""


def prepare(
    potential: Potential, frames: Sequence[Atoms], *, skin: float = 0.0, origins: Iterable[str] | None = None
) -> list[Frame]:
    """Species, labels, and pairs within the cutoff and `skin` (Angstrom), of every structure; `origins` as in `Frame`."""
    origins = origins or repeat("")
    return [prepare_one(potential, atoms, skin, origin) for atoms, origin in zip(frames, origins, strict=False)]


def prepare_one(potential: Potential, atoms: Atoms, skin: float, origin: str) -> Frame:
    """One of the frames of `prepare`."""
    return Frame(
        potential.species(atoms.numbers),
        neighbour_list(atoms.positions, atoms.cell.array, atoms.pbc, potential.cutoff + skin),
        label(atoms, "energy"),
        label(atoms, "forces"),
        known_forces(atoms),
        label(atoms, "stress"),
        volume(atoms.cell.array) or 1.0,
        frame_weight(atoms),
        origin,
    )


def compositions(frames: Sequence[Frame], n_species: int) -> np.ndarray:
    """(structures, species) numbers of atoms."""
    return np.array([np.bincount(f.species, minlength=n_species) for f in frames], int).reshape(-1, n_species)


def closest_approaches(frames: Sequence[Frame], n_species: int) -> np.ndarray:
    """How close each pair of species would come in `FURTHER_FRAMES` times as many such frames; see `_extrapolated`.

    With the shortest distance itself, every dynamics longer than the training set would leave the domain of its own distribution.

    Args:
        frames: prepared frames.
        n_species: number of species.

    Returns:
        (species, species) R in Angstrom; 0 for a pair that never meets.
    """
    smallest = _Smallest(n_species**2)
    for frame in frames:
        kind = frame.species[frame.pairs.i] * n_species + frame.species[frame.pairs.j]
        nearest = np.full(n_species**2, np.inf)
        np.minimum.at(nearest, kind, np.linalg.norm(frame.pairs.edge, axis=1))
        smallest.add(nearest)
    limits = [_extrapolated(column, farthest=FARTHEST_EXTRAPOLATION) for column in smallest.columns()]
    return np.array(limits).reshape(n_species, n_species)


def fewest_neighbours(frames: Iterable[Frame], n_species: int, radius: float) -> np.ndarray:
    """How few neighbours each species would have in `FURTHER_FRAMES` times as many such frames; see `_extrapolated`.

    Atoms without any neighbour are left out: they have the energy E0, whatever was learned.

    Args:
        frames: prepared frames.
        n_species: number of species.
        radius: up to which neighbours count, in Angstrom, `Domain.radius`.

    Returns:
        (species, 2) of an atom, and on average over the atoms of the species in a frame; 0 for a species that has none.
    """
    smallest = _Smallest(2 * n_species)
    for frame in frames:
        near = frame.pairs.i[np.linalg.norm(frame.pairs.edge, axis=1) < radius]
        counts = np.bincount(near, minlength=len(frame.species))
        values = np.full((n_species, 2), np.inf)
        for s in np.unique(frame.species[counts > 0]):
            mine = counts[(frame.species == s) & (counts > 0)]
            values[s] = mine.min(), mine.mean()
        smallest.add(values.reshape(-1))
    limits = [
        _extrapolated(column, farthest=3 * FARTHEST_EXTRAPOLATION, least=1.0)  # they go with the cube of distances
        for column in smallest.columns()
    ]
    return np.array(limits).reshape(n_species, 2)


class _Smallest:
    """The `TAIL_FRAMES` smallest of several quantities, one value of each per frame."""

    def __init__(self, quantities: int):
        self._sorted = np.full((TAIL_FRAMES + 1, quantities), np.inf)  # ascending, and room for one more frame

    def add(self, values) -> None:
        """Values (quantities,) of a frame; infinite where it has none."""
        self._sorted[-1] = values
        smaller = self._sorted[-1] < self._sorted[-2]
        self._sorted[:, smaller] = np.sort(self._sorted[:, smaller], axis=0)

    def columns(self) -> list[np.ndarray]:
        """The smallest values of each quantity, in ascending order."""
        return [column[np.isfinite(column)] for column in self._sorted[:TAIL_FRAMES].T]


def _extrapolated(smallest, *, farthest: float, least: float = 0.0) -> float:
    """What the smallest value would be in `FURTHER_FRAMES` times as many frames; 0 without any.

        R = r_1 - min(max(theta log(FURTHER_FRAMES), least), farthest r_1),     theta = SUM_{n < k} (r_k - r_n) / (k - 1)

    with r_1 <= r_2 <= ... the smallest values, one of each frame, and k = `TAIL_FRAMES` or all of them: the smallest values of a sample
    end in a tail that is nearly exponential (Weissman, J. Am. Stat. Assoc. 73, 812 (1978)).

    Args:
        smallest: r_1, r_2, ...
        farthest: share of r_1 by which it is extrapolated at most.
        least: by which it is extrapolated at least: 1 for whole numbers, whose tail may have no width.
    """
    if len(smallest) == 0:
        return 0.0
    spread = np.mean(smallest[-1] - smallest[:-1]) if len(smallest) > 1 else 0.0
    return float(smallest[0] - min(max(spread * np.log(FURTHER_FRAMES), least), farthest * smallest[0]))


class Structures(NamedTuple):
    """Labelled structures, to train on and held out."""

    train: Sequence[Atoms]
    held: Sequence[Atoms]


def split(structures: Sequence[Atoms], fraction: float, seed: int) -> Structures:
    """Structures split at random, reproducibly, both parts in their order; at least one held out.

    Raises:
        ValueError: none would be left to train on.
    """
    n = len(structures)
    held = max(1, round(fraction * n))
    if held >= n:
        raise ValueError(
            f"{held} of {n} frames would be held out (fraction {fraction:g}), and none left to train on. Give more frames, "
            "a smaller fraction, or a set of held-out frames."
        )
    order = np.random.default_rng(seed).permutation(n)
    return Structures(*(FrameSelection(structures, np.sort(part)) for part in (order[held:], order[:held])))
