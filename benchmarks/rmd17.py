"""Presets trained on revised MD17: errors on the test frames beside the published ones.

    python benchmarks/rmd17.py --data DATA --out out/rmd17 --molecules aspirin --presets medium
    python benchmarks/rmd17.py --data DATA --out out/rmd17 --molecules ethanol --held 300 --set training.rate=1e-3 --seed 1
    python benchmarks/rmd17.py --out out/rmd17 --docs

DATA holds NAME_train.extxyz and NAME_test.extxyz of split 01 (arXiv:2007.09593): 950 frames are trained on, the 50 that
follow choose the epoch, and all 1000 of the other file are the test.  With `--held` more frames are held out, and the test
is left alone: these are experiments, which choose settings, and stand in a table of their own.  Every training writes
checkpoints into a folder of OUT and goes on from there; results go to OUT/rmd17.jsonl, and one that is there is not
repeated.  `--docs` writes the tables of docs/accuracy.md.
"""

from __future__ import annotations

import argparse
import json
import time
import tomllib
from pathlib import Path

import jax
import machine
import numpy as np
from ase.io import read, write
from family import costs
from figures import Table, number, whole
from report import DOCS, insert

import latte_ase
from latte_ase.training.config import PRESETS

PUBLISHED = json.loads((Path(__file__).parent / "rmd17_published.json").read_text())["data"]
FILES = {"salicylic_acid": "salicylic"}
"""Names of files where they are not those of the molecules."""
COLUMNS = ("ACE", "LATTE small", "LATTE medium", "SOTA")
COPY = DOCS / "performance" / "rmd17.jsonl"
HELD = 50
"""Frames of the 1000 that choose the epoch, where the test frames are the judge."""


def overridden(config: dict, settings: list[str]) -> dict:
    """The configuration with entries such as "training.rate=1e-3"; values are TOML."""
    for setting in settings:
        key, value = setting.split("=", 1)
        table, name = key.split(".")
        config.setdefault(table, {})[name] = tomllib.loads(f"x = {value}")["x"]
    return config


def train(molecule: str, preset: str, options, folder: Path) -> dict:
    """One training, from its checkpoint where there is one; its row."""
    stem = str(options.data / FILES.get(molecule, molecule))
    frames = read(f"{stem}_train.extxyz", ":")
    folder.mkdir(parents=True, exist_ok=True)
    parts = {"train": frames[: -options.held], "valid": frames[-options.held :]}
    for part, structures in parts.items():
        write(folder / f"{part}.extxyz", structures)
    config = {
        "preset": preset,
        "model": {"name": f"{molecule}-{preset}"},
        "data": {part: str(folder / f"{part}.extxyz") for part in parts},
        "training": {"seed": options.seed},
    }
    processor = time.process_time()
    resume = (folder / "checkpoint.safetensors").exists()
    result = latte_ase.train(overridden(config, options.set), out=folder, resume=resume)
    processor = time.process_time() - processor
    best = min(result.history, key=lambda row: row["criterion"])
    judged = judge(result, read(f"{stem}_test.extxyz", ":")) if options.held == HELD else {}
    return judged | {
        "valid": best["valid_forces_mae"],
        "train": result.history[-1]["train_forces_mae"],
        "epochs": len(result.history),
        "seconds": sum(row["seconds"] for row in result.history),
        "processor_seconds": None if resume else processor,
        "parameters": sum(np.size(a) for a in jax.tree.leaves(result.potential.params)),
    }


def judge(result, test: list) -> dict:
    """Errors of the test frames, meV and meV/Angstrom, and what a call costs."""
    metrics = latte_ase.evaluate(result.potential, test).metrics
    errors = {"energy": metrics["energy_mae"] * len(test[0]), "force": metrics["forces_mae"]}
    return errors | {"microseconds": costs({"it": result.path}, test[0])["it"]}


def load(out: Path) -> list[dict]:
    """The results, one per line."""
    path = out / "rmd17.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def main(options):
    """Every molecule with every preset, one line of JSON each."""
    rows = load(options.out)
    for molecule in options.molecules.split(","):
        for preset in options.presets.split(","):
            key = {
                "molecule": molecule,
                "preset": preset,
                "seed": options.seed,
                "held": options.held,
                "set": options.set,
            }
            if any(all(row[k] == v for k, v in key.items()) for row in rows):
                continue
            name = "-".join([molecule, preset, str(options.seed), str(options.held), *options.set])
            row = key | train(molecule, preset, options, options.out / name.replace("/", "_").replace(" ", ""))
            row |= {"machine": machine.describe()}
            with (options.out / "rmd17.jsonl").open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(
                molecule, preset, options.set, {k: row.get(k) for k in ("energy", "force", "valid", "train", "seconds")}
            )


