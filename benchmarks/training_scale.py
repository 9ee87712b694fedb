"""Training on structures of different sizes: batches by frames and by atoms, on one device and on several.

    XLA_FLAGS=--xla_force_host_platform_device_count=2 python benchmarks/training_scale.py [--frames 400] [--rounds 3]
    taskset -c 0 python benchmarks/training_scale.py  # one core: XLA uses others for one device too

The set is made here: clusters of --smallest to --largest atoms of --elements, with Lennard-Jones labels, which do not change the cost.
Epochs of all cases take turns in one process, the first of each compiles and is not counted.  A row per case: frames per second
(median of the rounds), padding (share of the places for pairs that is empty), compiled shapes, steps of an epoch.
"""

from __future__ import annotations

import argparse
import json
import time

import jax
import numpy as np
from ase import Atoms
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator

from latte_ase.model.program import weights_of
from latte_ase.training.batch_rules import ByAtoms, ByFrames
from latte_ase.training.batches import Batches, training_program
from latte_ase.training.config import load_config
from latte_ase.training.data_parallel import find_devices
from latte_ase.training.dataset import prepare
from latte_ase.training.initial import initial_potential, with_constants
from latte_ase.training.optimiser import optimiser
from latte_ase.training.parametrisation import everything
from latte_ase.training.step import OptimiserState, make_step


def cluster(rng, smallest: int, largest: int, elements: str) -> Atoms:
    """A ball cut out of a shaken lattice, with labels."""
    size = rng.integers(smallest, largest + 1)
    sites = 1.9 * np.stack(np.meshgrid(*[np.arange(-3, 4)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    nearest = np.argsort(np.linalg.norm(sites + rng.uniform(-0.3, 0.3, 3), axis=1))[:size]
    atoms = Atoms(rng.choice(list(elements), size=size), sites[nearest] + rng.uniform(-0.1, 0.1, (size, 3)))
    atoms.calc = LennardJones(sigma=1.7, epsilon=0.1, rc=5.0)
    atoms.calc = SinglePointCalculator(atoms, energy=atoms.get_potential_energy(), forces=atoms.get_forces())
    return atoms


def epochs(potential, frames, training, rule, devices: int):
    """Function of an epoch that trains it, and what is known of its batches."""
    group = find_devices(devices)
    batches = Batches(potential, frames, rule, group=group)
    transformation = optimiser(training, 10_000)
    step = make_step(
        training_program(potential), transformation, training, parametrisation=everything(potential), group=group
    )
    params, constants, _ = weights_of(potential, np.float32)
    state = OptimiserState(params, params, transformation.init(params), np.zeros((), np.int32))
    seen = {"shapes": set(), "places": 0}

    def order(epoch):
        return np.random.default_rng(epoch).permutation(len(frames))

    def run(epoch):
        nonlocal state
        for batch in batches(order(epoch)):
            state, _ = step(state, constants, batch)
        jax.block_until_ready(state)

    def look(epoch):
        for batch in batches(order(epoch)):
            seen["shapes"].add(tuple(g.neighbour.shape for g in batch.graph.groups))
            seen["places"] += sum(g.neighbour.size for g in batch.graph.groups)
        padding = 1 - sum(len(f.pairs.i) for f in frames) / seen["places"]
        return {"padding": round(padding, 3), "shapes": len(seen["shapes"]), "steps": batches.steps(order(epoch))}

    return run, look


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=400)
    parser.add_argument("--size", type=int, default=8, help="frames in a batch")
    parser.add_argument("--smallest", type=int, default=6, help="atoms")
    parser.add_argument("--largest", type=int, default=60, help="atoms")
    parser.add_argument("--elements", default="HHHHHCCCCO", help="letters of which the element of each atom is drawn")
    parser.add_argument("--preset", default="medium")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    structures = [cluster(rng, args.smallest, args.largest, args.elements) for _ in range(args.frames)]
    config = load_config(
        {"preset": args.preset, "model": {"name": "scale", "repulsion": False}, "data": {"train": "-"}}
    )
    potential = initial_potential(config, structures)
    frames = prepare(potential, structures)
    potential = with_constants(potential, frames)
    atoms = round(args.size * np.mean([len(f.species) for f in frames]))
    rules = {f"{args.size} frames": ByFrames(args.size), f"{atoms} atoms": ByAtoms(atoms)}
    cases = {
        (name, count): epochs(potential, frames, config.training, rule, count)
        for name, rule in rules.items()
        for count in sorted({1, jax.device_count()})
    }
    facts = {case: look(0) for case, (_, look) in cases.items()}
    times = {case: [] for case in cases}
    for epoch in range(args.rounds + 1):
        for case, (run, _) in cases.items():
            start = time.perf_counter()
            run(0)
            if epoch:
                times[case].append(time.perf_counter() - start)
    for (name, count), found in times.items():
        row = {"batch": name, "devices": count, "frames_per_s": round(len(frames) / float(np.median(found)), 1)}
        print(json.dumps(row | {"fastest": round(len(frames) / min(found), 1)} | facts[name, count]), flush=True)


if __name__ == "__main__":
    main()
