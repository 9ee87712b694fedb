"""ASE's own dynamics and optimisers with LatteCalculator where EMT would stand."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.filters import FrechetCellFilter
from ase.md.langevin import Langevin
from ase.md.nose_hoover_chain import MTKNPT, IsotropicMTKNPT
from ase.md.verlet import VelocityVerlet
from ase.mep import NEB
from ase.optimize import BFGS, FIRE

from latte_ase import LatteCalculator

FS = units.fs


def thermalise(atoms, kelvin, seed=0):
    """Maxwell-Boltzmann velocities without a drift."""
    rng = np.random.default_rng(seed)
    atoms.set_momenta(rng.normal(size=(len(atoms), 3)) * np.sqrt(atoms.get_masses()[:, None] * units.kB * kelvin))
    atoms.set_momenta(atoms.get_momenta() - atoms.get_momenta().mean(axis=0))


def drift(atoms, dynamics, steps):
    """Slope of the total energy in meV/atom/ps, and the spread about the line in meV/atom."""
    energies = []
    for _ in dynamics.irun(steps):
        energies.append(1e3 * atoms.get_total_energy() / len(atoms))
    time = np.arange(len(energies)) * dynamics.dt / FS / 1e3
    line = np.polyfit(time, energies, 1)
    return line[0], np.std(energies - np.polyval(line, time))


@pytest.fixture(scope="module")
def si_calculator():
    return LatteCalculator.from_pretrained("latte-si")


@pytest.fixture
def silicon(si_calculator):
    """Eight atoms off their sites."""
    atoms = bulk("Si", cubic=True, a=5.47)
    atoms.rattle(0.08, seed=1)
    atoms.calc = si_calculator
    return atoms


def water(n, calculator, fmax=0.5):
    """n^3 molecules on a lattice, turned at random, at 1 g/cm^3, relaxed for some steps."""
    rng = np.random.default_rng(0)
    side = (18.015 / units.mol * 1e24) ** (1 / 3)
    atoms = Atoms(cell=[n * side] * 3, pbc=True)
    for site in np.ndindex(n, n, n):
        one = molecule("H2O")
        one.euler_rotate(*rng.uniform(0, 360, 3), center="COM")
        one.translate(side * np.array(site) - one.get_center_of_mass())
        atoms += one
    atoms.calc = calculator
    FIRE(atoms, logfile=None).run(fmax=fmax, steps=60)
    return atoms


@pytest.fixture(scope="module")
def water_calculator():
    return LatteCalculator.from_pretrained("latte-water")


@pytest.fixture(scope="module")
def relaxed_water(water_calculator):
    """27 molecules."""
    return water(3, water_calculator)


@pytest.fixture
def few_waters(relaxed_water, water_calculator):
    """A copy of it."""
    atoms = relaxed_water.copy()
    atoms.calc = water_calculator
    return atoms


def test_velocity_verlet_conserves_the_energy_of_silicon(silicon):
    thermalise(silicon, 300)
    slope, spread = drift(silicon, VelocityVerlet(silicon, 1.0 * FS), 500)
    assert spread < 0.2
    assert abs(slope) < 0.05


def test_halving_the_time_step_quarters_the_error_of_the_energy(silicon):
    """Forces that are not the gradient of the energy would not show this."""
    thermalise(silicon, 600)
    spreads = []
    for step in (2.0, 1.0):
        atoms = silicon.copy()
        atoms.calc = silicon.calc
        spreads.append(drift(atoms, VelocityVerlet(atoms, step * FS), int(300 / step))[1])
    assert 3 < spreads[0] / spreads[1] < 5


def test_langevin_reaches_its_temperature(silicon):
    dynamics = Langevin(
        silicon, 2.0 * FS, temperature_K=400, friction=0.05 / FS, fixcm=False, rng=np.random.default_rng(3)
    )
    dynamics.run(100)
    temperatures = [silicon.get_temperature() for _ in dynamics.irun(600)]
    assert 300 < np.mean(temperatures) < 500


def test_npt_keeps_its_conserved_quantity_and_moves_the_cell(silicon):
    thermalise(silicon, 300)
    dynamics = MTKNPT(silicon, 1.0 * FS, temperature_K=300, pressure_au=0, tdamp=50 * FS, pdamp=300 * FS)
    start, cell = dynamics.get_conserved_energy(), silicon.cell.array.copy()
    conserved = [dynamics.get_conserved_energy() for _ in dynamics.irun(300)]
    assert np.abs(np.array(conserved) - start).max() / len(silicon) < 1e-3
    assert np.abs(silicon.cell.array - cell).max() > 0.01


@pytest.mark.parametrize("optimiser", [BFGS, FIRE])
def test_positions_relax(silicon, optimiser):
    ideal = bulk("Si", cubic=True, a=5.47)
    ideal.calc = silicon.calc
    assert optimiser(silicon, logfile=None).run(fmax=0.005, steps=200)
    assert np.linalg.norm(silicon.get_forces(), axis=1).max() < 0.005
    assert silicon.get_potential_energy() == pytest.approx(ideal.get_potential_energy(), abs=1e-3)


def test_strained_silicon_relaxes_to_no_stress(silicon):
    silicon.set_cell(silicon.cell.array @ [[1.04, 0.02, 0], [0, 0.98, 0.03], [0, 0, 1.02]], scale_atoms=True)
    assert np.abs(silicon.get_stress()).max() > 0.01
    # the filter's forces on the cell are those of its volume per atom: fmax / 20 Angstrom^3 is the stress that it leaves
    assert BFGS(FrechetCellFilter(silicon), logfile=None).run(fmax=0.002, steps=200)
    assert np.abs(silicon.get_stress()).max() < 1e-4  # 0.016 GPa
    lengths, angles = np.split(silicon.cell.cellpar(), 2)
    np.testing.assert_allclose(lengths, lengths.mean(), rtol=2e-3)
    np.testing.assert_allclose(angles, 90, atol=0.2)
    assert 5.3 < lengths.mean() < 5.6


def test_a_vacancy_hops_over_a_barrier():
    perfect = bulk("Si", cubic=True, a=5.47) * (2, 2, 2)
    hopper = int(np.argmin(np.where(np.arange(64) == 0, np.inf, perfect.get_all_distances(mic=True)[0])))
    first = perfect.copy()
    last = perfect.copy()
    last.positions[hopper] = perfect.positions[0]
    ends = []
    for atoms in (first, last):
        del atoms[0]
        atoms.calc = LatteCalculator.from_pretrained("latte-si")
        FIRE(atoms, logfile=None).run(fmax=0.05, steps=60)
        ends.append(atoms.get_potential_energy())
    assert ends[0] == pytest.approx(ends[1], abs=0.01)  # by symmetry

    images = [first, *(first.copy() for _ in range(3)), last]
    for image in images[1:-1]:
        image.calc = LatteCalculator.from_pretrained("latte-si")
    band = NEB(images, climb=True, method="improvedtangent")
    band.interpolate(mic=True)
    FIRE(band, logfile=None).run(fmax=0.1, steps=30)
    energies = [image.get_potential_energy() for image in images]
    assert np.isfinite(band.get_forces()).all()
    assert max(energies) - ends[0] > 0.01  # 0.03 eV from the symmetric vacancy; float32 noise is 1e-4
    assert int(np.argmax(energies)) in (1, 2, 3)
    assert sum(image.calc.stats.compilations for image in images) <= 4  # five calculators share what was compiled


def npt(atoms, seed):
    """Isotropic NPT of water at 300 K."""
    thermalise(atoms, 300, seed)
    return IsotropicMTKNPT(atoms, 0.5 * FS, temperature_K=300, pressure_au=0, tdamp=50 * FS, pdamp=500 * FS)


def no_compilation_after_warm_up(atoms, warm_up, steps):
    """Runs NPT; True also asks that the run was one: new lists and another volume."""
    stats, dynamics = atoms.calc.stats, npt(atoms, 4)
    dynamics.run(warm_up)
    compiled, built, volume = stats.compilations, stats.list_builds, atoms.get_volume()
    dynamics.run(steps)
    assert stats.list_builds > built
    assert atoms.get_volume() != volume
    return stats.compilations == compiled


def test_no_compilation_in_npt_of_water(few_waters):
    assert no_compilation_after_warm_up(few_waters, 50, 200)


@pytest.mark.slow
def test_no_compilation_in_a_long_npt_of_water():
    assert no_compilation_after_warm_up(water(4, LatteCalculator.from_pretrained("latte-water")), 200, 2000)


def equilibrate(atoms, steps):
    """Langevin dynamics at 300 K from there."""
    thermalise(atoms, 300)
    rng = np.random.default_rng(5)
    Langevin(atoms, 0.5 * FS, temperature_K=300, friction=0.02 / FS, fixcm=False, rng=rng).run(steps)


def intact(atoms):
    """True if every oxygen still has its two hydrogens within 1.4 Angstrom."""
    distances = atoms.get_all_distances(mic=True)[atoms.numbers == 8][:, atoms.numbers == 1]
    return ((distances < 1.4).sum(axis=1) == 2).all()


def test_short_nve_of_water_conserves_energy(few_waters):
    equilibrate(few_waters, 100)
    slope, spread = drift(few_waters, VelocityVerlet(few_waters, 0.5 * FS), 1000)
    # over 0.5 ps the line is as uncertain as the oscillation of 0.03 meV/atom lets it be
    assert abs(slope) < 0.3
    assert spread < 0.1
    assert intact(few_waters)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_ten_ps_of_nve_of_64_waters_drift_less_than_a_tenth_of_a_mev():
    atoms = water(4, LatteCalculator.from_pretrained("latte-water"))
    equilibrate(atoms, 1000)
    slope, spread = drift(atoms, VelocityVerlet(atoms, 0.5 * FS), 20_000)
    print(f"drift {slope:.4f} meV/atom/ps, spread {spread:.4f} meV/atom")
    assert abs(slope) < 0.1
    assert spread < 0.5
    assert 200 < atoms.get_temperature() < 400
    assert intact(atoms)
