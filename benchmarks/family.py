"""The members of the family trained alike: force error against cost, on one set of data after the other.

    python benchmarks/family.py --data DATA --out out/family --budget 180

Every member gets the same processor time on every set: a few steps of all of them, taking turns, say how many epochs that
is, and the learning rate falls over them.  The models stay in OUT; when all are there, `--costs` measures what a call costs, members
taking turns.  DATA holds rmd17/NAME_train.extxyz and NAME_test.extxyz, 3bpa/train_300K.extxyz,
water/train.extxyz and valid.extxyz, monbtaw/train.extxyz; see docs/family.md for their sources.  A run that is in
OUT/family.jsonl already is not repeated.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import jax
import machine
import numpy as np
from ase.data import atomic_numbers
from ase.io import read, write

import latte_ase
from latte_ase import load_model
from latte_ase.engine.engine import Engine
from latte_ase.io.model_file import save_model
from latte_ase.model.descriptors import DESCRIPTORS
from latte_ase.model.potential import Architecture, init_params
from latte_ase.model.program import weights_of
from latte_ase.training import load_config
from latte_ase.training.batch_rules import ByFrames
from latte_ase.training.batches import Batches, training_program
from latte_ase.training.dataset import prepare
from latte_ase.training.initial import initial_potential, with_constants
from latte_ase.training.optimiser import optimiser
from latte_ase.training.parametrisation import everything
from latte_ase.training.step import OptimiserState, make_step

TERMS = "16,-:24,a,a:24,ab,ab:12,abc,abc:16,a,b,ab:8,ab,bc,ca"
SEVEN = "16,-:16,a,a:16,ab,ab:12,abc,abc:16,a,b,ab:8,ab,bc,ca:8,ab,acd,bcd"
"""The seven optimal invariants of up to three tensors of rank 3, each with factors of its own."""

MEMBERS = {
    "latte": {"descriptor": "latte", "contractions": TERMS, "hidden": [64, 64]},
    "reduced": {"descriptor": "reduced", "contractions": TERMS, "hidden": [64, 64]},
    "reduced, seven": {"descriptor": "reduced", "contractions": SEVEN, "hidden": [64, 64]},
    "reduced, vectors": {"descriptor": "reduced", "contractions": TERMS, "embedding": 4, "hidden": [64, 64]},
    "messages": {"descriptor": "messages", "contractions": TERMS, "second": TERMS, "hidden": [64, 64]},
    "cace": {"descriptor": "cace", "n_embedding": 3, "hidden": [32, 16], "linear": True},
    "cace, Bchi": {
        "descriptor": "cace",
        "n_embedding": 3,
        "messages": ["Bchi"],
        "hidden": [32, 16],
        "linear": True,
    },
    "hiphop": {"descriptor": "hiphop", "n_interactions": 1, "hidden": []},
}
PEERS = {"apax": 1, "mace": 5}
"""Members of other packages, trained by benchmarks/peers/NAME_train.py, and how often they get the time of the others: in
one such time MACE would not see every frame."""
EQUAL = 48_000
"""Parameters of the members called "equal": what the larger ones need for four elements."""
MEMBERS |= {
    f"{name}, equal": {k: v for k, v in MEMBERS[name].items() if k != "hidden"} | extra
    for name, extra in {
        "latte": {},
        "reduced": {},
        "reduced, seven": {},
        "reduced, vectors": {},
        "cace": {},
        "cace, Bchi": {},
        "hiphop": {"hidden": []},
    }.items()
}
SETS = ("aspirin", "ethanol", "uracil", "3bpa", "water", "monbtaw")
CUTOFF = 5.0
TEST = 200
"""Frames of a test set, evenly spaced: enough to tell members apart."""
WATER = 100
"""Frames of water to train on: with 192 atoms each, as many forces as 950 frames of aspirin."""
BATCH = 5
STEPS = 4
"""Training steps that are timed at once."""
TURNS = 9
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
        return [frames[k] for k in order[:WATER]], [frames[k] for k in order[950:970]], test, {}
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
        "training": {
            "epochs": epochs,
            "batch_size": BATCH,
            "optimiser": "adamw",  # the peer has Adam too
            "rate": 3e-3,
            "energy_weight": 10.0,
            "seed": 0,
        },
    }


def sized(member: dict, elements: tuple[str, ...]) -> dict:
    """The member with the width, of the network or of HIP-HOP's features, that gives it about `EQUAL` parameters."""

    def with_width(width):
        return {**member, "width": width} if "hidden" in member else {**member, "hidden": [width, width]}

    return with_width(min(range(8, 200, 2), key=lambda width: abs(parameters(with_width(width), elements) - EQUAL)))


