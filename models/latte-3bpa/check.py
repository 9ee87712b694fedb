"""Physical checks of latte-3bpa: the table of its card.

    python models/latte-3bpa/check.py models/latte-3bpa 3bpa/train_300K.extxyz

50 ps of NVT at 300 K from the first frame, float32: does the molecule stay whole, and in the domain of its training set?
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from ase import units
from ase.io import read
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution, Stationary, ZeroRotation
from ase.neighborlist import natural_cutoffs, neighbor_list

from latte_ase import LatteCalculator, simulate

PICOSECONDS, TIMESTEP, TEMPERATURE, EVERY = 50, 0.5, 300, 20
"""Length of the run, step in fs, K, steps between frames that are looked at."""


def bonds(atoms) -> set:
    """Pairs of atoms that are bonded."""
    i, j = neighbor_list("ij", atoms, natural_cutoffs(atoms, mult=1.25))
    return set(zip(i.tolist(), j.tolist(), strict=True))


def dynamics(atoms, model: str) -> list:
    """Frames of 50 ps of NVT."""
    atoms = atoms.copy()
    atoms.calc = None
    MaxwellBoltzmannDistribution(atoms, temperature_K=TEMPERATURE, rng=np.random.default_rng(0))
    Stationary(atoms)
    ZeroRotation(atoms)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "run.traj"
        simulate.md(
            atoms,
            LatteCalculator.from_pretrained(model),
            round(1000 * PICOSECONDS / TIMESTEP),
            timestep=TIMESTEP * units.fs,
            ensemble=simulate.Langevin(temperature_K=TEMPERATURE, friction=0.01 / units.fs),
            seed=0,
            trajectory=path,
            interval=EVERY,
            progress=False,
        )
        return read(path, ":")


def main(model: str, path: str) -> None:
    """Print the table."""
    start = read(path)
    frames = dynamics(start, model)
    engine = LatteCalculator.from_pretrained(model).engine
    whole = all(bonds(atoms) == bonds(start) for atoms in frames)
    outside = [found for found in map(engine.excursions, frames) if found]
    print(
        f"| {PICOSECONDS} ps of NVT at {TEMPERATURE} K | bonds {'all kept' if whole else 'broken'}; {len(outside)} of "
        f"{len(frames)} frames outside the domain |"
    )
    for excursion in {str(e) for found in outside for e in found}:
        print(excursion)


if __name__ == "__main__":
    main(*sys.argv[1:])
