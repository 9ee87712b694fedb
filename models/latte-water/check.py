"""Physics of latte-water, 64 molecules at 300 K: structure (NVT), diffusion (NVE) and density (NPT), 50 ps of each.

    python models/latte-water/check.py [MODEL] [FOLDER] [PICOSECONDS]

Writes FOLDER/water.png and prints a Markdown table.  The calculator is strict: the runs end with an error where the liquid
leaves the model's domain.  The first tenth of each run is not counted.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from ase import Atoms, units
from ase.build import molecule
from ase.geometry.rdf import get_rdf
from ase.io import read
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution, Stationary
from ase.optimize import FIRE
from scipy.spatial.transform import Rotation

from latte_ase import LatteCalculator, simulate

TEMPERATURE, TIMESTEP, EVERY = 300, 0.5, 50
"""K, fs, steps between frames."""
BETWEEN = 1e-3 * TIMESTEP * EVERY
"""Picoseconds between frames."""


def water_box(molecules_per_side=4, density=0.997, seed=0):
    """Water molecules on a cubic lattice with random orientations; density in g/cm3."""
    rng = np.random.default_rng(seed)
    n = molecules_per_side**3
    length = (n * 18.015 / (density * units.mol / 1e24)) ** (1 / 3)
    box = Atoms(cell=[length] * 3, pbc=True)
    for site in np.ndindex(*[molecules_per_side] * 3):
        water = molecule("H2O")
        water.positions = water.positions @ Rotation.random(rng=rng).as_matrix().T
        water.translate((np.array(site) + 0.5) * length / molecules_per_side)
        box += water
    return box


def run(atoms, model, ensemble, picoseconds) -> list:
    """Frames of dynamics that go on from `atoms`, without the first tenth."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "run.traj"
        calc = LatteCalculator.from_pretrained(model, strict=True)
        how = {"trajectory": path, "interval": EVERY, "progress": False, "seed": 0}
        simulate.md(
            atoms, calc, round(1000 * picoseconds / TIMESTEP), timestep=TIMESTEP * units.fs, ensemble=ensemble, **how
        )
        frames = read(path, ":")
        return frames[len(frames) // 10 :]


def at_energy(atoms, energy) -> None:
    """Scale the momenta to this total energy in eV; the mean one of NVT gives NVE the temperature of NVT, which one moment's would not."""
    Stationary(atoms)  # the thermostat pushes the liquid as a whole, which is no diffusion
    kinetic = energy - atoms.get_potential_energy()
    atoms.set_momenta(atoms.get_momenta() * np.sqrt(kinetic / atoms.get_kinetic_energy()))


def diffusion(frames) -> float:
    """Of the oxygens, 1e-9 m^2/s: the slope of the mean squared displacement between 1 ps and a fifth of the run, over 6."""
    x = np.array([atoms.positions[atoms.numbers == 8] for atoms in frames])
    lags = np.arange(round(1 / BETWEEN), len(x) // 5)
    squares = [((x[lag:] - x[:-lag]) ** 2).sum(axis=-1).mean() for lag in lags]
    return 10 * np.polyfit(lags * BETWEEN, squares, 1)[0] / 6  # 1 A^2/ps = 1e-8 m^2/s


def density(atoms) -> float:
    """In g/cm^3."""
    return atoms.get_masses().sum() / units.mol * 1e24 / atoms.get_volume()


def longest_bond(atoms):
    """Longest distance in Angstrom of a hydrogen from its oxygen (order O H H)."""
    oxygen = np.repeat(np.arange(0, len(atoms), 3), 2)
    hydrogen = np.setdiff1d(np.arange(len(atoms)), oxygen)
    edges = atoms.positions[hydrogen] - atoms.positions[oxygen]
    lengths = atoms.cell.lengths()
    return np.linalg.norm(edges - lengths * np.round(edges / lengths), axis=1).max()


def main(model="latte-water", folder=".", picoseconds=50):
    """Print the table, draw the picture."""
    atoms, picoseconds = water_box(), float(picoseconds)
    atoms.calc = LatteCalculator.from_pretrained(model)
    FIRE(atoms, logfile=None).run(fmax=0.5, steps=200)
    MaxwellBoltzmannDistribution(atoms, temperature_K=TEMPERATURE, rng=np.random.default_rng(1))
    Stationary(atoms)
    print("| property | value |\n| --- | --- |")
    langevin = simulate.Langevin(temperature_K=TEMPERATURE, friction=0.01 / units.fs)
    nvt = run(atoms, model, langevin, picoseconds)
    temperatures = [a.get_temperature() for a in nvt]
    found = [get_rdf(a, 6.0, 120, elements=[8, 8]) for a in nvt]
    rdf, r = np.mean([values for values, _ in found], axis=0), found[0][1]
    peak = int(np.argmax(rdf))
    print(f"| NVT, {picoseconds:g} ps: stays in its domain; mean temperature | {np.mean(temperatures):.0f} K |")
    print(f"| longest O-H bond | {max(map(longest_bond, nvt)):.2f} Å |")
    print(f"| first maximum of g_OO | {rdf[peak]:.2f} at {r[peak]:.2f} Å |", flush=True)
    start = atoms.copy()
    at_energy(atoms, np.mean([a.get_total_energy() for a in nvt]))
    nve = run(atoms, model, simulate.NVE(), picoseconds)
    energies = np.array([a.get_total_energy() / len(a) for a in nve])
    times = BETWEEN * np.arange(len(nve))
    drift = 1e3 * np.polyfit(times, energies, 1)[0]
    warm = np.mean([a.get_temperature() for a in nve])
    print(f"| NVE, {picoseconds:g} ps, {TIMESTEP} fs, float32: drift of the total energy | {drift:+.4f} meV/atom/ps |")
    print(f"| self-diffusion there, at {warm:.0f} K | {diffusion(nve):.2f} 10⁻⁹ m²/s |", flush=True)
    pressure = {"pressure_au": 1.0 * units.bar, "taut": 100 * units.fs, "taup": 1000 * units.fs}
    npt = run(start, model, simulate.CellRescaling(temperature_K=TEMPERATURE, **pressure), picoseconds)
    densities = np.array([density(a) for a in npt])
    error = np.std([part.mean() for part in np.array_split(densities, 5)], ddof=1) / 5**0.5
    print(f"| NPT, {picoseconds:g} ps at 1 bar: density | {densities.mean():.3f} ± {error:.3f} g/cm³ |")
    draw(Path(folder) / "water.png", temperatures, r, rdf, times, energies)


def draw(path, temperatures, r, rdf, times, energies):
    """Three panels: temperature, g_OO, total energy."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(12, 3.4), layout="constrained")
    axes[0].plot(BETWEEN * np.arange(len(temperatures)), temperatures, color="#0072B2")
    axes[0].set(xlabel="time (ps)", ylabel="temperature (K), NVT")
    axes[1].plot(r, rdf, color="#D55E00")
    axes[1].set(xlabel="r (Å)", ylabel="g_OO(r)")
    axes[2].plot(times, 1e3 * (energies - energies[0]), color="#009E73")
    axes[2].set(xlabel="time (ps)", ylabel="total energy (meV/atom), NVE")
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main(*sys.argv[1:])
