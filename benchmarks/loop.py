"""What ASE's own loop adds: a step of VelocityVerlet, and how much of it is spent inside the engine.

    python benchmarks/loop.py --sizes 9,141,1200,23559 --out out/bench
    python benchmarks/loop.py --structure dhfr.extxyz        # any file that ASE reads

The engine and the calculator are timed where the dynamics calls them, so that a step is split into the engine
(neighbour list, transfer, kernel), the calculator around it, and ASE around that, whatever else the machine does.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import clock
import machine
import numpy as np
from ase import Atoms, units
from ase.data import atomic_numbers
from ase.io import read
from ase.md.verlet import VelocityVerlet
from potentials import SHIPPED, potential
from structures import water

from latte_ase import LatteCalculator

SIZES = (9, 141, 1_200, 23_559)
STRETCH, FEWEST = 0.05, 9
"""Seconds of dynamics in a stretch, and the least number of them."""


def profile(atoms: Atoms, preset: str, *, budget: float = 10.0, timestep: float = 0.5) -> dict:
    """Milliseconds of a step of dynamics and of its parts, medians over short stretches.

    Args:
        atoms: the structure; copied.
        preset: see `potentials`; with random weights forces are weak, so atoms fly freely.
        budget: seconds, compilation left out.
        timestep: fs.
    """
    symbols = tuple(sorted(set(atoms.symbols), key=atomic_numbers.__getitem__))
    moving = atoms.copy()
    moving.calc = calc = LatteCalculator(potential(preset, symbols))
    widths = np.sqrt(300 * units.kB * moving.get_masses())
    moving.set_momenta(widths[:, None] * np.random.default_rng(0).normal(size=(len(atoms), 3)))
    dynamics = VelocityVerlet(moving, timestep * units.fs)
    dynamics.run(5)  # compiles
    spent = {"engine": 0.0, "calculate": 0.0}
    calc.engine.evaluate = _timed(calc.engine.evaluate, "engine", spent)
    calc.calculate = _timed(calc.calculate, "calculate", spent)
    steps = int(np.clip(STRETCH / clock.seconds(lambda: dynamics.run(1)), 1, 100))
    builds, rows, end = calc.stats.list_builds, [], time.perf_counter() + budget
    while len(rows) < FEWEST or time.perf_counter() < end:
        spent.update(engine=0.0, calculate=0.0)
        whole = clock.seconds(lambda: dynamics.run(steps))
        if spent["engine"] == 0:
            raise RuntimeError(
                "The calculator did not call engine.evaluate; this benchmark has to learn what it calls."
            )
        rows.append((whole / steps, spent["engine"] / steps, spent["calculate"] / steps))
    step, engine, calculate = 1e3 * np.array(rows).T
    return {
        "atoms": len(atoms),
        "formula": atoms.get_chemical_formula(),
        "preset": preset,
        "steps": steps * len(rows),
        "list_builds": calc.stats.list_builds - builds,
        "engine_ms": float(np.median(engine)),
        "calculator_ms": float(np.median(calculate - engine)),
        "ase_ms": float(np.median(step - calculate)),
        "overhead_ms": float(np.median(step - engine)),
        "share": float(np.median((step - engine) / engine)),
    }


def _timed(function, name: str, spent: dict[str, float]):
    def timed(*arguments, **keywords):
        start = time.perf_counter()
        try:
            return function(*arguments, **keywords)
        finally:
            spent[name] += time.perf_counter() - start

    return timed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="atoms of water")
    parser.add_argument(
        "--structure", type=Path, action="append", default=[], help="a file in place of or beside water"
    )
    parser.add_argument("--preset", default=SHIPPED, help="for water; files take the preset 'specific'")
    parser.add_argument("--budget", type=float, default=10.0, help="seconds per structure")
    parser.add_argument("--cores", type=int, default=0, help="cores to use; 0 is all")
    parser.add_argument("--out", type=Path, default=Path("out/bench"), help="folder of loop.json")
    options = parser.parse_args()
    machine.use_cores(options.cores)
    jobs = [(water(int(n)), options.preset) for n in options.sizes.split(",") if n]
    jobs += [(one, "specific") for file in options.structure if isinstance(one := read(file), Atoms)]
    rows = []
    for atoms, preset in jobs:
        print(f"{len(atoms)} atoms, {preset}", file=sys.stderr, flush=True)
        rows.append(profile(atoms, preset, budget=options.budget))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "loop.json").write_text(json.dumps({"machine": machine.describe(), "rows": rows}, indent=1))
