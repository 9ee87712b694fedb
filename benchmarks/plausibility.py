"""How often correct labels are refused, and wrong units found, by the check of energies against forces.

Random sets of EMT labels: crystals and alloys of 4 to 16 atoms, molecules, dynamics and scans of bonds, 3 to 30 frames each.  Each set
is checked as it is and, where it has 20 frames, in six wrong units.

    python benchmarks/plausibility.py 10000
"""

from __future__ import annotations

import argparse
import warnings
from collections import Counter

import numpy as np
from ase import units
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.md.verlet import VelocityVerlet
from rich.progress import track

from latte_ase.io.plausibility import RATIOS, check_plausibility

METALS = ("Cu", "Al", "Ni", "Pd", "Ag", "Au")
MOLECULES = ("C2H6", "H2O", "CH4", "N2", "CO", "C2H4", "NH3")


def crystals(rng, count: int) -> list:
    """A crystal or a cluster of one or two elements, displaced at random."""
    atoms = bulk(str(rng.choice(METALS)), cubic=True) * (int(rng.integers(1, 3)), int(rng.integers(1, 3)), 1)
    other = str(rng.choice(METALS))
    atoms.symbols = [other if rng.random() < 0.4 else symbol for symbol in atoms.symbols]
    if rng.random() < 0.3:
        atoms.pbc = False
    return displaced(atoms, rng, count, rng.uniform(0.01, 0.15))


def molecules(rng, count: int) -> list:
    """A molecule, displaced at random."""
    return displaced(molecule(str(rng.choice(MOLECULES))), rng, count, rng.uniform(0.01, 0.12))


def displaced(atoms, rng, count: int, stdev: float) -> list:
    """Copies with normal displacements of this standard deviation in Angstrom."""
    frames = [atoms.copy() for _ in range(count)]
    for frame in frames:
        frame.positions += rng.normal(0, stdev, frame.positions.shape)
    return frames


def dynamics(rng, count: int) -> list:
    """Frames of a trajectory, 2 to 20 fs apart."""
    atoms = bulk(str(rng.choice(METALS)), cubic=True)
    atoms.calc = EMT()
    speed = np.sqrt(units.kB * rng.uniform(100, 1200) * atoms.get_masses()[:, None])
    atoms.set_momenta(rng.normal(size=(len(atoms), 3)) * speed)
    interval, frames = int(rng.choice([1, 2, 5, 10])), []
    run = VelocityVerlet(atoms, 2 * units.fs)
    run.attach(lambda: frames.append(atoms.copy()), interval=interval)
    run.run(interval * (count - 1))
    return frames


def scans(rng, count: int) -> list:
    """A bond, stretched in equal steps."""
    atoms, step = molecule(str(rng.choice(["N2", "CO", "H2O"]))), rng.uniform(0.02, 0.2)
    frames = [atoms.copy() for _ in range(count)]
    for k, frame in enumerate(frames):
        frame.set_distance(0, 1, frame.get_distance(0, 1) - 0.2 + step * k, fix=0)
    return frames


def verdict(frames, labels, ratio: float = 1.0) -> str:
    """What is said of the frames with forces divided by a ratio: passed, warned or refused."""
    for frame, (energy, forces) in zip(frames, labels, strict=True):
        frame.calc = SinglePointCalculator(frame, energy=energy, forces=forces / ratio)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            check_plausibility(frames)
        except UserWarning:
            return "warned"
        except ValueError:
            return "refused"
    return "passed"


def main():
    """Check random sets and print what was said of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", type=int, help="number of sets")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng, correct, wrong = np.random.default_rng(args.seed), Counter(), Counter()
    for _ in track(range(args.sets), "sets"):
        make = (crystals, molecules, dynamics, scans)[rng.choice(4, p=(0.45, 0.3, 0.15, 0.1))]
        frames, labels = make(rng, int(rng.choice([3, 5, 6, 8, 10, 20, 30]))), []
        for frame in frames:
            frame.calc = EMT()
            labels.append((frame.get_potential_energy(), frame.get_forces()))
        correct[verdict(frames, labels)] += 1
        if len(frames) == 20:
            wrong.update(verdict(frames, labels, ratio) for ratio in RATIOS.values())
    print("correct labels:", dict(correct))
    print("wrong units, sets of 20 frames:", dict(wrong))


if __name__ == "__main__":
    main()
