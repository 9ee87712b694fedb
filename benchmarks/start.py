"""From starting Python to the first forces on nine atoms, without and with a cache of compiled functions.

python benchmarks/start.py --out out/bench

Each start is a process of its own; the cache is that of `latte_ase.use_compilation_cache`, in a temporary folder, filled
by one start that does not count.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import machine
import numpy as np

RUN = """
import sys
from time import perf_counter
start = perf_counter()
from ase.build import molecule
atoms = molecule("H2O")
for shift in (3.0, 6.0):
    more = molecule("H2O")
    more.positions += shift
    atoms += more
from latte_ase import LatteCalculator, use_compilation_cache
if sys.argv[1:]:
    use_compilation_cache(sys.argv[1])
atoms.calc = LatteCalculator.from_pretrained("latte-water")
made = perf_counter()
atoms.get_forces()
print(made - start, perf_counter() - made)
"""
STARTS = 5


def starts(count: int, cache: str | None) -> dict:
    """Median seconds of so many starts: all of it, and of that imports and model, and the first call."""
    environment = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    command = [sys.executable, "-c", RUN, *([cache] if cache else [])]
    rows = []
    for _ in range(count):
        start = time.perf_counter()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        rows.append((time.perf_counter() - start, *map(float, done.stdout.split()[-2:])))
    all_of_it, made, first = np.median(rows, axis=0)
    return {"cache": bool(cache), "starts": count, "all_s": all_of_it, "made_s": made, "first_call_s": first}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--starts", type=int, default=STARTS)
    parser.add_argument("--cores", type=int, default=0, help="cores to use; 0 is all")
    parser.add_argument("--out", type=Path, default=Path("out/bench"), help="folder of start.json")
    options = parser.parse_args()
    machine.use_cores(options.cores)
    rows = [starts(options.starts, None)]
    with tempfile.TemporaryDirectory() as folder:
        starts(1, folder)
        rows.append(starts(options.starts, folder))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "start.json").write_text(json.dumps({"machine": machine.describe(), "rows": rows}, indent=1))
