"""A training step of each preset: gradient of a batch, update, moving average; with Muon, with Adam, and the gradient alone.

    python benchmarks/training_step.py FILE [--batch 5] [--presets small,medium,large]

FILE holds labelled frames of a molecule, such as rMD17's aspirin.  The steps of one preset take turns in one process;
medians in ms.  Parameters are random: cost does not depend on them.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace

import clock
import jax
import numpy as np
import optax
from ase.io import read

from latte_ase.model.program import weights_of
from latte_ase.training.batch_rules import ByFrames
from latte_ase.training.batches import Batches, training_program
from latte_ase.training.config import load_config
from latte_ase.training.dataset import prepare
from latte_ase.training.initial import initial_potential, with_constants
from latte_ase.training.optimiser import optimiser
from latte_ase.training.parametrisation import everything
from latte_ase.training.step import OptimiserState, make_step

STEPS = 1000
"""Length of the schedule, of which nothing is seen."""


def calls(preset: str, atoms: list, batch_size: int) -> dict:
    """A step with each optimiser, compiled when first called."""
    config = load_config({"preset": preset, "model": {"name": preset}, "data": {"train": "-"}})
    potential = initial_potential(config, atoms)
    frames = prepare(potential, atoms)
    potential = with_constants(potential, frames)
    batch = next(iter(Batches(potential, frames, ByFrames(batch_size))()))
    params, constants, _ = weights_of(potential, np.float32)
    transformations = {
        "muon": optimiser(replace(config.training, optimiser="muon"), STEPS),
        "adam": optimiser(replace(config.training, optimiser="adamw"), STEPS),
        "gradient": optax.sgd(1e-3),
    }

    def call(transformation):
        step = make_step(
            training_program(potential), transformation, config.training, parametrisation=everything(potential)
        )
        state = OptimiserState(params, params, transformation.init(params), np.zeros((), np.int32))
        placed = jax.device_put((state, constants, batch))
        return lambda: jax.block_until_ready(step(*placed))

    return {name: call(transformation) for name, transformation in transformations.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="labelled frames of a molecule")
    parser.add_argument("--batch", type=int, default=5, help="frames in a batch")
    parser.add_argument("--presets", default="small,medium,large")
    parser.add_argument("--budget", type=float, default=10.0, help="seconds for each preset")
    args = parser.parse_args()
    atoms = read(args.file, ":50")
    for preset in args.presets.split(","):
        times = clock.take_turns(calls(preset, atoms, args.batch), budget=args.budget)
        row = {name: {"median": 1e3 * float(np.median(t)), "fastest": 1e3 * min(t)} for name, t in times.items()}
        print(json.dumps({"preset": preset, "atoms": len(atoms[0]), "batch": args.batch, "ms": row}), flush=True)


if __name__ == "__main__":
    main()
