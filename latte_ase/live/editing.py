"""Structures changed by hand: atoms fixed, taken out, replaced, added."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.build import molecule
from ase.collections import g2
from ase.constraints import FixAtoms
from ase.data import atomic_numbers, covalent_radii
from ase.geometry import get_distances

from latte_ase.live.commands import Add, CommandError, Delete, Fix, Replace

LEAST_ROOM = 0.6
"""Least distance of an added atom to others, relative to the sum of covalent radii."""


def require_atoms(chosen, count: int) -> None:
    """Raise CommandError where an index is not that of an atom."""
    for index in chosen:
        if not -1 < index < count:
            raise CommandError(f"There is no atom {index}; the structure has {count}, numbered from 0.")


def molecules() -> list[str]:
    """Names of molecules that can be added: those of `ase.build.molecule` for which it needs no more than the name."""
    return sorted(g2.names)


def edited(atoms: Atoms, change: Fix | Delete | Replace | Add) -> Atoms:
    """Copy of atoms with a change.

    Args:
        atoms: the atoms, with momenta and FixAtoms.
        change: what to do.

    Raises:
        CommandError: an atom, element or molecule does not exist, no atom would be left, or an added one would be too close.
    """
    atoms = atoms.copy()
    if isinstance(change, Fix):
        return _fixed(atoms, change)
    if isinstance(change, Delete):
        return _without(atoms, change)
    if isinstance(change, Replace):
        return _replaced(atoms, change)
    return _with(atoms, change)


def _fixed(atoms: Atoms, change: Fix) -> Atoms:
    require_atoms(change.atoms, len(atoms))
    held = {int(k) for constraint in atoms.constraints for k in constraint.index}
    held = held | set(change.atoms) if change.fixed else held - set(change.atoms)
    atoms.set_constraint(FixAtoms(sorted(held)) if held else None)
    momenta = atoms.get_momenta()
    momenta[sorted(held)] = 0
    atoms.set_momenta(momenta, apply_constraint=False)
    return atoms


def _without(atoms: Atoms, change: Delete) -> Atoms:
    require_atoms(change.atoms, len(atoms))
    if len(set(change.atoms)) == len(atoms):
        raise CommandError(f"All {len(atoms)} atoms would be deleted; at least one must be left.")
    del atoms[sorted(set(change.atoms))]
    return atoms


def _replaced(atoms: Atoms, change: Replace) -> Atoms:
    require_atoms([change.atom], len(atoms))
    number = _number(change.symbol)
    speed = atoms.get_momenta()[change.atom] / atoms.get_masses()[change.atom]
    atoms.numbers[change.atom] = number
    if atoms.has("masses"):
        masses = atoms.get_masses()
        masses[change.atom] = Atoms(numbers=[number]).get_masses()[0]
        atoms.set_masses(masses)  # type: ignore[arg-type]
    momenta = atoms.get_momenta()
    momenta[change.atom] = speed * atoms.get_masses()[change.atom]
    atoms.set_momenta(momenta, apply_constraint=False)
    return atoms


def _with(atoms: Atoms, change: Add) -> Atoms:
    if (change.symbol is None) == (change.molecule is None):
        raise CommandError("An atom (symbol) or a molecule is needed to add, one of the two.")
    if change.symbol is not None:
        new = Atoms(numbers=[_number(change.symbol)], positions=[[0, 0, 0]])
    elif change.molecule in g2.names:
        new = molecule(change.molecule)
    else:
        raise CommandError(
            f"There is no molecule {change.molecule!r}; known are those of ase.build.molecule, such as 'H2O'."
        )
    new.positions += np.array(change.at) - new.positions.mean(axis=0)
    _require_room(atoms, new)
    new.set_cell(atoms.cell)
    atoms.extend(new)
    return atoms


def _require_room(atoms: Atoms, new: Atoms) -> None:
    distances = get_distances(new.positions, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)[1]
    least = LEAST_ROOM * (covalent_radii[new.numbers][:, None] + covalent_radii[atoms.numbers][None])
    if (distances < least).any():
        i, j = np.unravel_index(np.argmin(distances - least), distances.shape)
        raise CommandError(
            f"The new {new.symbols[i]} would be {distances[i, j]:.2f} Å from atom {j} ({atoms.symbols[j]}); at least "
            f"{least[i, j]:.2f} Å are needed. Choose another place."
        )


def _number(symbol: str) -> int:
    number = atomic_numbers.get(symbol, 0)
    if number == 0:
        raise CommandError(f"There is no element {symbol!r}; a symbol such as 'O' is needed.")
    return number
