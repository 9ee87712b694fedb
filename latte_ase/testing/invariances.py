"""Checks that equivalent descriptions of one structure have the same energy, forces and stress."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.stress import full_3x3_to_voigt_6_stress, voigt_6_to_full_3x3_stress

from latte_ase.testing.samples import sheared
from latte_ase.testing.subject import Answer, Deviation, NotApplicable, Subject, largest

SEPARATION = 1000.0
"""Distance in Angstrom by which structures are translated and atoms are separated."""
VACUUM = 60.0
"""Vacuum around a slab in Angstrom: larger than cutoffs, and small enough for every neighbour list."""


def rotation(subject: Subject) -> list[Deviation]:
    """A rotation of atoms and cell rotates forces and stress, and keeps the energy."""
    matrix = _rotation(subject.rng)

    def rotate(atoms):
        atoms.set_cell(atoms.cell.array @ matrix.T)
        atoms.positions = atoms.positions @ matrix.T

    def turned(answer):
        return _transformed(answer, matrix)

    return _changed(subject, rotate, turned)


def inversion(subject: Subject) -> list[Deviation]:
    """Inversion of all positions inverts the forces, and keeps energy and stress."""

    def invert(atoms):
        # through the centre of the cell, so that atoms stay inside it
        atoms.positions = atoms.cell.array.sum(axis=0) - atoms.positions

    return _changed(subject, invert, lambda answer: _transformed(answer, -np.eye(3)))


def permutation(subject: Subject) -> list[Deviation]:
    """A permutation of the atoms permutes the forces, and keeps energy and stress."""
    found = []
    for atoms in subject.everything:
        order = subject.rng.permutation(len(atoms))
        expected = subject.answer(atoms)
        expected = expected._replace(forces=expected.forces[order])
        found += subject.compare(subject.answer(atoms[order]), expected, _name(atoms))
    return found


def translation(subject: Subject) -> list[Deviation]:
    """A translation of all atoms by 1000 Angstrom, out of the cell, changes nothing."""
    direction = subject.rng.normal(size=3)

    def move(atoms):
        atoms.positions += SEPARATION * direction / np.linalg.norm(direction)

    return _changed(subject, move)


def wrapping(subject: Subject) -> list[Deviation]:
    """Moving single atoms by lattice vectors changes nothing."""

    def scatter(atoms):
        atoms.positions += subject.rng.integers(-3, 4, (len(atoms), 3)) @ atoms.cell.array

    return _changed(subject, scatter, structures=subject.crystals)


def replication(subject: Subject) -> list[Deviation]:
    """A supercell of two cells has the same energy per atom, forces and stress."""
    return [d for atoms in subject.crystals for d in _supercell(subject, atoms, (2, 1, 1))]


def small_cell(subject: Subject) -> list[Deviation]:
    """A primitive cell, smaller than most cutoffs, agrees with its 3x3x3 supercell."""
    if not subject.samples.primitive:
        raise NotApplicable("no structure has few enough atoms to be repeated 3x3x3")
    return [d for atoms in subject.samples.primitive for d in _supercell(subject, atoms, (3, 3, 3))]


def left_handed(subject: Subject) -> list[Deviation]:
    """Exchanging two cell vectors, which makes a left-handed cell of the same crystal, changes nothing."""

    def exchange(atoms):
        atoms.set_cell(atoms.cell.array[[1, 0, 2]])

    skewed = tuple(sheared(atoms, subject.rng) for atoms in subject.crystals)
    return _changed(subject, exchange, structures=skewed)


def mixed_pbc(subject: Subject) -> list[Deviation]:
    """A slab with pbc (True, True, False) agrees with the same slab in a periodic cell with vacuum.

    The cell vector along the non-periodic direction is shorter than the thickness of the slab plus a cutoff, and
    the atoms are also moved along it by several lengths; neither must change the result.
    """
    found = []
    for crystal in subject.crystals:
        expected = subject.answer(_in_vacuum(crystal), stress=False)
        slab = crystal.copy()
        slab.pbc = (True, True, False)
        outside = slab.copy()
        outside.positions += 5.0 * slab.cell.array[2]
        found += subject.compare(subject.answer(slab), expected, f"{_name(crystal)} as a slab")
        found += subject.compare(subject.answer(outside), expected, f"{_name(crystal)} as a slab outside its cell")
    return found


def zero_row(subject: Subject) -> list[Deviation]:
    """A slab whose cell vector along the non-periodic direction is zero agrees with the slab in vacuum."""
    found = []
    for crystal in subject.crystals:
        expected = subject.answer(_in_vacuum(crystal), stress=False)
        slab = crystal.copy()
        slab.pbc = (True, True, False)
        slab.set_cell(slab.cell.array * [[1.0], [1.0], [0.0]])
        found += subject.compare(subject.answer(slab), expected, f"{_name(crystal)} as a slab")
    return found


def isolated_atom(subject: Subject) -> list[Deviation]:
    """An isolated atom has a finite energy, and forces of shape (1, 3) that are zero."""
    found = []
    for symbol in subject.samples.symbols:
        answer = subject.answer(Atoms(symbol))
        finite = np.isfinite(answer.energy)
        found.append(Deviation(0.0 if finite else np.nan, subject.tolerances.energy, "eV/atom", f"energy of {symbol}"))
        right = answer.forces.shape == (1, 3)
        where = f"forces of {symbol}" + ("" if right else f": shape {answer.forces.shape}, not (1, 3)")
        value = largest(answer.forces) if right else np.nan
        found.append(Deviation(value, subject.tolerances.forces, "eV/Å", where))
    return found


def distant_atoms(subject: Subject) -> list[Deviation]:
    """Two atoms at a distance of 1000 Angstrom have the sum of the energies of isolated atoms, and no forces."""
    found = []
    for first, second in subject.samples.pairs:
        energy = subject.answer(Atoms(first)).energy + subject.answer(Atoms(second)).energy
        pair = Atoms([first, second], [(0, 0, 0), SEPARATION * np.array([0.6, 0.0, 0.8])])
        found += subject.compare(subject.answer(pair), Answer(energy, np.zeros((2, 3))), f"{first} and {second}")
    return found


def _name(atoms):
    return atoms.get_chemical_formula()


def _changed(subject, change, transform=lambda answer: answer, *, structures=None):
    """Deviations between the results for a changed structure and the transformed results for the original."""
    found = []
    for atoms in subject.everything if structures is None else structures:
        changed = atoms.copy()
        change(changed)
        expected = transform(subject.answer(atoms))
        subject.answer(atoms[::-1])  # so that a neighbour list of the original is not reused
        found += subject.compare(subject.answer(changed), expected, _name(atoms))
    return found


def _rotation(rng):
    """Random rotation matrix (3, 3)."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q * np.linalg.det(q)


