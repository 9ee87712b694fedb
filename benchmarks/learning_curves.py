"""Fine-tuning against training from scratch: force error against the number of frames.

    python benchmarks/learning_curves.py --data DATA --base 3bpa=MODEL --base aspirin=MODEL --out out/curves
    python benchmarks/learning_curves.py --out out/curves --docs

Acetylacetone (PBE) from a model of 3BPA (wB97X), and ethanol from a model of aspirin, both of rMD17.  DATA holds
acac/train_300K.extxyz and the sets of family.py, whose training frames the base models know; see docs/family.md for
their sources.  Frames are
the first ones of a random order, a tenth of them held out to stop early; errors are those of test frames that nothing else
saw.  From scratch the same architecture is trained with the same frames and as many steps, at 3e-3 instead of 2e-3.
`replay` is "full" with frames of the base model's own data.  Results go to OUT/curves.jsonl; one that is there is not repeated.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import machine
import numpy as np
from ase.io import read, write
from family import frames_of
from figures import Table, number
from report import DOCS, insert

import latte_ase
from latte_ase import load_model

SIZES = (10, 50, 200, 950)
STEPS = 2500
BATCH = 2
TEST = 200
STRATEGIES = ("full", "network", "lora", "last-layer", "replay")
COPY = DOCS / "performance" / "curves.jsonl"


def acac(data: Path):
    """Frames to learn from, and test frames."""
    frames = read(data / "acac/train_300K.extxyz", ":")
    order = np.random.default_rng(0).permutation(len(frames))
    return [frames[k] for k in order[TEST:]], [frames[k] for k in order[:TEST]]


def ethanol(data: Path):
    """Frames to learn from, and test frames."""
    frames, test = (read(data / f"rmd17/ethanol_{part}.extxyz", ":") for part in ("train", "test"))
    order = np.random.default_rng(0).permutation(len(frames))
    return [frames[k] for k in order], test[:: len(test) // TEST]


CASES = {"acac": (acac, "3bpa"), "ethanol": (ethanol, "aspirin")}


def epochs(size: int) -> int:
    """Passes over nine tenths of the frames that make `STEPS` steps."""
    return STEPS // -(-(size - max(1, round(0.1 * size))) // BATCH)


def from_scratch(base, frames):
    """The base model's architecture, trained on these frames alone."""
    recipe = base.metadata["recipe"]
    with TemporaryDirectory() as folder:
        write(Path(folder) / "frames.extxyz", frames)
        config = {
            "model": {**recipe["model"], "name": "scratch", "elements": []},
            "data": {"train": str(Path(folder) / "frames.extxyz"), "valid_fraction": 0.1},
            "training": {
                **recipe["training"], "epochs": epochs(len(frames)), "batch_size": BATCH, "rate": 3e-3, "ema": 0.99,
                "energy_weight": 100.0, "huber": float("inf"),
            },
        }  # fmt: skip
        return latte_ase.train(config, out=Path(folder) / "model").potential


def tuned(base, frames, strategy: str, own):
    """The base model, fine-tuned."""
    how = {"replayed": own} if strategy == "replay" else {"strategy": strategy}
    return latte_ase.finetune(base, frames, epochs=epochs(len(frames)), batch_size=BATCH, **how).potential


