"""Fine-tuning from general models against narrow ones and against training from scratch: force error against the number of frames.

    python benchmarks/bases.py --data DATA --out out/bases --sets ethanol,acac --sizes 10,50
    python benchmarks/bases.py --out out/bases --docs

Every training has the same frames, the first ones of a random order, of which a tenth stops it early, and at most 2500 steps of two frames;
errors are those of test frames that nothing else saw.  Fine-tuning has the default rate of 2e-3.  From scratch the architecture of the general
model is trained at 3e-3.  DATA holds the sets of docs/accuracy.md, acac/train_300K.extxyz, water_pbe0ts/train.extxyz and valid.extxyz.
Results go to OUT/bases.jsonl; one that is there is not repeated, one of a base whose weights are others is.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import machine
import numpy as np
from ase import Atoms
from ase.io import read
from figures import Table, number
from learning_curves import BATCH, TEST, acac, epochs, ethanol, from_scratch
from report import DOCS, insert

import latte_ase
from latte_ase import list_models, load_model
from latte_ase.io.model_file import fingerprint

SIZES = (10, 50, 200, 950)
SCRATCH = "scratch"
COPY = DOCS / "performance" / "bases.jsonl"
Split = tuple[list[Atoms], list[Atoms]]


def shuffled(path: Path, *, test: int) -> Split:
    """Frames to learn from in a random order, and test frames, of one file."""
    frames = read(path, ":")
    order = np.random.default_rng(0).permutation(len(frames))
    return [frames[k] for k in order[test:]], [frames[k] for k in order[:test]]


def water(data: Path) -> Split:
    """Liquid water at PBE0+TS."""
    frames, _ = shuffled(data / "water_pbe0ts/train.extxyz", test=0)
    return frames, read(data / "water_pbe0ts/valid.extxyz", ":40")


def alloy(data: Path) -> Split:
    """Crystals of Mo and Ta; no set with labels of one composition of three elements is among the data."""
    frames = [a for a in read(data / "monbtaw/train.extxyz", ":") if set(a.symbols) == {"Mo", "Ta"}]
    order = np.random.default_rng(0).permutation(len(frames))
    return [frames[k] for k in order[TEST // 2 :]], [frames[k] for k in order[: TEST // 2]]


class Case(NamedTuple):
    """A set.

    Attributes:
        frames: function of the folder of data; frames to learn from, and test frames.
        general: names of the general models that know its elements.
        narrow: the model of one system that is closest to it and has not learned it.
    """

    frames: Callable[[Path], Split]
    general: tuple[str, ...]
    narrow: str | None = None


ORGANIC, MATERIALS = ("latte-organic", "latte-organic-large"), ("latte-materials", "latte-materials-large")
CASES = {
    "ethanol": Case(ethanol, ORGANIC, "latte-3bpa"),
    "acac": Case(acac, ORGANIC, "latte-3bpa"),
    "3bpa": Case(lambda data: shuffled(data / "3bpa/train_300K.extxyz", test=TEST), ORGANIC),
    "water": Case(water, ORGANIC, "latte-water"),
    "Ni": Case(lambda data: shuffled(data / "metals/Ni_train.extxyz", test=52), MATERIALS, "latte-cu"),
    "MoTa": Case(alloy, MATERIALS, "latte-mo"),
}


def starts(case: Case) -> list[str]:
    """What a training of a set can start from: general models that are shipped, a narrow one, nothing."""
    narrow = () if case.narrow is None else (case.narrow,)
    return [*(name for name in (*case.general, *narrow) if name in list_models()), SCRATCH]


def architecture(case: Case) -> str:
    """The model whose recipe is trained from scratch."""
    return next((name for name in starts(case) if name != SCRATCH), "latte-organic")


def trained(start: str, case: Case, frames: list[Atoms]):
    """Potential that has learned the frames."""
    if start == SCRATCH:
        return from_scratch(load_model(architecture(case)), frames)
    return latte_ase.finetune(start, frames, epochs=epochs(len(frames)), batch_size=BATCH).potential


def weights(start: str) -> str | None:
    """Checksum of the model that a training starts from."""
    return None if start == SCRATCH else fingerprint(load_model(start))[:12]


def current(rows: list[dict]) -> dict[tuple[str, str, int], dict]:
    """The last row of each training, by set, start and number of frames; without those of weights that are no longer shipped."""
    shipped = {SCRATCH, *list_models()}
    known = {row["start"]: weights(row["start"]) for row in rows if row["start"] in shipped}
    found = {}
    for row in rows:
        if row["start"] in known and row["weights"] == known[row["start"]]:
            found[row["set"], row["start"], row["frames"]] = row
    return found


def load(path: Path) -> list[dict]:
    """Rows of a file, none where there is no such file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def main(options):
    """All trainings, one line of JSON each, small ones first."""
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "bases.jsonl"
    done = current(load(path))
    for size in map(int, options.sizes.split(",")):
        for name in options.sets.split(","):
            case = CASES[name]
            frames, test = case.frames(options.data)
            count = min(size, len(frames))
            for start in starts(case):
                if (name, start, count) in done:
                    continue
                begun = time.process_time()
                metrics = latte_ase.evaluate(trained(start, case, frames[:count]), test).metrics
                row = {"set": name, "start": start, "weights": weights(start), "frames": count, **metrics}
                row |= {"seconds": time.process_time() - begun, "machine": machine.describe()}
                done[name, start, count] = row
                with path.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print(name, start, count, {k: row[k] for k in ("energy_mae", "forces_mae", "seconds")}, flush=True)


