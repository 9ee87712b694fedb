"""What ASE's own loop adds: a step of VelocityVerlet against the engine on the same positions.

    python benchmarks/loop.py --sizes 9,141,1200,23559 --out out/bench
    python benchmarks/loop.py --structure dhfr.extxyz        # any file that ASE reads

Dynamics runs in short stretches.  After each, a second engine, whose list is valid and invalid at the same steps,
evaluates the positions that the stretch visited, first alone and then through the calculator.  What is
compared took turns in this way, and differs in nothing but what ASE and the calculator do around the engine.
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
from ase.io import read
from ase.md.verlet import VelocityVerlet
from potentials import SHIPPED, potential
from structures import water

from latte_ase import LatteCalculator

SIZES = (9, 141, 1_200, 23_559)
STRETCHES = 9


def profile(atoms: Atoms, preset: str, *, budget: float = 10.0, timestep: float = 0.5) -> dict:
    """Times of a step of dynamics and of its parts, medians over the stretches.

    Args:
        atoms: the structure; copied.
        preset: see `potentials`; with random weights forces are weak, so atoms fly freely.
        budget: seconds for all of it, compilation left out.
        timestep: fs.
    """
    model = potential(preset, tuple(sorted(set(atoms.symbols), key=lambda s: Atoms(s).numbers[0])))
    moving = atoms.copy()
    moving.calc, twin = LatteCalculator(model), LatteCalculator(model)
    widths = np.sqrt(300 * units.kB * moving.get_masses())
    moving.set_momenta(widths[:, None] * np.random.default_rng(0).normal(size=(len(atoms), 3)))
    dynamics = VelocityVerlet(moving, timestep * units.fs)
    dynamics.run(5)  # compiles
    probe = moving.copy()
    twin.engine.evaluate(probe)
    once = clock.seconds(lambda: twin.engine.evaluate(probe))
    steps = int(np.clip(budget / (4 * once * STRETCHES), 3, 200))
    times: dict[str, list[float]] = {"step": [], "engine": [], "calculate": []}
    builds = moving.calc.stats.list_builds
    visited: list[np.ndarray] = []
    dynamics.attach(lambda: visited.append(moving.positions.copy()), interval=1)
    for _ in range(STRETCHES):
        visited.clear()
        start = time.perf_counter()
        dynamics.run(steps)
        times["step"].append((time.perf_counter() - start) / steps)
        for name, call in (
            ("engine", lambda: twin.engine.evaluate(probe)),
            ("calculate", lambda: twin.calculate(probe, ["energy", "forces"], ["positions"])),
        ):
            spent = 0.0
            for positions in visited[-steps:]:
                probe.positions = positions
                spent += clock.seconds(call)
            times[name].append(spent / steps)
    over = np.subtract(times["step"], times["engine"])
    return {
        "atoms": len(atoms),
        "formula": atoms.get_chemical_formula(),
        "preset": preset,
        "steps": steps * STRETCHES,
        "list_builds": moving.calc.stats.list_builds - builds,
        **{f"{name}_ms": 1e3 * float(np.median(values)) for name, values in times.items()},
        "overhead_ms": 1e3 * float(np.median(over)),
        "share": float(np.median(over / np.array(times["engine"]))),
    }


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
