"""External pull on atoms: saturating springs to targets, and constant forces, as data of the compiled loop.

    E = SUM_k f_k (sqrt(d0_k^2 + |d_k|^2) - d0_k) - s_k . (r_k - t_k),   d0_k = f_k / c_k

with the stiffness c_k and the largest force f_k of the spring, the shortest vector d_k from the target t_k to a periodic
image of atom k, and a constant force s_k.  Near its target a spring is harmonic; far away it pulls with f_k.  The energy
is a potential, so dynamics with targets at rest conserves the sum of this energy and that of the atoms.

A list of pulls is padded to `MOST_PULLS`, so that other atoms, targets and strengths need no compilation.  The functions of arrays
are the same for JAX in the loop and for NumPy on the host.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from ase.geometry import complete_cell, minkowski_reduce

from latte_ase.simulate.state import State

MOST_PULLS = 64
"""Number of atoms that can be pulled at once."""

IMAGES = np.array(sorted(product((-1, 0, 1), repeat=3), key=lambda shift: sum(map(abs, shift))))
"""Lattice vectors (27, 3) of a Minkowski-reduced cell among which the shortest image is, after rounding of its coordinates; 0 first."""


@dataclass(frozen=True)
class Pull:
    """Pull on one atom.

    Attributes:
        atom: its index.
        target: (3,) position in Angstrom to which the spring pulls it.
        stiffness: of the spring near its target in eV/Angstrom^2.
        max_force: the most with which the spring pulls, in eV/Angstrom.
        steady: (3,) constant force in eV/Angstrom; its energy is 0 at the target.

    Raises:
        ValueError: a number is not finite, or stiffness or largest force are not above 0.
    """

    atom: int
    target: np.ndarray
    stiffness: float = 2.0
    max_force: float = 2.0
    steady: np.ndarray = field(default_factory=lambda: np.zeros(3), kw_only=True)

    def __post_init__(self):
        for name in ("target", "steady"):
            vector = np.array(getattr(self, name), np.float64)
            if vector.shape != (3,) or not np.isfinite(vector).all():
                raise ValueError(f"The {name} of a pull is {vector.tolist()}; three finite numbers are needed.")
            object.__setattr__(self, name, vector)
        for name in ("stiffness", "max_force"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise ValueError(f"The {name} of a pull is {value}; a finite number above 0 is needed.")


class Springs(NamedTuple):
    """Pulls as padded arrays.

    Attributes:
        atom: (pulls,) int32.
        stiffness: (pulls,) eV/Angstrom^2; 1 where padded.
        max_force: (pulls,) eV/Angstrom; 0 where padded.
        steady: (pulls, 3) eV/Angstrom; 0 where padded.
        lattice: (3, 3) Minkowski-reduced cell in Angstrom; 0 along directions that are not periodic.
        inverse: (3, 3) its pseudo-inverse.
    """

    atom: Any
    stiffness: Any
    max_force: Any
    steady: Any
    lattice: Any
    inverse: Any


class PlacedSprings(NamedTuple):
    """Springs with where their atoms were when the neighbour list was built.

    Attributes:
        springs: at the cell of the list.
        position: (pulls, 3) of the atoms then, Angstrom.
        offset: (pulls, 3) from the targets to there, computed in float64.
    """

    springs: Springs
    position: Any
    offset: Any


def springs(pulls: Sequence[Pull], cell, pbc) -> Springs:
    """Padded arrays of pulls.

    Args:
        pulls: at most `MOST_PULLS`.
        cell: (3, 3) Angstrom.
        pbc: (3,) bool.

    Raises:
        ValueError: there are more.
    """
    if len(pulls) > MOST_PULLS:
        raise ValueError(f"{len(pulls)} atoms were to be pulled at once; at most {MOST_PULLS} can be. Choose fewer.")
    atom, strengths, steady = np.zeros(MOST_PULLS, np.int32), np.zeros((2, MOST_PULLS)), np.zeros((MOST_PULLS, 3))
    strengths[0] = 1
    for k, pull in enumerate(pulls):
        atom[k], strengths[:, k], steady[k] = pull.atom, (pull.stiffness, pull.max_force), pull.steady
    lattice = _lattice(cell, pbc)
    return Springs(atom, strengths[0], strengths[1], steady, lattice, np.linalg.pinv(lattice))


def placed(pulls: Sequence[Pull], positions, cell, pbc) -> PlacedSprings:
    """The same, with the positions (atoms, 3) of a neighbour list and its cell."""
    found = springs(pulls, cell, pbc)
    position, offset = np.zeros((2, MOST_PULLS, 3))
    for k, pull in enumerate(pulls):
        position[k] = positions[pull.atom]
        offset[k] = position[k] - pull.target
    return PlacedSprings(found, position, offset)


def of_positions(pulls: Sequence[Pull], positions, cell, pbc) -> tuple[float, np.ndarray]:
    """Energy in eV and forces (pulls, 3) in eV/Angstrom of pulls on atoms at positions (atoms, 3)."""
    if not pulls:
        return 0.0, np.zeros((0, 3))
    found = placed(pulls, positions, cell, pbc)
    energies, forces = _pulled(found.springs, found.offset)
    return float(energies.sum()), forces[: len(pulls)]


def with_pulls(state: State, pulls: PlacedSprings) -> State:
    """State whose forces include those of the pulls."""
    scale = 1 + state.strain
    moved = pulls.offset + state.strain * pulls.position + state.displacements[pulls.springs.atom]
    strained = pulls.springs._replace(lattice=pulls.springs.lattice * scale, inverse=pulls.springs.inverse / scale)
    return state._replace(forces=state.forces.at[pulls.springs.atom].add(_pulled(strained, moved)[1]))


def nearest_image(vectors, lattice, inverse):
    """The shortest of the periodic images of vectors (vectors, 3), for a Minkowski-reduced lattice and its pseudo-inverse."""
    vectors = vectors - (vectors @ inverse).round() @ lattice
    images = vectors[:, None] + (IMAGES.astype(lattice.dtype) @ lattice)[None]
    return images[np.arange(len(vectors)), (images**2).sum(axis=-1).argmin(axis=-1)]


def _pulled(springs: Springs, vectors):
    """Energies (pulls,) and forces (pulls, 3) for vectors (pulls, 3) from the targets to the atoms."""
    d = nearest_image(vectors, springs.lattice, springs.inverse)
    width = springs.max_force / springs.stiffness
    padded = springs.max_force == 0
    root = (width**2 + (d**2).sum(axis=-1) + padded) ** 0.5  # not 0 where padded
    energies = springs.max_force * (root - width) - (springs.steady * vectors).sum(axis=-1)
    return energies, springs.steady - (springs.max_force / root)[:, None] * d


def _lattice(cell, pbc) -> np.ndarray:
    """Minkowski-reduced lattice vectors (3, 3), 0 where not periodic."""
    pbc = np.asarray(pbc, bool)
    if not pbc.any():
        return np.zeros((3, 3))
    reduced, _ = minkowski_reduce(complete_cell(np.asarray(cell, np.float64)), pbc=pbc)  # type: ignore[arg-type]
    return np.where(pbc[:, None], reduced, 0.0)
