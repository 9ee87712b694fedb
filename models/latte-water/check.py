"""Physics of latte-water: 20 ps at 300 K and density 1 g/cm3, and 10 ps of NVE.

    python models/latte-water/check.py [MODEL] [FOLDER]

Writes FOLDER/water.png and prints a Markdown table: temperature, integrity of the molecules,
first peak of g_OO(r), and the drift of the total energy.
"""

import sys
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.build import molecule
from ase.geometry.rdf import get_rdf
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution, Stationary
from ase.md.verlet import VelocityVerlet
from ase.optimize import FIRE
from scipy.spatial.transform import Rotation

from latte_ase import LatteCalculator


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


def longest_bond(atoms):
    """Longest distance in Angstrom of a hydrogen from its oxygen (order O H H)."""
    oxygen = np.repeat(np.arange(0, len(atoms), 3), 2)
    hydrogen = np.setdiff1d(np.arange(len(atoms)), oxygen)
    edges = atoms.positions[hydrogen] - atoms.positions[oxygen]
    lengths = atoms.cell.lengths()
    return np.linalg.norm(edges - lengths * np.round(edges / lengths), axis=1).max()


def main(model="latte-water", folder="."):
    atoms = water_box()
    atoms.calc = LatteCalculator.from_pretrained(model)
    FIRE(atoms, logfile=None).run(fmax=0.5, steps=200)
    MaxwellBoltzmannDistribution(atoms, temperature_K=300, rng=np.random.default_rng(1))
    Stationary(atoms)
    dynamics = Langevin(
        atoms, 0.5 * units.fs, temperature_K=300, friction=0.01 / units.fs, fixcm=False, rng=np.random.default_rng(2)
    )
    temperatures, bonds, rdf, snapshots = [], [], 0, 0
    for _ in range(800):  # 20 ps
        dynamics.run(50)
        temperatures.append(atoms.get_temperature())
        bonds.append(longest_bond(atoms))
        if len(temperatures) > 200:
            values, r = get_rdf(atoms, 6.0, 120, elements=[8, 8])
            rdf, snapshots = rdf + values, snapshots + 1
    rdf = rdf / snapshots
    compiled = atoms.calc.stats.compilations
    nve, energies = VelocityVerlet(atoms, 0.5 * units.fs), []
    for _ in range(1000):  # 10 ps
        nve.run(20)
        energies.append(atoms.get_total_energy() / len(atoms))
    times = 0.01 * np.arange(1, len(energies) + 1)
    drift = 1e3 * np.polyfit(times, energies, 1)[0]
    peak = int(np.argmax(rdf))
    print("| property | value |\n| --- | --- |")
    print(f"| NVT, 20 ps at 300 K: mean temperature of the last 15 ps | {np.mean(temperatures[200:]):.0f} K |")
    print(f"| longest O-H bond in 20 ps | {max(bonds):.2f} Å |")
    print(f"| first maximum of g_OO | {rdf[peak]:.2f} at {r[peak]:.2f} Å |")
    print(f"| NVE, 10 ps, 0.5 fs, float32: drift of the total energy | {drift:+.4f} meV/atom/ps |")
    print(f"| compilations after the first 20 ps | {atoms.calc.stats.compilations - compiled} |")
    draw(Path(folder) / "water.png", temperatures, r, rdf, times, energies)


def draw(path, temperatures, r, rdf, times, energies):
    """Three panels: temperature, g_OO, total energy."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(12, 3.4), layout="constrained")
    axes[0].plot(0.025 * np.arange(1, len(temperatures) + 1), temperatures, color="#0072B2")
    axes[0].set(xlabel="time (ps)", ylabel="temperature (K), NVT")
    axes[1].plot(r, rdf, color="#D55E00")
    axes[1].set(xlabel="r (Å)", ylabel="g_OO(r)")
    axes[2].plot(times, 1e3 * (np.array(energies) - energies[0]), color="#009E73")
    axes[2].set(xlabel="time (ps)", ylabel="total energy (meV/atom), NVE")
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main(*sys.argv[1:])
