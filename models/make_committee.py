"""Give a shipped model a committee of last layers, so that it can say how uncertain it is.

    python models/make_committee.py NAME DATA

DATA is the folder that the recipe speaks of.  At most `HELD` of the frames that were held out from training are used: every
second one calibrates the committee, the others judge it, and their coverage is printed as a row of docs/uncertainty.md.
Energies, forces and stress stay what they are; models/NAME/model.safetensors and SHA256SUMS are written anew.
"""

import sys
from dataclasses import replace
from functools import partial

import numpy as np
from rich.progress import track

from latte_ase import evaluate, load_model
from latte_ase.io import model_file
from latte_ase.io.model_file import save_model
from latte_ase.io.pretrained import models_folder
from latte_ase.training.config import load_config
from latte_ase.training.train import frames_of
from latte_ase.uncertainty import assess, last_layer

HELD = 400
"""Held-out frames."""
TRAINING = 4000
"""Training frames that say how well the weights are known."""


def spread(frames, count):
    """At most so many frames, evenly over all."""
    return [frames[k] for k in np.unique(np.linspace(0, len(frames) - 1, count).astype(int))]


def main(name: str, data: str) -> None:
    """The model of this name, in place."""
    folder = models_folder() / name
    config = replace(load_config(folder / "recipe.toml"), folder=data)
    frames, held = frames_of(config)
    frames, held = spread(frames, TRAINING), spread(held, HELD)
    potential = last_layer(
        replace(load_model(name), committee=None),
        frames,
        held_out=held[::2],
        progress=partial(track, description=name),
    )
    found, error = assess(potential, held[1::2]), evaluate(potential, held[1::2]).metrics["forces_rmse"]
    sigma = 1e3 * np.median(found.forces[..., 1])
    m = found.metrics
    shares = [f"{m[f'{what}_within_{k}']:.0%}" for what in ("forces", "energy") for k in (1, 2)]
    print(
        f"| {name} | {len(held[::2])}, {len(held[1::2])} | {error:.3g} | {sigma:.3g} | {shares[0]} | {shares[1]} | "
        f"{m['forces_rank']:.2f} | {shares[2]} | {shares[3]} | {m['energy_rank']:.2f} |"
    )
    path = save_model(potential, folder / "model.safetensors")
    (folder / "SHA256SUMS").write_text(f"{model_file.file_sha256(path)}  {path.name}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
