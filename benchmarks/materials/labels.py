"""Structures of crystals of some elements, with energies, forces and stresses of the teacher.

    python benchmarks/materials/labels.py FOLDER --set train --elements "Li O ..." [--crystals mptrj.extxyz]

needs nequix 0.4.5, pymatgen 2026.10.24, spglib 2.8.0 and ase, and not latte_ase.  Writes FOLDER/SET/0000.extxyz and so on,
20 or 60 crystals each: prototypes with these elements, and crystals of a set of structures.  A file that is there is not made again,
so a run that was stopped goes on.  `--set test` is of the crystals of the test list, relaxed further, at 300 and 1000 K.  `join.py`
makes one file of all.
"""

import argparse
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read, write
from crystals import Crystal
from displaced import moved
from prototypes import of_set, prototype_cells, substituted
from relaxation import relaxed
from teacher import Teacher

CHUNK, OF_SET = {"train": 60, "test": 20}, {"train": 6, "test": 5}
"""Crystals in a file, and how many of them are of the set."""
STEPS = {"train": 2, "test": 14}
"""Of relaxation."""
ALL = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd "
    "Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Ac Th Pa U Np Pu"
)


def training_chunk(made: list[Crystal], given: list[Crystal], teacher: Teacher, rng) -> Iterator[Atoms]:
    """Labelled structures of one file to train on."""
    found, frames = relaxed(made, teacher.labelled, STEPS["train"])
    yield from frames
    structures = [moved(crystal, rng) for crystal in found + given]
    for crystal in given:
        atoms = crystal.atoms.copy()
        atoms.info = {"crystal": crystal.name, "kind": "relaxation", "step": 0}
        structures.append(atoms)
    yield from teacher.labelled(structures)


def test_chunk(made: list[Crystal], given: list[Crystal], teacher: Teacher, rng) -> Iterator[Atoms]:
    """Labelled structures of one file that judges: relaxed, at 300 K, and at 1000 K."""
    found, _ = relaxed(made + given, teacher.labelled, STEPS["test"])
    structures = []
    for crystal in found:
        atoms = crystal.atoms.copy()
        atoms.info = {"crystal": crystal.name, "kind": "relaxed", "kelvin": 0}
        structures.append(atoms)
        structures += [moved(crystal, rng, kelvin) for kelvin in (300.0, 1000.0)]
    yield from teacher.labelled(structures)


def main(options: argparse.Namespace) -> None:
    """Every file of this worker that is not there yet."""
    elements, judges = options.elements.split(), options.set == "test"
    folder = options.folder / options.set
    folder.mkdir(parents=True, exist_ok=True)
    cells, teacher = prototype_cells(), Teacher()
    given = [c for c in of_set(read(options.crystals, ":"), elements) if c.judges == judges] if options.crystals else []
    for chunk in range(options.worker, options.chunks, options.workers):
        path = folder / f"{chunk:04d}.extxyz"
        if path.exists():
            continue
        rng = np.random.default_rng([1, judges, len(elements), chunk])
        own = given[OF_SET[options.set] * chunk : OF_SET[options.set] * (chunk + 1)]
        right = (crystal for crystal in substituted(elements, cells, rng) if crystal.judges == judges)
        made = list(islice(right, CHUNK[options.set] - len(own)))
        labelled = (test_chunk if judges else training_chunk)(made, own, teacher, rng)
        write(path.with_suffix(".part"), list(labelled), format="extxyz")
        path.with_suffix(".part").rename(path)
        print(path, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--set", choices=STEPS, default="train")
    parser.add_argument("--elements", default=ALL)
    parser.add_argument("--crystals", type=Path, help="structures in an extxyz file, whose labels are not used")
    parser.add_argument("--chunks", type=int, default=10**6, help="files at most")
    parser.add_argument("--worker", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    main(parser.parse_args())
