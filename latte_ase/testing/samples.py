"""Structures for the checks: built from elements and a seed, or given by the user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from ase.data import atomic_numbers, chemical_symbols, covalent_radii, reference_states

SOLIDS = {"fcc": (1, 1, 1), "bcc": (2, 1, 1), "diamond": (1, 1, 1), "hcp": (1, 1, 1), "sc": (2, 2, 1)}
"""Lattices that are built, and repetitions of their conventional cell."""
COMMON = ("Cu", "Au", "Si", "Al", "Ni", "Fe", "C", "H", "O")
"""Elements that are tried with a calculator that does not declare its elements, solids first."""
MOLECULE_BOX = 3.1
"""Side in Angstrom of the cube that one molecule occupies in liquid water."""
LARGEST_PRIMITIVE = 8
"""Largest number of atoms of a structure that is repeated 3x3x3."""


@dataclass(frozen=True)
class Samples:
    """Structures for the checks, by kind; atoms lie inside the cell.

    Attributes:
        symbols: chemical symbols, for isolated atoms.
        crystals: structures that are periodic along all directions, with displaced atoms.
        clusters: structures without periodicity.
        primitive: periodic structures in cells smaller than most cutoffs.
        pairs: chemical symbols of dimers.
    """

    symbols: tuple[str, ...]
    crystals: tuple[Atoms, ...]
    clusters: tuple[Atoms, ...]
    primitive: tuple[Atoms, ...]
    pairs: tuple[tuple[str, str], ...]


def known_elements(calc) -> tuple[str, ...]:
    """Elements that a calculator declares, or those of `COMMON` for which it gives an energy.

    Args:
        calc: an ASE calculator.

    Returns:
        Chemical symbols.

    Raises:
        ValueError: the calculator declares no elements and computes none of `COMMON`.
    """
    declared = declared_elements(calc)
    if declared is not None:
        return declared
    computed = [symbol for symbol in COMMON if _computes(calc, symbol)]
    if not computed:
        raise ValueError(
            f"{type(calc).__name__} has no attribute allowed_atomic_numbers and computes none of {', '.join(COMMON)}. "
            "Name its elements, such as elements=['Cu'], or give structures."
        )
    solids = [symbol for symbol in computed if _lattice(symbol) in SOLIDS]
    return tuple(solids[:2] or computed)


def declared_elements(calc) -> tuple[str, ...] | None:
    """Elements that a calculator declares, common ones first; None where it declares none.

    The attributes `allowed_atomic_numbers` and `implemented_elements` are read.
    """
    numbers = getattr(calc, "allowed_atomic_numbers", None)
    if numbers is None:
        symbols = getattr(calc, "implemented_elements", None)
        if symbols is None:
            return None
        numbers = [atomic_numbers[s] for s in symbols]
    symbols = {chemical_symbols[int(z)] for z in numbers}
    rest = sorted(symbols - set(COMMON), key=lambda s: atomic_numbers[s])
    return (*(s for s in COMMON if s in symbols), *rest)


def from_elements(symbols: Sequence[str], *, seed: int) -> Samples:
    """Small structures of some elements: an alloy of the first two solids, and water for H and O.

    Elements for which neither applies give a rocksalt-like lattice of the first three of them.

    Args:
        symbols: chemical symbols.
        seed: seed of the random displacements.

    Raises:
        ValueError: a symbol is not in the periodic table, or there is none.
    """
    unknown = [s for s in symbols if s not in atomic_numbers or s == "X"]
    if unknown or not symbols:
        raise ValueError(f"elements are {list(symbols)}; symbols of the periodic table are needed, such as ['Cu'].")
    rng = np.random.default_rng(seed)
    solids = [s for s in symbols if _lattice(s) in SOLIDS][:2]
    families = []
    if solids:
        families.append((solids, _alloy(solids, rng), _primitive_solid(solids[0], rng)))
    if {"H", "O"} <= set(symbols):
        families.append((["H", "O"], _water((2, 2, 1), rng), _water((1, 1, 1), rng)))
    if not families:
        few = list(symbols[:3])
        families.append((few, _lattice_of_all(few, (2, 2, 2), rng), _lattice_of_all(few, (len(few), 1, 1), rng)))
    crystals = tuple(crystal for _, crystal, _ in families)
    return Samples(
        symbols=tuple(dict.fromkeys(s for few, _, _ in families for s in few)),
        crystals=crystals,
        clusters=tuple(_without_cell(crystal) for crystal in crystals),
        primitive=tuple(small for _, _, small in families),
        pairs=tuple(pair for few, _, _ in families for pair in _pairs(few)),
    )


def from_structures(structures: Sequence[Atoms]) -> Samples:
    """Structures of the user, sorted by kind; the originals are not changed.

    Raises:
        ValueError: there is no structure.
    """
    if not structures:
        raise ValueError("structures is empty; give at least one, or None for built-in ones.")
    copies = [_plain(atoms) for atoms in structures]
    crystals = [atoms for atoms in copies if atoms.pbc.all()]
    clusters = [_without_cell(atoms) for atoms in copies if not atoms.pbc.all()]
    symbols = list(dict.fromkeys(s for atoms in copies for s in atoms.get_chemical_symbols()))
    return Samples(
        symbols=tuple(symbols),
        crystals=tuple(crystals),
        clusters=tuple(clusters or (_without_cell(atoms) for atoms in crystals)),
        primitive=tuple(atoms for atoms in crystals if len(atoms) <= LARGEST_PRIMITIVE),
        pairs=tuple(_pairs(symbols[:3])),
    )


def sheared(atoms, rng, amount=0.08):
    """Copy with a triclinic cell and the same fractional coordinates."""
    atoms = atoms.copy()
    deformation = np.eye(3) + rng.uniform(-amount, amount, (3, 3))
    atoms.set_cell(atoms.cell.array @ deformation, scale_atoms=True)
    return atoms


def displaced(atoms, rng, amount=0.05):
    """Copy with normally distributed displacements of standard deviation `amount` in Angstrom."""
    atoms = atoms.copy()
    atoms.positions += rng.normal(scale=amount, size=(len(atoms), 3))
    return atoms


def _computes(calc, symbol):
    """Whether the calculator gives an energy for a dimer of an element."""
    atoms = Atoms([symbol] * 2, [(0, 0, 0), (0, 0, 1.1 * _contact(symbol, symbol))])
    try:
        return bool(np.isfinite(calc.get_property("energy", atoms)))
    except Exception:  # calculators raise various errors for an element they do not know
        return False


def _contact(first, second):
    """Sum of two covalent radii in Angstrom."""
    return float(covalent_radii[atomic_numbers[first]] + covalent_radii[atomic_numbers[second]])


def _lattice(symbol):
    state = reference_states[atomic_numbers[symbol]]
    return "" if state is None else str(state["symmetry"])


def _pairs(symbols):
    return [(a, b) for k, a in enumerate(symbols) for b in symbols[k:]]


def _plain(atoms):
    """A copy without constraints, wrapped along periodic directions."""
    atoms = atoms.copy()
    atoms.set_constraint()
    atoms.wrap()
    return atoms


def _without_cell(atoms):
    atoms = atoms.copy()
    atoms.set_cell(np.zeros((3, 3)))
    atoms.pbc = False
    return atoms


def _settled(atoms, rng):
    """Atoms off their sites, none near a face of the cell, from which rounding would move it to the other."""
    atoms = displaced(atoms, rng)
    atoms.positions += 0.13 * atoms.cell.array.sum(axis=0)
    atoms.wrap()
    return atoms


def _alloy(symbols, rng):
    """Conventional cell of the first element in which every second atom is replaced by the second element."""
    first, second = symbols[0], symbols[-1]
    lattice = _lattice(first)
    atoms = bulk(first, orthorhombic=lattice == "hcp", cubic=lattice != "hcp").repeat(SOLIDS[lattice])
    atoms.set_cell(atoms.cell.array * _contact(first, second) / _contact(first, first), scale_atoms=True)
    atoms.symbols[1::2] = second
    return _settled(atoms, rng)


def _primitive_solid(symbol, rng):
    return sheared(displaced(bulk(symbol), rng), rng)


def _lattice_of_all(symbols, repetitions, rng):
    """Simple cubic lattice with alternating elements."""
    sites = np.array(list(np.ndindex(*repetitions)))
    names = [symbols[int(site.sum()) % len(symbols)] for site in sites]
    distance = 1.3 * max(_contact(a, b) for a, b in _pairs(symbols))
    atoms = Atoms(names, sites * distance, cell=np.multiply(repetitions, distance), pbc=True)
    return sheared(_settled(atoms, rng), rng, 0.03)


def _water(repetitions, rng):
    """Water molecules on a cubic lattice at the density of the liquid; of 30 random orientations the least crowded."""
    best, largest = None, -1.0
    for _ in range(30):
        atoms = Atoms(cell=np.multiply(repetitions, MOLECULE_BOX), pbc=True)
        for site in np.ndindex(*repetitions):
            one = molecule("H2O")
            one.euler_rotate(*rng.uniform(0, 360, 3))
            one.translate(MOLECULE_BOX * (np.array(site) + 0.5) - one.get_center_of_mass())
            atoms += one
        owner = np.arange(len(atoms)) // 3
        atoms_twice = atoms.repeat(2)  # the nearest image can belong to the molecule of the atom itself
        distances = atoms_twice.get_all_distances(mic=True)
        owner = np.concatenate([owner + k * len(owner) for k in range(8)])
        closest = distances[owner[:, None] != owner].min()
        if closest > largest:
            best, largest = atoms, closest
    assert best is not None
    atoms = displaced(best, rng, 0.02)
    atoms.wrap()
    return atoms
