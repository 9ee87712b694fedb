"""How the cost of energy and forces grows with neighbours and with elements; growth with atoms is in speed.py.

    python benchmarks/scaling.py --out out/bench

Neighbours: one box, cutoffs from 3 to 7 Å.  Elements known: water, with a model of 2 to 85 elements.
Elements present: the same positions, with 1 to 85 elements in equal shares at random places.
Structures of one series take turns, so their ratios hold on a machine that is busy.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import clock
import machine
import numpy as np
from potentials import CUTOFF, potential
from structures import alloy, symbols, water

from latte_ase import LatteCalculator
from latte_ase.geometry.neighbours import neighbour_list

SIZE = 1_536
CUTOFFS = (3.0, 4.0, 5.0, 6.0, 7.0)
KNOWN = (2, 10, 85)
PRESENT = (1, 2, 10, 85)


def series(jobs: dict[str, tuple], *, budget: float, progress=print) -> list[dict]:
    """Microseconds per atom of each (potential, atoms), taking turns; ratios to the first of them.

    Args:
        jobs: by name.
        budget: seconds for the warm calls.
        progress: called with a line of text now and then.
    """
    calls, facts = {}, {}
    for name, (model, atoms) in jobs.items():
        progress(name)
        calc = LatteCalculator(model)
        calls[name] = _call(calc, atoms)
        calls[name]()
        pairs = neighbour_list(atoms.positions, atoms.cell.array, atoms.pbc, model.cutoff)
        facts[name] = {"pairs_per_atom": len(pairs.i) / len(atoms), "padding_waste": calc.stats.padding_waste}
    times = clock.take_turns(calls, budget=budget, fewest=5, most=50)
    first = np.array(next(iter(times.values())))
    return [
        {
            "name": name,
            **facts[name],
            "us_per_atom": 1e6 * float(np.median(values)) / len(jobs[name][1]),
            "ratio": float(np.median(np.array(values) / first)),
        }
        for name, values in times.items()
    ]


def _call(calc, atoms):
    rng, start = np.random.default_rng(0), atoms.positions.copy()

    def call():
        atoms.positions = start + rng.uniform(-1e-3, 1e-3, start.shape)
        calc.engine.evaluate(atoms)

    return call


def jobs(kind: str, preset: str, size: int) -> dict[str, tuple]:
    """The potentials and structures of a series: "neighbours", "known" or "present"."""
    if kind == "neighbours":
        return {f"{c:g}": (potential(preset, cutoff=c), water(size)) for c in CUTOFFS}
    if kind == "known":
        sets = {n: ("H", "O") if n == 2 else symbols(n) for n in KNOWN}
        return {str(n): (potential(preset, chosen, cutoff=CUTOFF), water(size)) for n, chosen in sets.items()}
    return {str(n): (potential(preset, symbols(n), cutoff=CUTOFF), alloy(water(size), n)) for n in PRESENT}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--series", default="neighbours,known,present")
    parser.add_argument("--presets", default="specific,vectors")
    parser.add_argument("--size", type=int, default=SIZE, help="atoms of water")
    parser.add_argument("--budget", type=float, default=8.0, help="seconds for the warm calls of a series")
    parser.add_argument("--cores", type=int, default=0, help="cores to use; 0 is all")
    parser.add_argument("--out", type=Path, default=Path("out/bench"), help="folder of scaling.json")
    options = parser.parse_args()
    machine.use_cores(options.cores)
    found = []
    for kind in options.series.split(","):
        for preset in options.presets.split(","):
            rows = series(
                jobs(kind, preset, options.size),
                budget=options.budget,
                progress=lambda text, k=kind, p=preset: print(f"{k}, {p}: {text}", file=sys.stderr, flush=True),
            )
            found.append({"series": kind, "preset": preset, "atoms": options.size, "rows": rows})
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "scaling.json").write_text(json.dumps({"machine": machine.describe(), "series": found}, indent=1))