def main(options):
    """All points, one line of JSON each."""
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "curves.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    done = {(row["set"], row["strategy"], row["frames"]) for row in rows}
    bases = dict(entry.split("=", 1) for entry in options.base)
    for name, (read_frames, base_name) in CASES.items():
        if base_name not in bases:
            continue
        base, (own, _, judged, _) = load_model(bases[base_name]), frames_of(base_name, options.data)
        frames, test = read_frames(options.data)
        for size in sorted({min(size, len(frames)) for size in SIZES}):
            for strategy in options.strategies.split(","):
                if (name, strategy, size) in done:
                    continue
                start = time.process_time()
                chosen = frames[:size]
                made = from_scratch(base, chosen) if strategy == "scratch" else tuned(base, chosen, strategy, own)
                row = {"set": name, "base": base_name, "strategy": strategy, "frames": size}
                row |= latte_ase.evaluate(made, test).metrics | {"seconds": time.process_time() - start}
                row |= {"machine": machine.describe()}
                if strategy in ("full", "replay"):  # what became of what it knew
                    kept = latte_ase.evaluate(made, judged).metrics["forces_mae"]
                    row |= {"base_before": latte_ase.evaluate(base, judged).metrics["forces_mae"], "base_after": kept}
                with path.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print(name, strategy, size, {k: row[k] for k in ("energy_mae", "forces_mae", "seconds")}, flush=True)


def table(rows: list[dict]) -> Table:
    """Force errors by set and strategy."""
    sizes = sorted({row["frames"] for row in rows})
    lines = []
    for name in CASES:
        for strategy in ("scratch", *STRATEGIES):
            mine = {r["frames"]: r["forces_mae"] for r in rows if (r["set"], r["strategy"]) == (name, strategy)}
            if mine:
                lines.append((name, strategy, *(number(mine.get(size), 3) for size in sizes)))
    return Table("Learning curves", ("set", "strategy", *(f"{size} frames" for size in sizes)), lines)


def forgetting(rows: list[dict]) -> Table:
    """Force errors on the base model's own data, before and after."""
    lines = [
        (r["set"], r["base"], str(r["frames"]), r["strategy"], number(r["base_before"], 3), number(r["base_after"], 3))
        for r in rows
        if "base_before" in r
    ]
    return Table("Forgetting", ("set", "base", "frames", "strategy", "before", "after"), lines)


def draw(rows: list[dict], path: Path) -> None:
    """Force error against the number of frames, a panel for each set."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "latte_ase"  # the same results give the same file
    from matplotlib import pyplot as plt

    names = [name for name in CASES if any(row["set"] == name for row in rows)]
    figure, axes = plt.subplots(1, len(names), figsize=(4.4 * len(names), 3.6), squeeze=False, layout="constrained")
    for axis, name in zip(axes[0], names, strict=True):
        for position, strategy in enumerate(("scratch", *STRATEGIES)):
            points = sorted(
                (r["frames"], r["forces_mae"]) for r in rows if (r["set"], r["strategy"]) == (name, strategy)
            )
            if not points:
                continue
            style = {"color": "0.3", "ls": "--"} if strategy == "scratch" else {"color": f"C{position - 1}"}
            axis.loglog(*zip(*points, strict=True), marker="o", ms=4, label=strategy, **style)
        base = next(row["base"] for row in rows if row["set"] == name)
        axis.set(xlabel="frames", ylabel="forces MAE (meV/Å)", title=f"{name}, from {base}")
        sizes = sorted({r["frames"] for r in rows if r["set"] == name})
        axis.set_xticks(sizes, labels=map(str, sizes))
        axis.minorticks_off()
        axis.set_yticks(ticks := (15, 20, 30, 50, 100, 200, 300), labels=map(str, ticks))
    axes[0][0].legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--base", action="append", default=[], help="NAME=MODEL, for 3bpa and aspirin")
    parser.add_argument("--out", type=Path, default=Path("out/curves"))
    parser.add_argument("--strategies", default=",".join(("scratch", *STRATEGIES)), help="those to train")
    parser.add_argument("--docs", action="store_true", help="train nothing, write the tables of docs/finetuning.md")
    options = parser.parse_args()
    if options.docs:
        found = [json.loads(line) for line in (options.out / "curves.jsonl").read_text().splitlines()]
        COPY.write_text("".join(json.dumps(row) + "\n" for row in found))
        page = DOCS / "finetuning.md"
        page.write_text(insert(page.read_text(), {"curves": table(found), "forgetting": forgetting(found)}))
        draw(found, DOCS / "finetuning.svg")
    else:
        main(options)
