"""What uncertainties are worth: coverage and rank correlation on frames that neither training nor calibration saw.

    python benchmarks/family.py --data DATA --out out/family --budget 60 --sets 3bpa,water   # trains the members
    python benchmarks/uncertainty.py --data DATA --family out/family --out out/uncertainty

Last-layer committees of the members that family.py trained, and an ensemble of `reduced`, four seeds.  Both are calibrated
on the validation frames and judged on the test frames of family.py.  Results go to OUT/uncertainty.jsonl; a row that is
there already is not repeated.  With `--docs` the table is written into docs/uncertainty.md.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import machine
import numpy as np
from ase.io import write
from family import MEMBERS, config, file_of, frames_of
from figures import Table, number
from report import DOCS, insert

import latte_ase
from latte_ase import LatteCalculator, load_model, uncertainty
from latte_ase.io.model_file import save_model

SETS = ("3bpa", "water")
LAST_LAYERS = ("latte", "reduced", "reduced, vectors", "cace", "cace, Bchi", "hiphop")
SEEDS = range(4)
COPY = DOCS / "performance" / "uncertainty.jsonl"


def trained_alike(name: str, frames, epochs: int, out: Path) -> list[Path]:
    """`reduced` with several seeds, on the same frames; models that are there are not trained again."""
    train, valid, _, energies = frames
    files = []
    for seed in SEEDS:
        file = out / f"{name}-seed{seed}.safetensors"
        files.append(file)
        if file.exists():
            continue
        with TemporaryDirectory() as scratch:
            folder = Path(scratch)
            write(folder / "train.extxyz", train)
            write(folder / "valid.extxyz", valid)
            recipe = config("reduced", MEMBERS["reduced"], folder, energies, epochs)
            recipe["training"]["seed"] = seed
            save_model(latte_ase.train(recipe, out=folder / "model").potential, file)
    return files


def judge(potential, test) -> dict[str, float]:
    """Coverage and rank correlation on the test frames, errors, and the time of an uncertainty in force calls."""
    calc = LatteCalculator(potential)
    found = uncertainty.assess(calc, test)
    atoms = test[0]
    times: dict[str, list[float]] = {"doubt": [], "forces": []}
    rng, start = np.random.default_rng(0), atoms.positions.copy()
    for _ in range(7):
        for kind, call in (("doubt", calc.get_uncertainty), ("forces", calc.engine.evaluate)):
            atoms.positions = start + rng.uniform(-1e-3, 1e-3, start.shape)
            before = time.perf_counter()
            call(atoms)
            times[kind].append(time.perf_counter() - before)
    atoms.positions = start
    return {
        **found.metrics,
        "forces_rmse": 1e3 * float(np.sqrt(np.mean(found.forces[..., 0] ** 2))),
        "sigma": 1e3 * float(np.median(found.forces[..., 1])),
        "calls": float(np.median(times["doubt"]) / np.median(times["forces"])),
    }


def main(options):
    """All rows, one line of JSON each."""
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "uncertainty.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    done = {(row["set"], row["committee"], row["member"]) for row in rows}
    epochs = {
        (run["set"], run["member"]): run["epochs"]
        for run in map(json.loads, (options.family / "family.jsonl").read_text().splitlines())
    }
    for name in options.sets.split(","):
        frames = frames_of(name, options.data)
        train, valid, test, _ = frames
        jobs = [("last layer", member) for member in LAST_LAYERS if (name, member) in epochs]
        for committee, member in [*jobs, ("ensemble of 4", "reduced")]:
            if (name, committee, member) in done:
                continue
            start = time.perf_counter()
            if committee == "last layer":
                potential = load_model(file_of(options.family, name, member))
                potential = uncertainty.last_layer(potential, train, held_out=valid, members=options.members)
            else:
                files = trained_alike(name, frames, epochs[name, "reduced"], options.out)
                models = [load_model(file) for file in files]
                models = [replace(m, metadata={**m.metadata, "name": "reduced"}) for m in models]
                potential = uncertainty.ensemble(models, held_out=valid)
            row = {"set": name, "committee": committee, "member": member, "machine": machine.describe()}
            row |= {"seconds": time.perf_counter() - start, **judge(potential, test)}
            with path.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print({k: v for k, v in row.items() if k != "machine"}, flush=True)


def table(rows: list[dict]) -> Table:
    """One line per committee; a normal distribution has 68 and 95 %."""
    head = (
        "set", "committee", "member", "force RMSE, meV/Å", "median σ", "forces within σ", "within 2 σ", "rank, forces",
        "energy within σ", "within 2 σ", "rank, energy", "force calls",
    )  # fmt: skip
    lines = []
    for r in rows:
        percent = [f"{r[f'{kind}_within_{k}']:.0%}" for kind in ("forces", "energy") for k in (1, 2)]
        ranks = [f"{r[f'{kind}_rank']:.2f}" for kind in ("forces", "energy")]
        lines.append((
            r["set"], r["committee"], r["member"], number(r["forces_rmse"], 3), number(r["sigma"], 3),
            *percent[:2], ranks[0], *percent[2:], ranks[1], number(r["calls"], 2),
        ))  # fmt: skip
    return Table("Uncertainties", head, lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--data", type=Path, help="as for family.py")
    parser.add_argument("--family", type=Path, default=Path("out/family"), help="folder that family.py wrote")
    parser.add_argument("--out", type=Path, default=Path("out/uncertainty"))
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--members", type=int, default=16, help="of a last-layer committee")
    parser.add_argument(
        "--docs", action="store_true", help="measure nothing, write OUT/uncertainty.jsonl into the docs"
    )
    options = parser.parse_args()
    if options.docs:
        COPY.write_text((options.out / "uncertainty.jsonl").read_text())
        page = DOCS / "uncertainty.md"
        rows = [json.loads(line) for line in COPY.read_text().splitlines()]
        page.write_text(insert(page.read_text(), {"uncertainty": table(rows)}))
    else:
        main(options)