def parameters(member: dict, elements: tuple[str, ...]) -> int:
    """How many parameters a member has."""
    model = load_config({"model": {"name": "member", "cutoff": CUTOFF, **member}, "data": {"train": ""}}).model
    descriptor = DESCRIPTORS[model.descriptor](cutoff=CUTOFF, **model.options)
    architecture = Architecture(elements=elements, descriptor=descriptor, hidden=model.hidden, linear=model.linear)
    shapes = jax.eval_shape(lambda: init_params(architecture, jax.random.key(0)))
    return sum(math.prod(s.shape) for s in jax.tree.leaves(shapes))


def epoch_seconds(members: dict[str, dict], frames) -> dict[str, float]:
    """Processor time of an epoch of each member: the shortest of some rounds of a few steps, taking turns.

    On a busy machine a training by itself would tell more of the others on it than of the member.
    """
    train, _, _, energies = frames
    order = np.random.default_rng(0).permutation(len(train))[: STEPS * BATCH]
    calls, times = {}, {name: [] for name in members}
    for name, member in members.items():
        settings = load_config(config(name, member, Path(), energies, 100))
        potential = initial_potential(settings, train)
        prepared = prepare(potential, [train[k] for k in order])
        potential = with_constants(potential, prepared)
        cast = weights_of(potential, np.float32)
        transformation = optimiser(settings.training, 1000)
        step = make_step(
            training_program(potential), transformation, settings.training, parametrisation=everything(potential)
        )
        state = OptimiserState(cast[0], cast[0], transformation.init(cast[0]), np.zeros((), np.int32))

        calls[name] = partial(_steps, step, state, cast[1], list(Batches(potential, prepared, ByFrames(BATCH))()))
        calls[name]()  # compiles
    for _ in range(TURNS):
        for name, call in calls.items():
            start = time.process_time()
            call()
            times[name].append(time.process_time() - start)
    return {name: min(found) / (STEPS * BATCH) * len(train) for name, found in times.items()}


def _steps(step, state, constants, batches) -> None:
    for batch in batches:
        jax.block_until_ready(step(state, constants, batch))


def run(name: str, member: dict, frames, epochs: int, out: Path) -> dict:
    """Train for so many epochs, measure on the test frames; the model is written to `out`."""
    train, valid, test, energies = frames
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write(folder / "train.extxyz", train)
        write(folder / "valid.extxyz", valid)
        start = time.process_time()
        result = latte_ase.train(config(name, member, folder, energies, epochs), out=folder / "model")
        seconds = time.process_time() - start
        evaluation = latte_ase.evaluate(result.potential, test)
        save_model(result.potential, out)
    return {
        "epochs": epochs,
        "seconds": seconds,
        "parameters": sum(np.size(a) for a in jax.tree.leaves(result.potential.params)),
        "train": {k: v for k, v in result.history[-1].items() if k.startswith("train")},
        **evaluation.metrics,
    }


def run_peer(peer: str, python: str, frames, budget: float) -> dict:
    """As `run` for a peer, in the environment of that interpreter; its cost is measured there, not in turn with others."""
    with TemporaryDirectory() as folder:
        for part, structures in zip(("train", "valid", "test"), frames, strict=False):
            write(Path(folder) / f"{part}.extxyz", structures)
        command = [python, str(Path(__file__).parent / f"peers/{peer}_train.py"), folder, str(budget)]
        subprocess.run(command, check=True, env=os.environ | {"JAX_PLATFORMS": "cpu", "OMP_NUM_THREADS": "1"})
        return json.loads((Path(folder) / "result.json").read_text())


