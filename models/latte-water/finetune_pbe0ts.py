"""Fine-tuning latte-water (revPBE0-D3) to PBE0+TS, against training from scratch.

    python models/latte-water/finetune_pbe0ts.py FOLDER [OUT]

FOLDER holds water_pbe0ts/train.extxyz and valid.extxyz, made from the water example of the
DeePMD-kit (Zhang, Han, Wang, Car, E, PRL 120, 143001 (2018)).  For 10, 25 and 50 frames both start
with the same frames and at most 1500 steps; errors are on the first 40 validation frames.
Frames are spread evenly over the training file; a tenth of them is held out for early stopping.
"""

import sys
from pathlib import Path

import numpy as np

from latte_ase import evaluate, finetune, load_model, train
from latte_ase.io.frames import read_frames

SIZES = (10, 25, 50)
STEPS = 1500


def epochs(size):
    """Passes over the nine tenths that are trained on, in batches of two, that make STEPS steps."""
    kept = size - max(1, round(0.1 * size))
    return STEPS // -(-kept // 2)


def scratch(frames, recipe, folder):
    """Train with the recipe of latte-water on these frames alone, for as many steps."""
    from ase.io import write

    path = Path(folder) / "frames.extxyz"
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, frames)
    config = {
        "model": {**recipe["model"], "name": "scratch"},
        "data": {"train": str(path), "valid_fraction": 0.1},
        "training": {**recipe["training"], "epochs": epochs(len(frames)), "ema": 0.99},
    }
    return train(config, out=folder, report=quiet)


def main(folder, out="finetune-pbe0ts"):
    train_frames = read_frames(Path(folder) / "water_pbe0ts" / "train.extxyz")
    valid = read_frames(Path(folder) / "water_pbe0ts" / "valid.extxyz", ":40")
    recipe = load_model("latte-water").metadata["recipe"]
    print("| frames | training | energy MAE / RMSE (meV/atom) | forces MAE / RMSE (meV/Å) |\n| --- | --- | --- | --- |")
    for size in SIZES:
        chosen = [train_frames[k] for k in np.linspace(0, len(train_frames) - 1, size).astype(int)]
        runs = {
            "fine-tuned, full": lambda c=chosen: tune(c, "full"),
            "fine-tuned, last layer": lambda c=chosen: tune(c, "last-layer"),
            "from scratch": lambda c=chosen, n=size: scratch(c, recipe, Path(out) / str(n)),
        }
        for name, run in runs.items():
            m = evaluate(run().potential, valid).metrics
            print(
                f"| {size} | {name} | {m['energy_mae']:.2f} / {m['energy_rmse']:.2f} "
                f"| {m['forces_mae']:.1f} / {m['forces_rmse']:.1f} |",
                flush=True,
            )


def tune(frames, strategy):
    """Fine-tune the shipped model."""
    return finetune("latte-water", frames, strategy=strategy, report=quiet, epochs=epochs(len(frames)))


def quiet(row, epochs):
    """No progress bar."""


if __name__ == "__main__":
    main(*sys.argv[1:])
