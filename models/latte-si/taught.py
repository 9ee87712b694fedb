"""Structures that latte-si-large labels, for latte-si to learn from beside those of DFT.

    python models/latte-si/taught.py FOLDER

FOLDER is that of the recipe.  Writes metals/Si_taught.extxyz and metals/Si_held.extxyz into it: the frames on which latte-si-large was
trained, with DFT's labels, then structures of its own with its own labels; and the frames that were held out from it, which
also judge latte-si.  Its own are what its dynamics make of the training frames at 300 to 2500 K, a vacancy and an atom on its way into one
at 100 to 1200 K, and strained crystals: what a small model gets wrong between 193 frames.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from rich.progress import track

from latte_ase import LatteCalculator, predict
from latte_ase.io.pretrained import models_folder
from latte_ase.training.config import load_config
from latte_ase.training.train import frames_of

TEACHER = "latte-si-large"
CLOSEST = 1.9
"""Angstrom: trajectories that bring two atoms closer are left there."""
LATTICE = 5.469
"""Angstrom: PBE."""


def moved(atoms: Atoms, calculator, temperature: float, rng, *, frames: int = 3, steps: int = 50) -> list[Atoms]:
    """Structures of a short run by Langevin dynamics of 2 fs, one after every so many steps."""
    atoms = atoms.copy()
    atoms.calc = calculator
    MaxwellBoltzmannDistribution(atoms, temperature_K=temperature, rng=rng)
    dynamics = Langevin(atoms, 2 * units.fs, temperature_K=temperature, friction=0.02 / units.fs, rng=rng)
    found = []
    for _ in range(frames):
        dynamics.run(steps)
        apart = atoms.get_all_distances(mic=True)
        if not apart[np.triu_indices(len(atoms), 1)].min() > CLOSEST:
            break
        found.append(Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True))
    return found


def vacancy(rng) -> Atoms:
    """A vacancy among 64 sites; in every second one an atom is on its way into it, at most halfway."""
    atoms = bulk("Si", cubic=True, a=LATTICE * rng.uniform(0.99, 1.01)).repeat(2)
    if rng.random() < 0.5:
        hopping = rng.choice(np.argsort(atoms.get_all_distances(mic=True)[0])[1:5])
        atoms.positions[hopping] += rng.uniform(0, 0.5) * atoms.get_distance(hopping, 0, mic=True, vector=True)
    del atoms[0]
    return atoms


def strained(rng) -> Atoms:
    """A crystal of 64 atoms whose cell vectors and atoms are a little off."""
    atoms = bulk("Si", cubic=True, a=LATTICE).repeat(2)
    atoms.set_cell(atoms.cell @ (np.eye(3) + rng.uniform(-0.04, 0.04, (3, 3))), scale_atoms=True)
    atoms.rattle(rng.uniform(0, 0.1), rng=rng)
    return atoms


def main(folder: str) -> None:
    """Write both files."""
    config = replace(load_config(models_folder() / TEACHER / "recipe.toml"), folder=folder)
    train, held = frames_of(config)
    rng = np.random.default_rng(0)
    calculator = LatteCalculator.from_pretrained(TEACHER)
    # by size, for structures of one shape share what is compiled
    runs = [(atoms, rng.uniform(300, 2500)) for atoms in sorted(train, key=len)]
    runs += [(vacancy(rng), rng.uniform(100, 1200)) for _ in range(70)]
    own = [frame for run in track(runs, description=TEACHER) for frame in moved(run[0], calculator, run[1], rng)]
    own += [strained(rng) for _ in range(80)]
    for atoms, label in zip(own, predict(TEACHER, own), strict=True):
        atoms.calc = SinglePointCalculator(atoms, energy=float(label.energy), forces=np.asarray(label.forces))
    target = Path(folder) / "metals"
    write(target / "Si_taught.extxyz", [*train, *own])
    write(target / "Si_held.extxyz", held)
    print(f"{len(train)} structures of DFT and {len(own)} of {TEACHER} in {target / 'Si_taught.extxyz'}")


if __name__ == "__main__":
    main(*sys.argv[1:])
