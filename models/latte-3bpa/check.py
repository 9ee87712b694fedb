"""Physical checks of latte-3bpa: the table of its card.

    python models/latte-3bpa/check.py models/latte-3bpa 3bpa/train_300K.extxyz

50 ps of NVT from the first frame, float32: does the molecule stay whole, and how much closer than in the training set
do two elements come?  A model of one temperature sees a thousandth of an Angstrom less than a longer run of the same.
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

PICOSECONDS, TIMESTEP, EVERY = 50, 0.5, 20
"""Length of a run, step in fs, steps between frames that are looked at."""


def bonds(atoms) -> set:
    """Pairs of atoms that are bonded."""
    i, j = neighbor_list("ij", atoms, natural_cutoffs(atoms, mult=1.25))
    return set(zip(i.tolist(), j.tolist(), strict=True))


def dynamics(atoms, model: str, temperature: float) -> list:
    """Frames of 50 ps of NVT."""
    atoms = atoms.copy()
    atoms.calc = None
    MaxwellBoltzmannDistribution(atoms, temperature_K=temperature, rng=np.random.default_rng(0))
    Stationary(atoms)
    ZeroRotation(atoms)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "run.traj"
        simulate.md(
            atoms,
            LatteCalculator.from_pretrained(model),
            round(1000 * PICOSECONDS / TIMESTEP),
            timestep=TIMESTEP * units.fs,
            ensemble=simulate.Langevin(temperature_K=temperature, friction=0.01 / units.fs),
            seed=0,
            trajectory=path,
            interval=EVERY,
            progress=False,
        )
        return read(path, ":")


def main(model: str, path: str) -> None:
    """Print the table."""
    start = read(path)
    engine = LatteCalculator.from_pretrained(model).engine
    for temperature in (300.0, 600.0):
        frames = dynamics(start, model, temperature)
        whole = all(bonds(atoms) == bonds(start) for atoms in frames)
        outside = [e for e in map(engine.excursions, frames) if e]
        nearer = {}
        for excursion in (e for found in outside for e in found):
            nearer.setdefault(excursion.elements, []).append(excursion.limit - excursion.distance)
        said = ", ".join(f"{'-'.join(pair)} {max(by):.3f} Å" for pair, by in sorted(nearer.items()))
        print(
            f"| {PICOSECONDS} ps of NVT at {temperature:.0f} K | bonds {'all kept' if whole else 'broken'}; {len(outside)} of "
            f"{len(frames)} frames outside the domain, at most by {said or '0 Å'} |"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
