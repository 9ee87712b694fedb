"""mace-torch: a MACE of 64 channels trained for so many seconds of one core, and its force error; called by benchmarks/family.py.

    pip install torch mace-torch
    OMP_NUM_THREADS=1 python mace_train.py FOLDER BUDGET        # FOLDER has train.extxyz, valid.extxyz, test.extxyz

The model is that of mace_speed.py and the rest are the settings of mace-torch's own examples (Adam with amsgrad, rate 0.01, moving
average of the weights), with the batches and the cutoff of the others; the rate falls over the epochs to a hundredth.
It sees every frame at least twice, whatever the budget: two short trainings say what an epoch takes.
Writes FOLDER/result.json.
"""

import json
import os
import sys
import time
import warnings
from pathlib import Path

os.environ.setdefault("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")  # see mace_speed.py
warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from ase.io import read, write  # noqa: E402
from errors import errors  # noqa: E402
from mace.calculators import MACECalculator  # noqa: E402
from mace.cli.run_train import run  # noqa: E402
from mace.tools import build_default_arg_parser  # noqa: E402

CUTOFF, BATCH = 5.0, 5
SHORT, LONGER = 10, 40
"""Frames of the two short trainings."""
FEWEST = 2
"""Epochs, however long they take."""
TURNS = 9
ATOMS = 1000


def train(folder: Path, name: str, frames: str, epochs: int) -> float:
    """A training in folder/name; returns its seconds of processor time."""
    start = time.process_time()
    gamma = 0.01 ** (1 / epochs)
    options = f"""
        --name {name} --work_dir {folder / name} --train_file {folder / frames} --valid_file {folder / "valid.extxyz"}
        --E0s average --energy_key energy --forces_key forces --model MACE
        --hidden_irreps 64x0e+64x1o --max_ell 2 --correlation 3 --num_interactions 2 --r_max {CUTOFF}
        --batch_size {BATCH} --valid_batch_size {BATCH} --max_num_epochs {epochs} --eval_interval {epochs}
        --scheduler ExponentialLR --lr_scheduler_gamma {gamma} --amsgrad --ema --ema_decay 0.99
        --default_dtype float32 --device cpu --seed 0 --plot False --error_table TotalMAE
    """
    run(build_default_arg_parser().parse_args(options.split()))
    return time.process_time() - start


def cost(calc: MACECalculator, atoms) -> float:
    """Processor time of energies and forces through the calculator, microseconds per atom."""
    atoms = atoms.copy()
    if not atoms.pbc.any():
        atoms.center(vacuum=6.0)
    atoms = atoms.repeat(max(1, round((ATOMS / len(atoms)) ** (1 / 3))))
    atoms.calc = calc
    rng, times = np.random.default_rng(0), []
    for _ in range(1 + TURNS):
        atoms.positions += rng.normal(scale=1e-4, size=atoms.positions.shape)
        start = time.process_time()
        atoms.get_forces()
        times.append(time.process_time() - start)
    return 1e6 * float(np.median(times[1:])) / len(atoms)


def main(folder: Path, budget: float):
    """The error and the cost."""
    frames = read(folder / "train.extxyz", ":")
    spread = np.random.default_rng(0).permutation(len(frames))
    for count in (SHORT, LONGER):
        write(folder / f"{count}.extxyz", [frames[k] for k in spread[:count]])
    train(folder, "first", f"{SHORT}.extxyz", 1)  # loads what the others share
    short, longer = (train(folder, f"probe{count}", f"{count}.extxyz", 1) for count in (SHORT, LONGER))
    epochs = max(FEWEST, round(budget / ((longer - short) / (LONGER - SHORT) * len(frames))))
    print("seconds per epoch", (longer - short) / (LONGER - SHORT) * len(frames), "epochs", epochs, flush=True)
    seconds = train(folder, "model", "train.extxyz", epochs)
    calc = MACECalculator(model_paths=[folder / "model" / "model.model"], device="cpu", default_dtype="float32")
    test, found = read(folder / "test.extxyz", ":"), []
    for atoms in test:
        bare = atoms.copy()
        bare.calc = calc
        found.append((bare.get_potential_energy(), bare.get_forces()))
    result = {
        "epochs": epochs,
        "seconds": seconds,
        "parameters": sum(p.numel() for p in calc.models[0].parameters()),
        "microseconds": cost(calc, test[-1]),
    } | errors(test, found)
    (folder / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]).resolve(), float(sys.argv[2]))
