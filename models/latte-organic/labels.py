"""Structures of the molecules of a list, with energies and forces of the teacher.

    python models/latte-organic/labels.py recap.smi FOLDER --worker 0 --workers 2
    python models/latte-organic/labels.py FOLDER/water.extxyz FOLDER

needs so3krates-torch 0.2.1, torch 2.13.0, rdkit 2026.9.1 and ase, and not latte_ase.  Writes FOLDER/train/0000.extxyz and so on, a
hundred molecules each, and with `--set test` or `--set test_hot` molecules of the test list at 300 to 500 or 600 to 1000 K.  A file
that is there is not made again, so a run that was stopped goes on.  The second command labels structures as they are, into
FOLDER/train/water.extxyz.  `join.py` makes one file of all.
"""

import argparse
from pathlib import Path

import numpy as np
from ase.io import read, write
from geometries import structures
from molecules import all_molecules
from teacher import Teacher

CHUNK = 100
"""Molecules in a file."""
TEMPERATURES = {"train": (100.0, 1000.0), "test": (300.0, 500.0), "test_hot": (600.0, 1000.0)}
"""K, of each set."""


def label_file(path: Path, folder: Path) -> None:
    """Labels for the structures of a file."""
    write(folder / path.name, list(Teacher().labelled(read(path, ":"))))


def label_molecules(options: argparse.Namespace, folder: Path) -> None:
    """Every file of this worker that is not there yet."""
    learn, judge = all_molecules(options.source)
    molecules = learn if options.set == "train" else judge
    teacher = Teacher()
    for chunk in range(options.worker, min(options.chunks, -(-len(molecules) // CHUNK)), options.workers):
        path = folder / f"{chunk:04d}.extxyz"
        if path.exists():
            continue
        rng = np.random.default_rng([list(TEMPERATURES).index(options.set), chunk])
        made = structures(molecules[CHUNK * chunk : CHUNK * (chunk + 1)], rng, TEMPERATURES[options.set])
        write(path.with_suffix(".part"), list(teacher.labelled(made)), format="extxyz")
        path.with_suffix(".part").rename(path)
        print(path, flush=True)


def main(options: argparse.Namespace) -> None:
    """Labels for a file of structures, or for a list of molecules."""
    folder = options.folder / options.set
    folder.mkdir(parents=True, exist_ok=True)
    if options.source.suffix == ".extxyz":
        label_file(options.source, folder)
    else:
        label_molecules(options, folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="SMILES, one per line, or structures in an extxyz file")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--set", choices=TEMPERATURES, default="train")
    parser.add_argument("--chunks", type=int, default=10**6, help="files at most")
    parser.add_argument("--worker", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    main(parser.parse_args())
