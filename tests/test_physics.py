"""The shipped models behave; the checks are those that their cards report."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.mep import NEB
from ase.optimize import FIRE
from ase.vibrations import Vibrations, VibrationsData
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms

from latte_ase import LatteCalculator

MODELS = Path(__file__).parents[1] / "models"


def crystal():
    """The module models/crystal.py."""
    spec = importlib.util.spec_from_file_location("crystal", MODELS / "crystal.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def silicon():
    """Relaxed cubic cell, its calculator, and the checks."""
    check = crystal()
    calculator = LatteCalculator.from_pretrained("latte-si", dtype="float64")
    return check, calculator, check.relaxed_cell(check.CRYSTALS["latte-si"], calculator)


def test_silicon_has_the_lattice_constant_of_pbe(silicon):
    """5.469 Angstrom: Zuo et al., J. Phys. Chem. A 124, 731 (2020); within 0.5 %."""
    _, _, atoms = silicon
    assert atoms.cell.lengths()[0] == pytest.approx(5.469, rel=0.005)


def test_silicon_phonons_are_positive(silicon):
    check, calculator, atoms = silicon
    frequencies = check.phonon_frequencies(atoms, calculator, "F")
    assert frequencies.min() > 0
    assert 13 < frequencies.max() < 17  # experiment: 15.5 THz at Gamma


def test_silicon_is_elastically_stable(silicon):
    """Born's criteria of a cubic crystal."""
    check, _, atoms = silicon
    c11, c12, c44 = check.elastic_constants(atoms)
    assert c11 > abs(c12) and c11 + 2 * c12 > 0 and c44 > 0


def test_an_atom_halfway_into_a_vacancy_is_where_a_band_is_highest():
    """In fcc the saddle point lies halfway; by EMT, which knows nothing of this package."""
    check = crystal()
    calculator = EMT()
    atoms = check.relaxed_cell(check.CRYSTALS["latte-cu"], calculator)
    formation, _, converged = check.vacancy(atoms, calculator, 3)
    assert converged
    ends = [atoms.repeat(3), atoms.repeat(3)]
    ends[1].positions[1] = ends[1].positions[0]  # its nearest neighbour
    for cell in ends:
        del cell[0]
        cell.calc = EMT()
        FIRE(cell, logfile=None).run(fmax=0.01, steps=200)
    images = [ends[0], *(ends[0].copy() for _ in range(3)), ends[1]]
    for image in images[1:-1]:
        image.calc = EMT()
    band = NEB(images, climb=True, method="improvedtangent")
    band.interpolate(mic=True)
    FIRE(band, logfile=None).run(fmax=0.02, steps=100)
    energies = [image.get_potential_energy() for image in images]
    assert check.halfway(atoms, calculator, 3) - formation == pytest.approx(max(energies) - energies[0], abs=2e-3)


def test_phonopy_finds_the_same_frequencies_by_displacements_and_from_the_hessian(silicon):
    _, calculator, atoms = silicon
    a = atoms.cell.lengths()[0]
    unit = bulk("Si", a=a)
    phonons = Phonopy(
        PhonopyAtoms(unit.get_chemical_symbols(), cell=unit.cell, scaled_positions=unit.get_scaled_positions()),
        supercell_matrix=np.diag([3, 3, 3]),
    )
    frequencies = []
    phonons.generate_displacements(distance=0.005)
    phonons.forces = [
        calculator.get_property("forces", Atoms(s.symbols, cell=s.cell, positions=s.positions, pbc=True))
        for s in phonons.supercells_with_displacements
    ]
    phonons.produce_force_constants()
    points = [(0, 0, 0), (0.5, 0, 0.5), (0.5, 0.5, 0.5)]
    phonons.run_qpoints(points)
    frequencies.append(phonons.qpoints.frequencies)
    s = phonons.supercell
    atoms = Atoms(s.symbols, cell=s.cell, positions=s.positions, pbc=True)
    n = len(atoms)
    phonons.force_constants = calculator.get_hessian(atoms).reshape(n, 3, n, 3).transpose(0, 2, 1, 3)
    phonons.run_qpoints(points)
    np.testing.assert_allclose(phonons.qpoints.frequencies, frequencies[0], atol=0.01)  # THz


def test_ase_finds_the_vibrations_that_the_hessian_has(tmp_path):
    atoms = molecule("H2O")
    atoms.calc = LatteCalculator.from_pretrained("latte-water", dtype="float64")
    FIRE(atoms, logfile=None).run(fmax=1e-4, steps=300)
    moved = Vibrations(atoms, name=str(tmp_path / "vib"), delta=0.002)
    moved.run()
    exact = VibrationsData.from_2d(atoms, atoms.calc.get_hessian(atoms)).get_frequencies()
    assert (exact[-3:].real > 1000).all()
    np.testing.assert_allclose(moved.get_frequencies()[-3:].real, exact[-3:].real, rtol=1e-3)


@pytest.mark.slow
def test_silicon_vacancy_relaxes(silicon):
    check, calculator, atoms = silicon
    formation, moved, converged = check.vacancy(atoms, calculator, 3)
    assert converged and moved < 1.0
    assert 2.0 < formation < 4.5
