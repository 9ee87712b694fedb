"""Several models of one molecule of revised MD17 teach one: their mean is better than each, and their pupil costs one call.

    python benchmarks/rmd17_taught.py --data DATA --molecule aspirin --out out/taught --teachers MODEL MODEL MODEL

The teachers are models that rmd17.py trained, the best one first.  It moves each of the 950 training frames for a short while at the
temperature of the data, 500 K (arXiv:1611.04678); what it meets has the mean of all teachers' energies and forces for labels.
From its weights the pupil learns these structures and the 950; the 50 frames that follow choose the epoch, as they did for the
teachers, and the test frames judge the end.  OUT gets taught.extxyz, the model, and a line of rmd17.jsonl for `rmd17.py --docs`;
what is there is not made again, and a training that was stopped goes on.
"""

import argparse
import csv
import json
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import jax
import machine
import numpy as np
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from rich.progress import track
from rmd17 import FILES, HELD, judge

from latte_ase import LatteCalculator, finetune, load_model, predict
from latte_ase.io import model_file
from latte_ase.io.pretrained import FILE
from latte_ase.training.config import load_config
from latte_ase.training.folder import CHECKPOINT
from latte_ase.training.reference_energies import refitted

TEMPERATURE = 500.0
"""K, that of MD17."""
RATE, EPOCHS = 1e-3, 28
"""A quarter of preset `large`'s rate, for the weights are good; the rest is as there."""


def moved(atoms: Atoms, calculator, rng, *, frames: int = 8, steps: int = 25) -> list[Atoms]:
    """Structures of a short run by Langevin dynamics of 1 fs, one after every so many steps."""
    atoms = atoms.copy()
    atoms.calc = calculator
    MaxwellBoltzmannDistribution(atoms, temperature_K=TEMPERATURE, rng=rng)
    dynamics = Langevin(atoms, units.fs, temperature_K=TEMPERATURE, friction=0.02 / units.fs, rng=rng)
    found = []
    for _ in range(frames):
        dynamics.run(steps)
        found.append(Atoms(atoms.numbers, positions=atoms.positions))
    return found


def labelled(structures: list[Atoms], teachers: list) -> list[Atoms]:
    """The structures with the mean of the teachers' energies and forces."""
    answers = [list(predict(teacher, structures)) for teacher in teachers]
    for atoms, *each in zip(structures, *answers, strict=True):
        energy = float(np.mean([answer.energy for answer in each]))
        forces = np.mean([answer.forces for answer in each], axis=0)
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
    return structures


def taught(frames: list[Atoms], teachers: list) -> list[Atoms]:
    """What the first teacher meets on its way from every frame, with the labels of all."""
    rng = np.random.default_rng(0)
    calculator = LatteCalculator(teachers[0])
    runs = track(frames, description="dynamics", disable=not sys.stderr.isatty())
    return labelled([atoms for start in runs for atoms in moved(start, calculator, rng)], teachers)


def learn(frames: list[Atoms], held: list[Atoms], teachers: list, *, out: Path) -> None:
    """Write the pupil's model, its E0 fitted to the frames of DFT at the end, as `latte_ase.train` does."""
    path = out / "taught.extxyz"
    if not path.exists():
        write(path, taught(frames, teachers))
    pupil = out / "trained"
    if not (pupil / FILE).exists():
        preset = load_config({"preset": "large", "model": {"name": "pupil"}, "data": {"train": str(path)}})
        training = replace(preset.training, rate=RATE, epochs=EPOCHS)
        finetune(
            teachers[0],
            frames + read(path, ":"),
            valid=held,
            out=pupil,
            resume=(pupil / CHECKPOINT).exists(),
            patience=EPOCHS,
            **training.to_dict(),
        )
    model_file.save_model(refitted(load_model(pupil), frames), out / FILE)


def main(options):
    """Teach, judge, write a line."""
    stem = str(options.data / FILES.get(options.molecule, options.molecule))
    frames = read(f"{stem}_train.extxyz", ":")
    frames, held = frames[:-HELD], frames[-HELD:]
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / FILE
    if not path.exists():
        learn(frames, held, [load_model(teacher) for teacher in options.teachers], out=options.out)
    pupil = SimpleNamespace(path=path, potential=load_model(path))
    history = list(csv.DictReader((options.out / "trained" / "metrics.csv").open()))
    best = min(history, key=lambda row: float(row["criterion"]))
    row = {
        "molecule": options.molecule,
        "preset": "large",
        "seed": 0,
        "held": HELD,
        "set": [f"taught by {len(options.teachers)}"],
        **judge(pupil, read(f"{stem}_test.extxyz", ":")),
        "valid": float(best["valid_forces_mae"]),
        "train": float(history[-1]["train_forces_mae"]),
        "epochs": len(history),
        "seconds": sum(float(row["seconds"]) for row in history),
        "processor_seconds": None,
        "parameters": sum(np.size(a) for a in jax.tree.leaves(pupil.potential.params)),
        "machine": machine.describe(),
    }
    (options.out / "rmd17.jsonl").write_text(json.dumps(row) + "\n")
    print({key: row[key] for key in ("energy", "force", "valid", "train", "seconds")})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the frames, as for rmd17.py")
    parser.add_argument("--molecule", required=True)
    parser.add_argument("--teachers", nargs="+", required=True, help="model files or folders")
    parser.add_argument("--out", type=Path, required=True)
    warnings.filterwarnings("ignore", category=FutureWarning, module="ase.md")
    main(parser.parse_args())