def costs(models: dict[str, Path], atoms) -> dict[str, float]:
    """Processor time of energies and forces by member, microseconds per atom, taking turns on one core.

    The structure is a box, or a molecule many times over.
    """
    atoms = atoms.copy()
    atoms.calc = None
    if not atoms.pbc.any():
        atoms.center(vacuum=6.0)
    atoms = atoms.repeat(max(1, round((ATOMS / len(atoms)) ** (1 / 3))))
    start, rng = atoms.positions.copy(), np.random.default_rng(0)
    engines = {member: Engine(load_model(path), threads=1) for member, path in models.items()}
    times: dict[str, list[float]] = {member: [] for member in models}
    for turn in range(2 + TURNS):
        for member, engine in engines.items():
            atoms.positions = start + rng.uniform(-1e-3, 1e-3, start.shape)
            before = time.process_time()
            engine.evaluate(atoms)
            if turn > 1:  # the first one compiles, the second warms up
                times[member].append(time.process_time() - before)
    return {member: 1e6 * float(np.median(t)) / len(atoms) for member, t in times.items()}


def file_of(out: Path, name: str, member: str) -> Path:
    """Where the model of a member on a set is kept."""
    return out / f"{name}-{member.replace(', ', '-').replace(' ', '-')}.safetensors"


def measure_costs(options) -> None:
    """Costs of all models that there are, written into the lines of OUT/family.jsonl."""
    path = options.out / "family.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for name in dict.fromkeys(row["set"] for row in rows):
        mine = [row for row in rows if row["set"] == name]
        models = {row["member"]: file_of(options.out, name, row["member"]) for row in mine}
        here = {member: file for member, file in models.items() if file.exists()}
        found = costs(here, frames_of(name, options.data)[2][0])
        print(name, found)
        for row in mine:
            if row["member"] in found:
                row["microseconds"] = found[row["member"]]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def main(options):
    """All members on all sets, one line of JSON each."""
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "family.jsonl"
    done = {(r["set"], r["member"]) for r in map(json.loads, path.read_text().splitlines())} if path.exists() else set()
    for name in options.sets.split(","):
        frames = frames_of(name, options.data)
        elements = tuple(sorted({s for a in frames[0] for s in a.symbols}, key=atomic_numbers.__getitem__))
        asked = (
            options.members.split(";") if options.members else [*MEMBERS, *(p for p in PEERS if getattr(options, p))]
        )
        wanted = [member for member in asked if (name, member) not in done]
        settings = {
            member: sized(MEMBERS[member], elements) if member.endswith(", equal") else MEMBERS[member]
            for member in wanted
            if member not in PEERS
        }
        seconds = epoch_seconds(settings, frames)
        print(name, "seconds of an epoch", seconds, flush=True)
        for member in wanted:
            budget = options.budget * PEERS.get(member, 1)
            row = {"set": name, "member": member, "budget": budget, "machine": machine.describe()}
            if member in PEERS:
                row |= run_peer(member, getattr(options, member), frames, budget)
            else:
                epochs = max(2, round(budget / seconds[member]))
                row |= run(member, settings[member], frames, epochs, file_of(options.out, name, member))
            with path.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(name, member, {k: row[k] for k in ("epochs", "parameters", "forces_mae", "forces_rmse")})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("out/family"))
    parser.add_argument("--budget", type=float, default=180.0, help="seconds of one core for every training")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--members", help="separated by semicolons; all, and the peers given below, unless told")
    for peer in PEERS:
        parser.add_argument(f"--{peer}", help=f"interpreter of an environment with {peer}, for the member {peer}")
    parser.add_argument("--costs", action="store_true", help="train nothing, measure the costs of the models in OUT")
    options = parser.parse_args()
    measure_costs(options) if options.costs else main(options)
