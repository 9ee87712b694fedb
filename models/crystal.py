"""Physics of the models of one element: lattice and elastic constants, phonons, vacancy and its hop, dynamics.

    python models/crystal.py NAME [MODEL]

NAME is one of `CRYSTALS`; MODEL a file, default the shipped model.  Needs phonopy (the extra `dev`).  Prints a Markdown
table beside PBE values of Zuo et al., J. Phys. Chem. A 124, 731 (2020), doi 10.1021/acs.jpca.9b08723, whose
DFT made the training data.  But for the lattice constant of nickel those of Cu, Ge, Li, Mo and Ni still have to be
checked against the printed table; the cards name values that were.  The dynamics take the longest: two runs of 50 ps,
which end with an error if an atom leaves the model's domain.
"""

import sys
from typing import NamedTuple

import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.constraints import FixAtoms
from ase.filters import FrechetCellFilter
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.optimize import BFGS
from ase.units import GPa
from matscipy.elasticity import fit_elastic_constants
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms

from latte_ase import LatteCalculator, simulate

PICOSECONDS = 50


class Crystal(NamedTuple):
    """A crystal and its literature.

    Attributes:
        symbol, structure: as `ase.build.bulk` takes them.
        lattice: constant, Angstrom.
        elastic: C11, C12, C44 in GPa.
        vacancy: formation energy, eV.
        melting: experimental melting point, K (CRC Handbook).
        repeat: cubic cells along an edge of the box for the vacancy; one less for the dynamics.
        timestep: fs.
    """

    symbol: str
    structure: str
    lattice: float
    elastic: tuple[float, float, float]
    vacancy: float
    melting: float
    repeat: int
    timestep: float = 2.0


CENTRING = {"diamond": "F", "fcc": "F", "bcc": "I"}
CRYSTALS = {
    "latte-si": Crystal("Si", "diamond", 5.469, (156, 65, 76), 3.25, 1687, 3),
    "latte-ge": Crystal("Ge", "diamond", 5.763, (116, 48, 58), 2.19, 1211, 3),
    "latte-ni": Crystal("Ni", "fcc", 3.508, (276, 159, 132), 1.49, 1728, 4),
    "latte-cu": Crystal("Cu", "fcc", 3.621, (173, 133, 88), 1.15, 1358, 4),
    "latte-mo": Crystal("Mo", "bcc", 3.168, (472, 158, 106), 2.70, 2896, 5),
    "latte-li": Crystal("Li", "bcc", 3.427, (15, 13, 11), 0.62, 454, 5, 1.0),
}
CRYSTALS["latte-si-large"] = CRYSTALS["latte-si"]


def relaxed_cell(crystal: Crystal, calculator) -> Atoms:
    """The cubic cell at zero stress."""
    atoms = bulk(crystal.symbol, crystal.structure, a=crystal.lattice, cubic=True)
    atoms.calc = calculator
    BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=1e-4, steps=200)
    return atoms


def elastic_constants(atoms: Atoms) -> tuple[float, ...]:
    """C11, C12, C44 in GPa with relaxed internal coordinates; `atoms` stay as they are."""
    calculator, atoms = atoms.calc, atoms.copy()
    atoms.calc = calculator
    matrix, _ = fit_elastic_constants(atoms, symmetry="cubic", optimizer=BFGS, fmax=1e-4, verbose=False)
    return tuple(matrix[index] / GPa for index in ((0, 0), (0, 1), (3, 3)))


def phonon_frequencies(atoms: Atoms, calculator, centring: str) -> np.ndarray:
    """All frequencies in THz on a shifted 8 x 8 x 8 mesh, from a supercell of at least 10 Angstrom; F or I."""
    unit = PhonopyAtoms(symbols=atoms.get_chemical_symbols(), cell=atoms.cell, positions=atoms.positions)
    times = int(np.ceil(10 / atoms.cell.lengths()[0]))
    phonon = Phonopy(unit, times * np.eye(3, dtype=int), primitive_matrix=centring, log_level=0)
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


