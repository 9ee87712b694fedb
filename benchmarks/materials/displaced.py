"""Structures of a crystal: repeated, with a defect or a surface, strained, and rattled."""

import numpy as np
from ase import Atoms
from crystals import Crystal

FEWEST, MOST = 4, 24
"""Atoms of a structure that is made of a smaller cell; larger cells stay as they are."""
SHAKEN = 0.055
"""Angstrom: standard deviation of a component of a displacement at 300 K."""


def repeated(atoms: Atoms, rng) -> Atoms:
    """A supercell of `FEWEST` to `MOST` atoms; the shortest edges are repeated first, seldom more than needed."""
    atoms = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
    while len(atoms) < FEWEST or (2 * len(atoms) <= MOST and rng.random() < 0.3):
        times = np.ones(3, int)
        times[np.argmin(atoms.cell.lengths())] = 2
        atoms = atoms.repeat(times)
    return atoms


def changed(atoms: Atoms, rng) -> tuple[Atoms, str]:
    """A fifth with a vacancy, an exchange of elements, or a surface; and what kind it is."""
    chance, n = rng.random(), len(atoms)
    if chance < 0.07 and n >= 6:
        del atoms[rng.integers(n)]
        return atoms, "vacancy"
    if chance < 0.14 and len(set(atoms.numbers)) > 1:
        for _ in range(rng.integers(1, 3)):
            i, j = rng.choice(n, 2, replace=False)
            atoms.numbers[[i, j]] = atoms.numbers[[j, i]]
        return atoms, "exchange"
    if chance < 0.22 and 4 <= n <= MOST:
        axis = rng.integers(3)
        normal = atoms.cell.reciprocal()[axis]
        cell = atoms.cell.array.copy()
        cell[axis] += rng.uniform(2.0, 9.0) * normal / np.linalg.norm(normal)
        atoms.wrap()
        atoms.set_cell(cell)
        return atoms, "surface"
    return atoms, "bulk"


def moved(crystal: Crystal, rng, temperature: float | None = None) -> Atoms:
    """A supercell with or without a defect, strained, and rattled as at 100 to 2000 K; at a `temperature` hardly strained."""
    atoms, kind = repeated(crystal.atoms, rng), "bulk"
    if temperature is None:
        atoms, kind = changed(atoms, rng)
    kelvin = temperature or np.exp(rng.uniform(np.log(100), np.log(2000)))
    strain = (0.005 if temperature else 0.025) * rng.normal(size=(3, 3)) / 2
    strain = strain + strain.T
    if temperature is None:
        strain += np.eye(3) * rng.uniform(-0.04, 0.05)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    atoms.positions += SHAKEN * np.sqrt(kelvin / 300) * rng.normal(size=atoms.positions.shape)
    atoms.info = {"crystal": crystal.name, "kind": kind, "kelvin": round(kelvin)}
    return atoms
