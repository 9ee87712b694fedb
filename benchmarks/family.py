"""The members of the family trained alike: force error against cost, on one set of data after the other.

    python benchmarks/family.py --data DATA --out out/family --budget 180

Every member gets the same processor time on every set: a probe of a few steps says how many epochs that is, and the
learning rate falls over them.  The models stay in OUT.  DATA holds rmd17/NAME_train.extxyz and NAME_test.extxyz, 3bpa/train_300K.extxyz,
water/train.extxyz and valid.extxyz, monbtaw/train.extxyz; see docs/family.md for their sources.  A run that is in
OUT/family.jsonl already is not repeated.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import jax
import machine
import numpy as np
from ase.io import read, write

import latte_ase
from latte_ase import LatteCalculator

TERMS = "16,-:24,a,a:24,ab,ab:12,abc,abc:16,a,b,ab:8,ab,bc,ca"
SMALL = "4,-:8,a,a:8,ab,ab:4,a,b,ab"
SEVEN = "16,-:16,a,a:16,ab,ab:12,abc,abc:16,a,b,ab:8,ab,bc,ca:8,ab,acd,bcd"
"""The seven optimal invariants of up to three tensors of rank 3, each with factors of its own."""

MEMBERS = {
    "latte small": {"descriptor": "latte", "contractions": SMALL, "hidden": [64, 64]},
    "latte": {"descriptor": "latte", "contractions": TERMS, "hidden": [64, 64]},
    "reduced small": {"descriptor": "reduced", "contractions": SMALL, "hidden": [64, 64]},
    "reduced": {"descriptor": "reduced", "contractions": TERMS, "hidden": [64, 64]},
    "reduced, wide network": {"descriptor": "reduced", "contractions": TERMS, "hidden": [256, 256]},
    "reduced, seven": {"descriptor": "reduced", "contractions": SEVEN, "hidden": [64, 64]},
    "reduced, vectors": {"descriptor": "reduced", "contractions": TERMS, "embedding": 4, "hidden": [64, 64]},
    "cace": {"descriptor": "cace", "n_embedding": 3, "hidden": [32, 16], "linear": True},
    "cace, Bchi": {
        "descriptor": "cace",
        "n_embedding": 3,
        "messages": ["Bchi"],
        "hidden": [32, 16],
        "linear": True,
    },
    "hiphop": {"descriptor": "hiphop", "n_interactions": 1, "hidden": []},
    "hiphop, two": {"descriptor": "hiphop", "n_interactions": 2, "hidden": []},
}
SETS = ("aspirin", "ethanol", "uracil", "3bpa", "water", "monbtaw")
CUTOFF = 5.0
TEST = 200
"""Frames of a test set, evenly spaced: enough to tell members apart."""
ATOMS = 1000
"""Atoms of the structure on which a call is timed."""


def frames_of(name: str, data: Path):
    """Training, validation and test frames, and isolated atoms' energies by symbol where there are any."""
    if name == "3bpa":
        frames = read(data / "3bpa/train_300K.extxyz", ":")
        alone = read(data / "3bpa/isolated_atoms.extxyz", ":")
        order = np.random.default_rng(0).permutation(len(frames))
        parts = order[:400], order[400:430], order[430:]
        energies = {a.get_chemical_symbols()[0]: a.get_potential_energy() for a in alone}
        return *([frames[k] for k in part] for part in parts), energies
    if name == "water":
        frames, test = read(data / "water/train.extxyz", ":"), read(data / "water/valid.extxyz", ":")
        order = np.random.default_rng(0).permutation(len(frames))
        return [frames[k] for k in order[:950]], [frames[k] for k in order[950:970]], test, {}
    if name == "monbtaw":
        frames = read(data / "monbtaw/train.extxyz", ":")
        order = np.random.default_rng(0).permutation(len(frames))
        return [frames[k] for k in order[:950]], [frames[k] for k in order[950:1000]], spaced(order[1000:], frames), {}
    frames, test = read(data / f"rmd17/{name}_train.extxyz", ":"), read(data / f"rmd17/{name}_test.extxyz", ":")
    return frames[:950], frames[950:], spaced(range(len(test)), test), {}


