"""apax: its default GMNN trained for so many seconds of one core, and its force error; called by benchmarks/family.py.

    pip install apax==0.14.0
    python apax_train.py FOLDER BUDGET        # FOLDER has train.extxyz, valid.extxyz, test.extxyz

The settings are apax's defaults (Adam, rate 1e-3 falling linearly to 0) with the batches, the cutoff and the weights of
energies and forces of the others.  Two short trainings say how many epochs the budget is.  Writes FOLDER/result.json.
"""

import json
import os
import sys
import time
from pathlib import Path

import jax
import numpy as np
import yaml
from apax.md.ase_calc import ASECalculator
from apax.train.run import run
from apax_speed import make
from ase.io import read, write
from errors import errors

CUTOFF, BATCH, ENERGY_WEIGHT = 5.0, 5, 10.0
SHORT, LONGER = 1, 3
"""Epochs of the two short trainings on all frames: on fewer, what an epoch costs besides its steps would count too often."""
TURNS = 9
ATOMS = 1000


def train(folder: Path, name: str, files: tuple[str, str], epochs: int) -> float:
    """A training in folder/name; returns its seconds of processor time."""
    start = time.process_time()
    settings = {
        "n_epochs": epochs,
        "data": {
            "directory": str(folder),
            "experiment": name,
            "train_data_path": str(folder / files[0]),
            "val_data_path": str(folder / files[1]),
            "n_train": len(read(folder / files[0], ":")),
            "n_valid": len(read(folder / files[1], ":")),
            "batch_size": BATCH,
            "valid_batch_size": 1,
        },
        "model": {"name": "gmnn", "basis": {"name": "bessel", "n_basis": 16, "r_max": CUTOFF}},
        "loss": [
            {"name": "energy", "weight": ENERGY_WEIGHT, "atoms_exponent": 2},
            {"name": "forces", "weight": 1.0},
        ],
        "metrics": [{"name": "forces", "reductions": ["mae"]}],
    }
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(settings))
    run(folder / f"{name}.yaml", log_level="warning")
    return time.process_time() - start


def cost(structure: Path) -> float:
    """Processor time of the bare compiled call on a fixed list, microseconds per atom."""
    atoms = read(structure)
    if not atoms.pbc.any():
        atoms.center(vacuum=6.0)
    atoms = atoms.repeat(max(1, round((ATOMS / len(atoms)) ** (1 / 3))))
    large = structure.with_name("large.extxyz")
    atoms.calc = None
    write(large, atoms)
    call, times = make(large, CUTOFF), []
    for _ in range(2 + TURNS):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return 1e6 * float(np.median(times[2:])) / len(atoms)


def main(folder: Path, budget: float):
    """The error and the cost."""
    os.chdir(folder)  # the log of the training is written here
    files = ("train.extxyz", "valid.extxyz")
    train(folder, "first", files, SHORT)  # the first one in a process also loads and compiles what the others share
    short, longer = (train(folder, f"probe{n}", files, n) for n in (SHORT, LONGER))
    epochs = max(2, round(budget / ((longer - short) / (LONGER - SHORT))))
    seconds = train(folder, "model", files, epochs)
    calc = ASECalculator(folder / "model")
    test = read(folder / "test.extxyz", ":")
    found = calc.batch_eval(test, BATCH, silent=True)
    write(folder / "structure.extxyz", test[0])
    result = {
        "epochs": epochs,
        "seconds": seconds,
        "parameters": sum(int(np.size(a)) for a in jax.tree.leaves(calc.params)),
        "microseconds": cost(folder / "structure.extxyz"),
    } | errors(test, [(atoms.get_potential_energy(), atoms.get_forces()) for atoms in found])
    (folder / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), float(sys.argv[2]))