def cells(rows: list[dict]) -> Table:
    """Energy / force errors of the presets beside the published ones."""
    plain = {(row["molecule"], row["preset"]): row for row in rows if tested(row) and row["seed"] == 0}
    presets = [p for p in PRESETS if any(preset == p for _, preset in plain)]
    lines = []
    for molecule, published in PUBLISHED.items():
        mine = [plain.get((molecule, preset)) for preset in presets]
        ours = [f"{number(row['energy'], 2)} / {number(row['force'], 3)}" if row else "–" for row in mine]
        lines.append((molecule, *ours, *(f"{published[c][0]} / {published[c][1]}" for c in COLUMNS)))
    return Table("rMD17", ("molecule", *presets, *COLUMNS), lines)


def variations(rows: list[dict]) -> Table:
    """Presets with other settings or other seeds, as the test frames judge them."""
    lines = [
        (
            row["molecule"], row["preset"], " ".join(row["set"]) or "as it is", str(row["seed"]),
            f"{number(row['energy'], 2)} / {number(row['force'], 3)}", number(row["valid"], 3),
            number(row["train"], 3), number(minutes(row), 2),
        )
        for row in sorted(rows, key=lambda row: (row["molecule"], row["preset"]))
        if row["held"] == HELD and (row["set"] or row["seed"])
    ]  # fmt: skip
    header = ("molecule", "preset", "but", "seed", "test", "valid", "train", "minutes")
    return Table("Variations", header, lines)


def price(rows: list[dict]) -> Table:
    """What the presets cost."""
    lines = []
    for preset in PRESETS:
        mine = [row for row in rows if row["preset"] == preset and tested(row)]
        if mine:
            columns = [
                [whole(row["parameters"]) for row in sorted(mine, key=lambda row: row["parameters"])],
                [number(x) for x in sorted(row["microseconds"] for row in mine)],
                [number(x, 2) for x in sorted(map(minutes, mine))],
            ]
            lines.append((preset, *(" to ".join(dict.fromkeys((c[0], c[-1]))) for c in columns)))
    return Table("Cost", ("preset", "parameters", "µs per atom", "minutes of training"), lines)


def minutes(row: dict) -> float:
    """Of processor time; of the clock, where a training was taken up again."""
    return (row["processor_seconds"] or row["seconds"]) / 60


def tested(row: dict) -> bool:
    """Whether this is a preset as it is, judged by the test frames."""
    return row["held"] == HELD and not row["set"]


def experiments(rows: list[dict]) -> Table:
    """The log: every training that was judged by held-out frames, in order."""
    lines = [
        (
            row["molecule"], row["preset"], " ".join(row["set"]) or "as it is", str(row["seed"]), str(row["epochs"]),
            number(row["train"], 3), number(row["valid"], 3), number(row["seconds"] / 60, 2),
        )
        for row in rows
        if row["held"] != HELD
    ]  # fmt: skip
    return Table("Experiments", ("molecule", "preset", "but", "seed", "epochs", "train", "valid", "minutes"), lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of the frames")
    parser.add_argument("--out", type=Path, default=Path("out/rmd17"))
    parser.add_argument("--molecules", default=",".join(PUBLISHED))
    parser.add_argument("--presets", default="medium")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--held", type=int, default=HELD, help="frames held out; other than 50 leave the test alone")
    parser.add_argument("--set", action="append", default=[], help="TABLE.KEY=VALUE, may be given several times")
    parser.add_argument("--docs", action="store_true", help="train nothing, write the tables into docs/accuracy.md")
    options = parser.parse_args()
    if options.docs:
        found = load(options.out)
        COPY.write_text("".join(json.dumps(row) + "\n" for row in found))
        page = DOCS / "accuracy.md"
        made = {
            "rmd": cells(found),
            "variations": variations(found),
            "price": price(found),
            "experiments": experiments(found),
        }
        page.write_text(insert(page.read_text(), made))
    else:
        main(options)