def _transformed(answer, matrix):
    """Results with forces and stress rotated by a matrix."""
    if answer.stress is None:
        stress = None
    else:
        stress = full_3x3_to_voigt_6_stress(matrix @ voigt_6_to_full_3x3_stress(answer.stress) @ matrix.T)
    return answer._replace(forces=answer.forces @ matrix.T, stress=stress)


def _supercell(subject, atoms, repetitions):
    one = subject.answer(atoms)
    expected = one._replace(forces=np.tile(one.forces, (int(np.prod(repetitions)), 1)))
    # energies are compared per atom
    expected = expected._replace(energy=one.energy * np.prod(repetitions))
    name = f"{_name(atoms)} {'x'.join(map(str, repetitions))}"
    return subject.compare(subject.answer(atoms.repeat(repetitions)), expected, name)


def _in_vacuum(crystal):
    """Slab of a crystal in a periodic cell with vacuum normal to its first two cell vectors."""
    atoms = crystal.copy()
    normal = np.cross(atoms.cell.array[0], atoms.cell.array[1])
    normal /= np.linalg.norm(normal)
    heights = atoms.positions @ normal
    atoms.set_cell([*atoms.cell.array[:2], (np.ptp(heights) + VACUUM) * normal])
    atoms.positions += (0.5 * VACUUM - heights.min()) * normal
    return atoms
