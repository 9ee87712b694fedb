"""Thousands of small structures: `latte_ase.predict` against a loop over `atoms.get_forces()`.

    python benchmarks/many.py FILE [--frames 10000]

FILE holds frames of a molecule, such as rMD17's aspirin; they are repeated up to the number asked
for.  The potential has random parameters: cost does not depend on them.  Both ways take turns in
one process, the loop with a part of the frames; the medians of wall and CPU time are compared.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from itertools import cycle, islice

import jax
import numpy as np
from ase.io import read

from latte_ase import LatteCalculator, predict
from latte_ase.training.config import load_config
from latte_ase.training.initial import initial_potential

CONTRACTIONS = "4,-:8,a,a:8,ab,ab:4,a,b,ab"


def calculator(frames):
    """Cutoff 5 Angstrom, two hidden layers of 64, random parameters."""
    model = {"name": "random", "contractions": CONTRACTIONS, "hidden": [64, 64], "cutoff": 5.0}
    return LatteCalculator(initial_potential(load_config({"model": model, "data": {"train": "-"}}), frames))


def loop(calc, frames):
    """What people write."""
    for atoms in frames:
        atoms.calc = calc
        atoms.get_forces()


def timed(function):
    """Wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - wall, time.process_time() - cpu


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="frames of a small molecule")
    parser.add_argument("--frames", type=int, default=10000, help="frames for predict")
    parser.add_argument("--repeat", type=int, default=5, help="turns")
    parser.add_argument("--part", type=int, default=20, help="the loop gets one frame in so many")
    args = parser.parse_args()
    unique = read(args.file, ":")
    frames = list(islice(cycle(unique), args.frames))
    some = [atoms.copy() for atoms in frames[: max(1, args.frames // args.part)]]
    calc = calculator(unique[:10])
    loop(calc, some[:20])
    for _ in predict(calc, frames[:200]):
        pass
    one, many = [], []
    for _ in range(args.repeat):
        one.append(np.divide(timed(lambda: loop(calc, some)), len(some)))
        many.append(np.divide(timed(lambda: sum(1 for _ in predict(calc, frames))), len(frames)))
    microseconds = {
        name: [1e6 * statistics.median(column) for column in zip(*rows, strict=True)]
        for name, rows in (("loop", one), ("predict", many))
    }
    ratios = [statistics.median(a[k] / b[k] for a, b in zip(one, many, strict=True)) for k in (0, 1)]
    result = {
        "atoms": len(frames[0]),
        "frames": len(frames),
        "microseconds per frame": {k: {"wall": v[0], "cpu": v[1]} for k, v in microseconds.items()},
        "loop / predict": {"wall": ratios[0], "cpu": ratios[1]},
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
