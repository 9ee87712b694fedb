"""Shipped models beside apax: its default model, trained on the same frames for as long, and judged by the same held-out ones.

    python benchmarks/models_beside_apax.py --data DATA --apax PYTHON --out out/apax [--models latte-si,latte-ge]
    python benchmarks/models_beside_apax.py --out out/apax --docs

DATA is the folder that the recipes speak of; PYTHON has `pip install apax==0.14.0`.  The time is that of the model's own
training by its file: epochs times seconds of the best one.  Of a model that another one taught, the frames are those of DFT,
and the time is that of both trainings.  The held-out frames choose apax's epoch too.  One training per
model; results go to OUT/apax.jsonl, and one that is there is not repeated.  `--docs` writes the table of docs/accuracy.md.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import machine
from family import run_peer
from figures import Table, number
from report import DOCS, insert

from latte_ase import evaluate, list_models, load_model
from latte_ase.io.pretrained import models_folder
from latte_ase.training.config import load_config
from latte_ase.training.train import frames_of

COPY = DOCS / "performance" / "apax.jsonl"
TEACHERS = {"latte-si": "latte-si-large"}
"""Models whose predictions others were trained on, by the name of those."""


def seconds_of(name: str) -> float:
    """Wall time of the model's training."""
    metadata = load_model(name).metadata
    return metadata["metrics"]["seconds"] * metadata["recipe"]["training"]["epochs"]


def compare(name: str, options) -> dict:
    """Errors of both on the held-out frames."""
    teacher = TEACHERS.get(name)
    config = load_config(models_folder() / (teacher or name) / "recipe.toml")
    train, held = frames_of(replace(config, folder=options.data))
    budget = seconds_of(name) + (seconds_of(teacher) if teacher else 0)
    ours = {f"ours_{key}": value for key, value in evaluate(load_model(name), held).metrics.items()}
    return run_peer("apax", options.apax, (train, held, held), budget) | ours | {"budget": budget}


def table(rows: list[dict]) -> Table:
    """Forces and energies, MAE / RMSE."""
    lines = [
        (
            row["model"], number(row["budget"] / 60, 2), str(row["epochs"]),
            *(
                f"{number(row[f'{whose}{what}_mae'], 3)} / {number(row[f'{whose}{what}_rmse'], 3)}"
                for what in ("forces", "energy")
                for whose in ("ours_", "")
            ),
        )
        for row in sorted(rows, key=lambda row: row["model"])
    ]  # fmt: skip
    header = ("model", "minutes", "epochs of apax", "forces", "apax's", "energies", "apax's")
    return Table("Beside apax", header, lines)


def main(options):
    """All models, one line of JSON each."""
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "apax.jsonl"
    done = {json.loads(line)["model"] for line in path.read_text().splitlines()} if path.exists() else set()
    for name in options.models.split(",") if options.models else list_models():
        if name in done:
            continue
        row = {"model": name} | compare(name, options) | {"machine": machine.describe()}
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(row, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of the data sets")
    parser.add_argument("--apax", help="a Python that has apax")
    parser.add_argument("--out", type=Path, default=Path("out/apax"))
    parser.add_argument("--models", default="", help="names; default all shipped ones")
    parser.add_argument("--docs", action="store_true", help="train nothing, write the table of docs/accuracy.md")
    options = parser.parse_args()
    if options.docs:
        found = [json.loads(line) for line in (options.out / "apax.jsonl").read_text().splitlines()]
        COPY.write_text("".join(json.dumps(row) + "\n" for row in found))
        page = DOCS / "accuracy.md"
        page.write_text(insert(page.read_text(), {"apax": table(found)}))
    else:
        main(options)