def vacancy(atoms: Atoms, calculator, repeat: int) -> tuple[float, float, bool]:
    """Formation energy in eV of a vacancy, the largest displacement in Angstrom, and whether it converged."""
    cell = atoms.repeat(repeat)
    bulk_energy = atoms.get_potential_energy() / len(atoms)
    del cell[0]
    start = cell.positions.copy()
    cell.rattle(0.02, seed=0)  # the undistorted vacancy of silicon is a saddle point
    cell.set_constraint(FixAtoms([len(cell) - 1]))
    cell.calc = calculator
    converged = BFGS(cell, logfile=None).run(fmax=0.01, steps=300)
    moved = np.linalg.norm(cell.positions - start, axis=1).max()
    return cell.get_potential_energy() - len(cell) * bulk_energy, moved, bool(converged)


def halfway(atoms: Atoms, calculator, repeat: int) -> float:
    """Energy in eV of the crystal with one atom less and another halfway between its own site and the empty one.

    The others are relaxed.  Inversion about the atom holds it where it is, which is the saddle point of the hop, or a
    shallow minimum between two of them; taken from `vacancy`'s, with one energy per atom of the crystal, it is what the hop meets.
    """
    cell = atoms.repeat(repeat)
    bulk_energy = atoms.get_potential_energy() / len(atoms)
    apart = cell.get_all_distances(mic=True)[0]
    hopping = int(np.argmin(np.where(np.arange(len(cell)) == 0, np.inf, apart)))
    cell.positions[hopping] += cell.get_distance(hopping, 0, mic=True, vector=True) / 2
    del cell[0]
    cell.calc = calculator
    BFGS(cell, logfile=None).run(fmax=0.01, steps=300)
    return cell.get_potential_energy() - len(cell) * bulk_energy


def displacement(atoms: Atoms, calculator, temperature: float, *, timestep: float = 2.0) -> float:
    """Root mean square distance of the atoms from where they began, Angstrom, after 50 ps of NVT.

    Args:
        atoms: a crystal; they are moved.
        calculator: strict, for an error where an atom leaves the model's domain.
        temperature: K.
        timestep: fs.
    """
    start = atoms.positions.copy()
    MaxwellBoltzmannDistribution(atoms, temperature_K=temperature, rng=np.random.default_rng(0))
    simulate.md(
        atoms,
        calculator,
        round(1000 * PICOSECONDS / timestep),
        timestep=timestep * units.fs,
        ensemble=simulate.Langevin(temperature_K=temperature, friction=0.005 / units.fs),
        seed=0,
        progress=False,
    )
    moved = atoms.positions - start
    moved -= moved.mean(axis=0)
    return float(np.sqrt((moved**2).sum(axis=1).mean()))


def main(name: str, model: str | None = None) -> None:
    """Print the table of one model."""
    crystal, model = CRYSTALS[name], model or name
    calculator = LatteCalculator.from_pretrained(model, dtype="float64")
    atoms = relaxed_cell(crystal, calculator)
    a = atoms.cell.lengths()[0]
    frequencies = phonon_frequencies(atoms, calculator, CENTRING[crystal.structure])
    formation, moved, converged = vacancy(atoms, calculator, crystal.repeat)
    n = len(atoms) * crystal.repeat**3
    print(f"| property | {name} | PBE |\n| --- | --- | --- |")
    print(f"| lattice constant (Å) | {a:.4f} ({100 * (a / crystal.lattice - 1):+.2f} %) | {crystal.lattice} |")
    for label, value, reference in zip(("C11", "C12", "C44"), elastic_constants(atoms), crystal.elastic, strict=True):
        print(f"| {label} (GPa) | {value:.0f} | {reference} |")
    print(
        f"| phonon frequencies, shifted 8 x 8 x 8 mesh (THz) | {frequencies.min():.2f} to {frequencies.max():.2f} | |"
    )
    print(f"| vacancy formation energy, {n - 1} atoms (eV) | {formation:.2f} | {crystal.vacancy} |")
    barrier = halfway(atoms, calculator, crystal.repeat) - formation
    print(f"| an atom halfway into the vacancy, above it (eV) | {barrier:.2f} | |")
    print(f"| vacancy relaxation | converged {converged}, largest displacement {moved:.2f} Å | |")
    for temperature in (300.0, round(0.8 * crystal.melting)):
        strict = LatteCalculator.from_pretrained(model, strict=True)
        moved = displacement(atoms.repeat(crystal.repeat - 1), strict, temperature, timestep=crystal.timestep)
        print(f"| {PICOSECONDS} ps of NVT at {temperature:.0f} K | stays in its domain, {moved:.2f} Å from sites | |")


if __name__ == "__main__":
    main(*sys.argv[1:])
