"""Long runs: averages are those of ASE's loops, and lists are rebuilt without compilation."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from ase import units
from ase.build import bulk
from ase.io import read
from ase.io.trajectory import Trajectory
from ase.md.bussi import Bussi as AseBussi
from ase.md.langevin import Langevin as AseLangevin
from ase.md.nose_hoover_chain import NoseHooverChainNVT

from latte_ase.simulate import Bussi, CellRescaling, Langevin, NoseHooverChain, md

FS = units.fs
TEMPERATURE = 900
STEPS, EVERY, BLOCKS = 12_000, 20, 12
pytestmark = pytest.mark.slow

PAIRS = {
    "Langevin": (
        Langevin(TEMPERATURE, friction=0.02 / FS),
        lambda a: AseLangevin(
            a, 2 * FS, temperature_K=TEMPERATURE, friction=0.02 / FS, fixcm=False, rng=np.random.default_rng(2)
        ),
    ),
    "Bussi": (
        Bussi(TEMPERATURE, taut=100 * FS),
        lambda a: AseBussi(a, 2 * FS, temperature_K=TEMPERATURE, taut=100 * FS, rng=np.random.default_rng(2)),
    ),
    "NoseHooverChain": (
        NoseHooverChain(TEMPERATURE, tdamp=100 * FS),
        lambda a: NoseHooverChainNVT(a, 2 * FS, temperature_K=TEMPERATURE, tdamp=100 * FS),
    ),
}


def crystal():
    """64 atoms of hot silicon; with a total momentum, so that all count 3 n degrees of freedom as ASE does."""
    atoms, rng = bulk("Si", a=5.469, cubic=True) * 2, np.random.default_rng(1)
    atoms.set_momenta(rng.normal(size=(64, 3)) * np.sqrt(2 * units.kB * TEMPERATURE * atoms.get_masses()[:, None]))
    return atoms


def observables(path):
    """Rows potential energy, temperature, g(r) counts in bins of 0.1 A, for each block of a trajectory."""
    rows = []
    for atoms in read(path, f"{STEPS // EVERY // 6}:"):  # the first sixth is for the equilibrium to come
        distances = atoms.get_all_distances(mic=True)[np.triu_indices(64, 1)]
        counts = np.histogram(distances, np.arange(2.0, 5.4, 0.1))[0]
        rows.append([atoms.get_potential_energy(), atoms.get_temperature(), *counts])
    return np.array([block.mean(axis=0) for block in np.array_split(np.array(rows), BLOCKS)])


@pytest.mark.parametrize("name", PAIRS)
def test_energy_temperature_and_pair_distribution_are_those_of_ases_loop(name, calculator, tmp_path):
    ensemble, make = PAIRS[name]
    calc, atoms = calculator(dtype="float32", skin=0.5), crystal()
    md(
        atoms, calc, STEPS, timestep=2 * FS, ensemble=ensemble, seed=3,
        trajectory=tmp_path / "md.traj", interval=EVERY, progress=False,
    )  # fmt: skip
    atoms = crystal()
    atoms.calc = calc
    with Trajectory(tmp_path / "ase.traj", "w", atoms) as file:
        loop = make(atoms)
        loop.attach(file.write, interval=EVERY)
        loop.run(STEPS)
    ours, theirs = observables(tmp_path / "md.traj"), observables(tmp_path / "ase.traj")
    errors = np.sqrt((ours.var(axis=0, ddof=1) + theirs.var(axis=0, ddof=1)) / BLOCKS)
    difference = ours.mean(axis=0) - theirs.mean(axis=0)
    thermal = 1.5 * 64 * units.kB * TEMPERATURE
    print(name, difference[:2], errors[:2])
    assert errors[0] < 0.03 * thermal and errors[1] < 0.02 * TEMPERATURE  # else this would show nothing
    assert (np.abs(difference[:2]) < 4 * errors[:2]).all()
    assert ours[:, 1].mean() == pytest.approx(TEMPERATURE, abs=4 * errors[1])
    seen = theirs.mean(axis=0)[2:] > 1
    z = difference[2:][seen] / errors[2:][seen]
    assert seen.sum() > 15 and np.sqrt(np.mean(z**2)) < 2.0
    assert np.abs(difference[2:]).sum() < 0.05 * theirs.mean(axis=0)[2:].sum()


def test_ten_thousand_steps_at_constant_pressure_compile_nothing_after_warm_up(calculator, tmp_path):
    calc, atoms, pressure = calculator(dtype="float32", skin=0.3), crystal(), 2 * units.GPa
    npt = CellRescaling(TEMPERATURE, pressure, taut=100 * FS, taup=500 * FS, compressibility_au=0.01 / units.GPa)
    md(atoms, calc, 1000, timestep=2 * FS, ensemble=npt, seed=0, progress=False)
    warm = replace(calc.stats)
    md(
        atoms, calc, 10_000, timestep=2 * FS, ensemble=npt, seed=1,
        log=tmp_path / "md.log", interval=10, progress=False,
    )  # fmt: skip
    assert calc.stats.compilations == warm.compilations
    assert calc.stats.list_builds > warm.list_builds + 100
    columns = np.loadtxt(tmp_path / "md.log", skiprows=1)
    temperatures, pressures, volumes = columns[:, 4], columns[:, 5], columns[:, 6]
    blocks = np.array([block.mean() for block in np.array_split(pressures, 10)])
    error = blocks.std(ddof=1) / np.sqrt(10)
    print(pressures.mean(), error, temperatures.mean(), volumes.mean(), volumes.std())
    assert error < 0.3
    assert pressures.mean() == pytest.approx(2.0, abs=4 * error)
    assert temperatures.mean() == pytest.approx(TEMPERATURE, rel=0.03)
    assert volumes.std() > 0.002 * volumes.mean()


RESUMED = """
import numpy as np
from ase import units
from ase.build import bulk
from latte_ase import LatteCalculator
from latte_ase.simulate import Langevin, md
atoms = bulk("Si", a=5.469, cubic=True)
calc = LatteCalculator.from_pretrained("latte-si", skin=0.3)
md(atoms, calc, {steps}, timestep=2 * units.fs, ensemble=Langevin(900, 0.02 / units.fs), seed=4, progress=False,
   checkpoint="{folder}/{name}", checkpoint_interval=50, resume={resume})
np.save("{folder}/{name}", np.stack([atoms.positions, atoms.get_momenta(), atoms.get_forces()]))
"""


def test_another_process_resumes_to_the_same_numbers(tmp_path):
    for name, steps, resume in (("whole", 300, False), ("cut", 137, False), ("cut", 300, True)):
        code = RESUMED.format(folder=tmp_path, name=name, steps=steps, resume=resume)
        subprocess.run([sys.executable, "-c", code], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "cut.npy"), np.load(tmp_path / "whole.npy"))
