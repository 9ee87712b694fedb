"""What many elements cost: frames of a set as they are, and with all atoms of one element.

    python benchmarks/elements.py mptrj-random-1k.extxyz

A step of training, and energies and forces, with the tensor-reduced descriptor on element vectors.  The frames are
the same, so the pairs are; only the elements differ.  The two take turns.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import jax
import machine
import numpy as np
from ase.io import read

from latte_ase import predict
from latte_ase.model.program import weights_of
from latte_ase.training.batches import Batches, training_program
from latte_ase.training.config import load_config
from latte_ase.training.dataset import prepare
from latte_ase.training.initial import initial_potential
from latte_ase.training.optimiser import optimiser
from latte_ase.training.parametrisation import everything
from latte_ase.training.step import OptimiserState, make_step

TERMS = "16,-:24,a,a:24,ab,ab:12,abc,abc:16,a,b,ab:8,ab,bc,ca"
ROUNDS = 5


def config(descriptor: dict) -> dict:
    """The training configuration; its file of frames is not read."""
    return {
        "model": {"name": "elements", "cutoff": 5.0, "hidden": [64, 64], **descriptor},
        "data": {"train": ""},
        "training": {"batch_size": 8},
    }


def calls(frames, settings) -> dict:
    """{what: (function without arguments, atoms it handles)}."""
    potential = initial_potential(settings, frames)
    batches = Batches(potential, prepare(potential, frames), settings.training.batches)
    made = list(batches())
    transformation = optimiser(settings.training, 1000)
    step = make_step(
        training_program(potential), transformation, settings.training, parametrisation=everything(potential)
    )
    params, constants, _ = weights_of(potential, np.float32)
    start = OptimiserState(params, params, transformation.init(params), np.zeros((), np.int32))

    def train():
        state = start
        for batch in made:
            state, _ = step(state, constants, batch)
        jax.block_until_ready(state)

    def run():
        for _ in predict(potential, frames):
            pass

    return {"training": train, "energies and forces": run}


def measure(path: Path, descriptor: dict, count: int) -> dict:
    """Processor time in microseconds per atom, with many elements and with one, and their ratio."""
    frames = [a for a in read(path, ":") if len(a) <= 60][:count]
    one = [a.copy() for a in frames]
    for atoms, original in zip(one, frames, strict=True):
        atoms.numbers[:] = 14
        atoms.calc = original.calc
    settings = load_config(config({"repulsion": False, **descriptor}))
    both = {"many": calls(frames, settings), "one": calls(one, settings)}
    times = {what: {name: [] for name in both} for what in both["one"]}
    for round_ in range(ROUNDS + 1):
        for name, functions in both.items():
            for what, function in functions.items():
                start = time.process_time()
                function()
                if round_:  # the first call compiles
                    times[what][name].append(time.process_time() - start)
    atoms = sum(map(len, frames))
    return {
        "frames": len(frames),
        "atoms": atoms,
        "elements": len({int(z) for a in frames for z in a.numbers}),
        "machine": machine.describe(),
        **{
            what: {name: 1e6 * float(np.median(values)) / atoms for name, values in found.items()}
            | {"ratio": float(np.median(np.array(found["many"]) / found["one"]))}
            for what, found in times.items()
        },
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("frames", type=Path)
    parser.add_argument("--count", type=int, default=200, help="frames used")
    parser.add_argument("--embedding", type=int, default=4, help="length of the element vectors")
    options = parser.parse_args()
    made = {"descriptor": "reduced", "contractions": TERMS, "embedding": options.embedding}
    print(json.dumps(measure(options.frames, made, options.count), indent=1))