def table(rows: list[dict]) -> Table:
    """Force errors by set and start."""
    found = current(rows)
    sizes = sorted({frames for _, _, frames in found})
    lines = []
    for name, case in CASES.items():
        for start in starts(case):
            mine = [found.get((name, start, size)) for size in sizes]
            if any(mine):
                lines.append((name, start, *(number(row and row["forces_mae"], 3) for row in mine)))
    return Table("From general models", ("set", "from", *(f"{size} frames" for size in sizes)), lines)


def draw(rows: list[dict], path: Path) -> None:
    """Force error against the number of frames, a panel for each set."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "latte_ase"  # the same results give the same file
    from matplotlib import pyplot as plt

    found = current(rows)
    names = [name for name in CASES if any(key[0] == name for key in found)]
    figure, axes = plt.subplots(1, len(names), figsize=(3.6 * len(names), 3.4), squeeze=False, layout="constrained")
    for axis, name in zip(axes[0], names, strict=True):
        sizes = sorted({size for each, _, size in found if each == name})
        for position, start in enumerate(starts(CASES[name])):
            points = [(size, found[name, start, size]["forces_mae"]) for size in sizes if (name, start, size) in found]
            style = {"color": "0.3", "ls": "--"} if start == SCRATCH else {"color": f"C{position}"}
            if points:
                axis.loglog(*zip(*points, strict=True), marker="o", ms=4, label=start, **style)
        axis.set(xlabel="frames", ylabel="forces MAE (meV/Å)", title=name)
        axis.set_xticks(sizes, labels=map(str, sizes))
        axis.minorticks_off()
        axis.legend(frameon=False, fontsize=8)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("out/bases"))
    parser.add_argument("--sets", default=",".join(CASES), help="of those to train")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="numbers of frames")
    parser.add_argument("--docs", action="store_true", help="train nothing, write the table of docs/finetuning.md")
    options = parser.parse_args()
    if options.docs:
        results = load(options.out / "bases.jsonl")
        COPY.write_text("".join(json.dumps(row) + "\n" for row in results))
        page = DOCS / "finetuning.md"
        page.write_text(insert(page.read_text(), {"bases": table(results)}))
        draw(results, DOCS / "bases.svg")
    else:
        main(options)