def spaced(indices, frames):
    """`TEST` of the frames, evenly spaced."""
    return [frames[indices[int(k)]] for k in np.linspace(0, len(indices) - 1, TEST)]


def config(name: str, member: dict, folder: Path, energies: dict, epochs: int) -> dict:
    """The training configuration of a member; the same for all but the model."""
    return {
        "model": {"name": name, "cutoff": CUTOFF, **member},
        "data": {
            "train": str(folder / "train.extxyz"),
            "valid": str(folder / "valid.extxyz"),
            "reference_energies": energies,
        },
        "training": {"epochs": epochs, "batch_size": 5, "rate": 3e-3, "energy_weight": 10.0, "seed": 0},
    }


def run(name: str, member: dict, frames, budget: float, out: Path) -> dict:
    """Train for `budget` seconds of one core, measure on the test frames; the model is written to `out`."""
    train, valid, test, energies = frames
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write(folder / "train.extxyz", train[:100])
        write(folder / "valid.extxyz", valid[:5])
        probe = []
        latte_ase.train(
            config(name, member, folder, energies, 3),
            out=folder / "probe",
            report=lambda row, n: probe.append(time.process_time()),
        )
        per_epoch = (probe[2] - probe[1]) / 100 * len(train)
        epochs = max(2, round(budget / per_epoch))
        write(folder / "train.extxyz", train)
        write(folder / "valid.extxyz", valid)
        start = time.process_time()
        result = latte_ase.train(config(name, member, folder, energies, epochs), out=folder / "model")
        seconds = time.process_time() - start
        evaluation = latte_ase.evaluate(result.potential, test)
        result.potential.save(out)
    return {
        "epochs": epochs,
        "seconds": seconds,
        "parameters": sum(np.size(a) for a in jax.tree.leaves(result.potential.params)),
        "microseconds": cost(result.potential, test[0]),
        "train": {k: v for k, v in result.history[-1].items() if k.startswith("train")},
        **evaluation.metrics,
    }


def cost(potential, atoms) -> float:
    """Processor time of energies and forces, microseconds per atom: of a box, or of a molecule many times over."""
    atoms = atoms.copy()
    atoms.calc = None
    repeats = max(1, round((ATOMS / len(atoms)) ** (1 / 3)))
    if not atoms.pbc.any():
        atoms.center(vacuum=6.0)
    atoms = atoms.repeat(repeats)
    calc = LatteCalculator(potential)
    start, times = atoms.positions.copy(), []
    for k in range(12):
        atoms.positions = start + np.random.default_rng(k).uniform(-1e-3, 1e-3, start.shape)
        before = time.process_time()
        calc.engine.evaluate(atoms)
        times.append(time.process_time() - before)
    return 1e6 * float(np.median(times[2:])) / len(atoms)


def main(options):
    """All members on all sets, one line of JSON each."""
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "family.jsonl"
    done = {(r["set"], r["member"]) for r in map(json.loads, path.read_text().splitlines())} if path.exists() else set()
    for name in options.sets.split(","):
        frames = frames_of(name, options.data)
        for member in options.members.split(";"):
            if (name, member) in done:
                continue
            row = {"set": name, "member": member, "budget": options.budget}
            model = options.out / f"{name}-{member.replace(', ', '-').replace(' ', '-')}.safetensors"
            row |= run(member, MEMBERS[member], frames, options.budget, model) | {"machine": machine.describe()}
            with path.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(
                name, member, {k: row[k] for k in ("epochs", "parameters", "microseconds", "forces_mae", "forces_rmse")}
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("out/family"))
    parser.add_argument("--budget", type=float, default=180.0, help="seconds of one core for every training")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--members", default=";".join(MEMBERS), help="separated by semicolons")
    main(parser.parse_args())
