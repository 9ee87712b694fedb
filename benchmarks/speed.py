"""Every preset at every size, each in a process of its own, and the floor of this machine in the same run.

    python benchmarks/speed.py --sizes 3,192,1536 --presets specific,reduced --out out/bench

Sizes go up until memory or time ends: what the next size would take is foretold from the two before it, and a
case that would take more than is there is left out, with the reason in the results.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import floor
import machine
from potentials import PRESETS, SHIPPED, potential

SIZES = (3, 9, 24, 192, 1_536, 12_288, 98_304, 393_216, 998_784)
LARGE = 100_000
"""Atoms above which only the first preset runs."""
CASE = Path(__file__).with_name("case.py")
PROCESS_BYTES = 1.5e9
"""Memory of a process that is there before the first atom."""
HEADROOM = 0.9
"""Share of the free memory that a case may take."""


def run(
    presets: tuple[str, ...] = PRESETS,
    sizes: tuple[int, ...] = SIZES,
    *,
    cores: int = 0,
    budget: float = 6.0,
    limit: float = 400.0,
    train: bool = True,
    progress=print,
) -> dict:
    """All cases and the floor.

    Args:
        presets, sizes: what to run; sizes in increasing order.
        cores: cores to use; 0 is all.
        budget: seconds for the warm calls of a case.
        limit: seconds that a case may take.
        train: measure a training step too.
        progress: called with a line of text now and then.
    """
    rates = [floor.measure()]
    cases, left_out = [], []
    for preset in presets:
        done: list[dict] = []
        for size in sizes:
            reason = why_not(done, size, limit)
            if size > LARGE and preset != presets[0]:
                reason = f"above {LARGE} atoms only the first preset runs, to save time"
            if not reason:
                progress(f"{preset}, {size} atoms")
                case, reason = one(preset, size, cores=cores, budget=budget, limit=2 * limit, train=train)
                done += [case] if case else []
            if reason:
                progress(f"{preset}, {size} atoms: left out, {reason}")
                left_out.append({"preset": preset, "atoms": size, "reason": reason})
        cases += done
    rates.append(floor.measure())  # a machine that others use has two faces: the better one is the floor
    best = floor.Rates(*(max(values) for values in zip(*rates, strict=True)))
    for case in cases:
        architecture = potential(case["preset"]).architecture
        for name, derivatives in (("energy", False), ("energy+forces", True)):
            work = floor.count(architecture, case["pairs_per_atom"], derivatives=derivatives)
            least = 1e6 * floor.seconds_per_atom(work, best)
            case[f"floor {name}"] = least
            case[f"share {name}"] = least / case[name]
    return {"machine": machine.describe(), "rates": best._asdict(), "cases": cases, "left_out": left_out}


def one(preset: str, size: int, *, cores: int, budget: float, limit: float, train: bool) -> tuple[dict | None, str]:
    """A case in a new process: its figures, or None and what happened."""
    command = [sys.executable, str(CASE), preset, str(size), "--cores", str(cores), "--budget", str(budget)]
    command += [] if train else ["--no-training"]
    # a first call is cold only where nothing compiled earlier is kept
    environment = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    start = time.perf_counter()
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=limit, env=environment)
    except subprocess.TimeoutExpired:
        return None, f"not finished after {limit:.0f} s"
    if found.returncode < 0:
        return None, f"ended by signal {-found.returncode}, as the system does where memory is short"
    if found.returncode:
        return None, found.stderr.strip().splitlines()[-1][:200]
    return json.loads(found.stdout.splitlines()[-1]) | {"wall_s": time.perf_counter() - start}, ""


def why_not(done: list[dict], size: int, limit: float) -> str:
    """Why a size cannot be run after the smaller ones, or an empty text."""
    if not done or size <= 2_000:
        return ""
    last = done[-1]
    need = PROCESS_BYTES + last["memory_per_atom"] * size
    free = machine.free_memory()
    if free and need > HEADROOM * free:
        return f"needs about {need / 1e9:.0f} GB of memory, {free / 1e9:.0f} GB are free"
    growth = size / last["atoms"]
    fixed = last["ready_s"] + last["compile_s"] + last["compile_energy_s"] + 10
    calls = 1e-6 * size * (3 * last["list_build"] + 16 * last["calculator"])
    if growth > 1 and fixed + calls > limit:
        return f"would take about {fixed + calls:.0f} s, {limit:.0f} s are allowed"
    return ""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--presets", default=",".join(PRESETS), help=f"also {SHIPPED}")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="atoms")
    parser.add_argument("--cores", type=int, default=0, help="cores to use; 0 is all")
    parser.add_argument("--budget", type=float, default=6.0, help="seconds for the warm calls of a case")
    parser.add_argument("--limit", type=float, default=400.0, help="seconds that a case may take")
    parser.add_argument("--no-training", dest="train", action="store_false", help="leave training steps out")
    parser.add_argument("--out", type=Path, default=Path("out/bench"), help="folder of speed.json")
    options = parser.parse_args()
    machine.use_cores(options.cores)
    results = run(
        tuple(options.presets.split(",")),
        tuple(sorted(int(n) for n in options.sizes.split(","))),
        cores=options.cores,
        budget=options.budget,
        limit=options.limit,
        train=options.train,
        progress=lambda text: print(text, file=sys.stderr, flush=True),
    )
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "speed.json").write_text(json.dumps(results, indent=1))
