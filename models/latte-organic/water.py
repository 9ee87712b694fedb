"""Boxes of 32 molecules of water at many densities and temperatures, moved by latte-water, without labels.

python models/latte-organic/water.py FOLDER/water.extxyz
python models/latte-organic/labels.py FOLDER/water.extxyz FOLDER
"""

import sys
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from ase import Atoms, units
from ase.build import molecule
from ase.io import read, write
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from scipy.spatial.transform import Rotation

from latte_ase import LatteCalculator, simulate

MOLECULES, RUNS, STEPS, TIMESTEP, EVERY = 32, 16, 800, 0.5, 50
"""In a box, number of runs, steps in each, fs, and steps between frames; the first quarter of a run is not taken."""
DENSITIES, TEMPERATURES = (0.75, 1.15), (260.0, 600.0)
"""g/cm^3 and K."""


def box(density: float, rng: np.random.Generator) -> Atoms:
    """Molecules at random on half of the sites of a cubic lattice with 64."""
    length = (MOLECULES * 18.015 / (density * units.mol / 1e24)) ** (1 / 3)
    found = Atoms(cell=[length] * 3, pbc=True)
    sites = np.array(list(np.ndindex(4, 4, 4)))
    for site in sites[sites.sum(axis=1) % 2 == 0]:
        one = molecule("H2O")
        one.positions = one.positions @ Rotation.random(rng=rng).as_matrix() + site * length / 4
        found += one
    return found


def main(path: str) -> None:
    """Write the frames, without labels."""
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    calculator = LatteCalculator.from_pretrained("latte-water", threads=1)
    frames = []
    for run in range(RUNS):
        atoms, temperature = box(rng.uniform(*DENSITIES), rng), rng.uniform(*TEMPERATURES)
        MaxwellBoltzmannDistribution(atoms, temperature_K=temperature, rng=rng)
        with TemporaryDirectory() as folder:
            trajectory = Path(folder) / "run.traj"
            simulate.md(
                atoms,
                calculator,
                STEPS,
                timestep=TIMESTEP * units.fs,
                ensemble=simulate.Langevin(temperature_K=temperature, friction=0.05 / units.fs),
                seed=run,
                trajectory=trajectory,
                interval=EVERY,
                progress=False,
            )
            taken = read(trajectory, ":")
        for frame in taken[len(taken) // 4 :]:
            plain = Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=True)
            plain.info = {"charge": 0, "kind": "box", "temperature": round(temperature)}
            frames.append(plain)
    write(path, frames)
    print(f"{len(frames)} frames in {path}")


if __name__ == "__main__":
    main(*sys.argv[1:])
