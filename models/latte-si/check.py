"""Physics of latte-si: lattice constant, elastic constants, phonons, vacancy.

    python models/latte-si/check.py [MODEL]

Needs phonopy (the extra `dev`).  Prints a Markdown table; literature PBE values from the papers
named in it.
"""

import sys

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.constraints import FixAtoms
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from ase.units import GPa
from matscipy.elasticity import fit_elastic_constants
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms

from latte_ase import LatteCalculator


def relaxed_cell(calculator):
    """Cubic cell of 8 atoms at zero stress."""
    atoms = bulk("Si", a=5.43, cubic=True)
    atoms.calc = calculator
    BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=1e-4, steps=200)
    return atoms


def elastic_constants(atoms):
    """C11, C12, C44 in GPa with relaxed internal coordinates; `atoms` stay as they are."""
    calculator, atoms = atoms.calc, atoms.copy()
    atoms.calc = calculator
    matrix, _ = fit_elastic_constants(atoms, symmetry="cubic", optimizer=BFGS, fmax=1e-4, verbose=False)
    return tuple(matrix[index] / GPa for index in ((0, 0), (0, 1), (3, 3)))


def phonon_frequencies(atoms, calculator):
    """All frequencies in THz on an 8 x 8 x 8 mesh, from a 2 x 2 x 2 supercell of the cubic cell."""
    unit = PhonopyAtoms(symbols=atoms.get_chemical_symbols(), cell=atoms.cell, positions=atoms.positions)
    phonon = Phonopy(unit, 2 * np.eye(3, dtype=int), primitive_matrix="F", log_level=0)
    phonon.generate_displacements(distance=0.01)
    forces = []
    for supercell in phonon.supercells_with_displacements:
        moved = Atoms(supercell.symbols, cell=supercell.cell, positions=supercell.positions, pbc=True)
        moved.calc = calculator
        forces.append(moved.get_forces())
    phonon.forces = forces
    phonon.produce_force_constants()
    phonon.run_mesh((8, 8, 8), is_gamma_center=False, is_mesh_symmetry=False)
    return phonon.mesh.frequencies


def vacancy(atoms, calculator):
    """Formation energy in eV of a vacancy in 215 atoms, and the largest displacement in Angstrom."""
    cell = atoms * (3, 3, 3)
    bulk_energy = atoms.get_potential_energy() / len(atoms)
    del cell[0]
    start = cell.positions.copy()
    cell.rattle(0.02, seed=0)  # the undistorted vacancy is a saddle point
    cell.set_constraint(FixAtoms([len(cell) - 1]))
    cell.calc = calculator
    converged = BFGS(cell, logfile=None).run(fmax=0.01, steps=300)
    moved = np.linalg.norm(cell.positions - start, axis=1).max()
    return cell.get_potential_energy() - len(cell) * bulk_energy, moved, converged


def main(model="latte-si"):
    calculator = LatteCalculator.from_pretrained(model, dtype="float64")
    atoms = relaxed_cell(calculator)
    a = atoms.cell.lengths()[0]
    c11, c12, c44 = elastic_constants(atoms)
    frequencies = phonon_frequencies(atoms, calculator)
    formation, moved, converged = vacancy(atoms, calculator)
    print("| property | latte-si | PBE | source |\n| --- | --- | --- | --- |")
    print(f"| lattice constant (Å) | {a:.4f} ({100 * (a / 5.469 - 1):+.2f} %) | 5.469 | Zuo 2020 |")
    for name, value, reference in (("C11", c11, 156), ("C12", c12, 65), ("C44", c44, 76)):
        print(f"| {name} (GPa) | {value:.1f} | {reference} | Zuo 2020 |")
    print(f"| phonon frequencies, lowest to highest (THz) | {frequencies.min():.3f} to {frequencies.max():.2f} | | |")
    print(f"| vacancy formation energy (eV) | {formation:.2f} | 3.25 | Zuo 2020 |")
    print(f"| vacancy relaxation | converged {converged}, largest displacement {moved:.2f} Å | | |")


if __name__ == "__main__":
    main(*sys.argv[1:])
