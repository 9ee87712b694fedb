"""Crystals of some elements: prototypes with elements at their sites, and those of a set of structures."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import spglib
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from ase.neighborlist import neighbor_list
from chemistry import NONMETALS, likely
from crystals import Crystal, reduced_formula
from monty.serialization import loadfn
from pymatgen.analysis import prototypes

LARGEST = 20
"""Atoms in a prototype."""


def prototype_cells() -> list[tuple[str, Atoms]]:
    """Names and primitive cells of the AFLOW prototypes of at most `LARGEST` atoms with full occupation."""
    found = []
    for entry in loadfn(Path(prototypes.__file__).with_name("aflow_prototypes.json.gz")):
        structure = entry["snl"].structure
        if structure.is_ordered and len(structure) <= LARGEST:
            numbers = [site.specie.Z for site in structure]
            atoms = Atoms(numbers, structure.cart_coords, cell=structure.lattice.matrix, pbc=True)
            found.append((entry["tags"]["aflow"], atoms))
    return found


def at_touching(atoms: Atoms, ratio: float = 1.0) -> Atoms:
    """The crystal at the volume where the closest pair is `ratio` times the sum of its covalent radii apart."""
    for _ in range(3):  # a pair that is closest may lie beyond the first search
        reach = 2.6 * (atoms.get_volume() / len(atoms)) ** (1 / 3)
        i, j, d = neighbor_list("ijd", atoms, reach)
        radii = np.array([covalent_radii[z] for z in atoms.numbers])
        factor = ratio / (d / (radii[i] + radii[j])).min()
        atoms.set_cell(atoms.cell * factor, scale_atoms=True)
    return atoms


def substituted(elements: list[str], cells: list[tuple[str, Atoms]], rng) -> Iterator[Crystal]:
    """Without end: prototypes whose elements are replaced by some of `elements`; half are of nonmetals and metals by charge."""
    while True:
        prototype, cell = cells[rng.integers(len(cells))]
        kinds, counts = np.unique(cell.numbers, return_counts=True)
        if len(kinds) > len(elements) or (len(kinds) == 1 and rng.random() < 0.5):
            continue
        for _ in range(200):
            symbols = list(rng.choice(elements, len(kinds), replace=False))
            metallic = not any(s in NONMETALS for s in symbols)
            if likely(symbols, list(counts)) and not (metallic and len(kinds) > 1 and rng.random() < 0.5):
                break
        else:
            continue
        atoms = cell.copy()
        new = dict(zip(kinds, (atomic_numbers[s] for s in symbols), strict=True))
        atoms.numbers = np.array([new[z] for z in cell.numbers])
        yield Crystal(at_touching(atoms), f"{reduced_formula(atoms.numbers)} {prototype}")


def of_set(frames: list[Atoms], elements: list[str]) -> Iterator[Crystal]:
    """The crystals of a set that consist of these elements, of at most 40 atoms, without their labels."""
    for frame in frames:
        if len(frame) <= 40 and set(frame.symbols) <= set(elements):
            atoms = Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=True)
            found = spglib.get_spacegroup((atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers), symprec=0.1)
            yield Crystal(atoms, f"{reduced_formula(atoms.numbers)} {found}")
