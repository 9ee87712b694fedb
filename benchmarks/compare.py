"""Peers on the same box in the same run, taking turns with latte_ase; ratios are medians over the turns.

    python benchmarks/compare.py --peer apax=out/peers/apax/bin/python --out out/bench

Each peer is a Python of its own environment that runs `peers/NAME_speed.py`; `make bench-peers` sets up the
three of them in out/peers.  All processes are kept on the same cores; only one computes at a time.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import machine
import numpy as np
from potentials import CUTOFF, PRESETS
from structures import water

HERE = Path(__file__).parent / "peers"
NAMES = ("apax", "mlip", "mace")
SIZES = (192, 1_536)
ROUNDS = 7
PATIENCE = 600.0
"""Seconds to wait for an answer; MACE compiles for minutes."""
sys.path.insert(0, str(HERE))
from serve import MARK  # noqa: E402  # pyright: ignore[reportMissingImports]


class Gone(Exception):
    """A peer cannot run; the text says why."""


class Peer:
    """A process that answers each line with the time of one step."""

    def __init__(self, name: str, python: str, structure: Path, *more: str, log: Path):
        self.name, self.log = name, log
        environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
        command = [python, str(HERE / f"{name}_speed.py"), str(structure), str(CUTOFF), *more]
        try:
            with log.open("w") as errors:
                self.process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=environment
                )
        except OSError as error:
            raise Gone(f"its Python cannot be started: {error.strerror}") from error

    def answer(self) -> dict:
        """The next answer.  Raises `Gone` where there is none."""
        assert self.process.stdout is not None
        end, received = time.monotonic() + PATIENCE, b""
        while time.monotonic() < end:
            if not select.select([self.process.stdout], [], [], end - time.monotonic())[0]:
                break
            line = self.process.stdout.readline()
            if not line:
                lines = self.log.read_text().strip().splitlines() or ["no message"]
                raise Gone(f"exit status {self.process.wait()}: {lines[-1][:160]}")
            received = line
            if line.startswith(MARK.encode()):
                return json.loads(line[len(MARK) :])
        raise Gone(f"no answer within {PATIENCE:.0f} s; last line {received.decode()[:100]!r}")

    def step(self) -> float:
        """Seconds of one step."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"step\n")
        self.process.stdin.flush()
        return self.answer()["seconds"]

    def stop(self):
        """End the process."""
        self.process.kill()
        self.process.wait()


def compare(pythons: dict[str, str], size: int, *, rounds: int = ROUNDS, progress=print) -> dict:
    """One structure: microseconds per atom and step of all that run, ratios to each preset of latte_ase.

    Args:
        pythons: interpreters of the peers by name; those without one are left out, with that reason.
        size: atoms of water.
        rounds: turns.
        progress: called with a line of text now and then.
    """
    peers, facts, left_out = [], {}, []
    absent = "no environment: make bench-peers, or --peer NAME=PYTHON"
    left_out += [{"peer": name, "atoms": size, "reason": absent} for name in NAMES if name not in pythons]
    with tempfile.TemporaryDirectory() as folder:
        structure = Path(folder) / "structure.extxyz"
        water(size).write(structure)
        wanted = [("latte", sys.executable, preset) for preset in PRESETS if preset in ("specific", "reduced")]
        wanted += [(name, python, "") for name, python in pythons.items()]
        for name, python, preset in wanted:  # one after the other: compilation takes all cores
            label = f"{name} {preset}".strip()
            progress(f"{size} atoms: starting {label}")
            peer = None
            try:
                peer = Peer(name, python, structure, *([preset] if preset else []), log=Path(folder) / label)
                facts[label] = peer.answer()
                peers.append((label, peer))
            except Gone as error:
                left_out.append({"peer": name, "atoms": size, "reason": str(error)})
                if peer:
                    peer.stop()
        times: dict[str, list[float]] = {label: [] for label, _ in peers}
        try:
            for k in range(rounds):
                progress(f"{size} atoms: round {k + 1} of {rounds}")
                for label, peer in peers[:: 1 if k % 2 == 0 else -1]:
                    # the first step after a pause finds cold caches: of a short one, the faster of two counts
                    first = peer.step()
                    times[label].append(first if first > 2 else min(first, peer.step()))
        finally:
            for _, peer in peers:
                peer.stop()
    rows = []
    for label in times:
        ours = [name for name in times if name.startswith("latte ")]
        ratios = {name: float(np.median(np.divide(times[label], times[name]))) for name in ours}
        per_atom = 1e6 * np.array(times[label]) / size
        rows.append({
            "peer": label, "atoms": size, **facts[label], "us_per_atom": float(np.median(per_atom)),
            "least": float(per_atom.min()), "most": float(per_atom.max()), "ratios": ratios,
        })  # fmt: skip
    return {"rows": rows, "left_out": left_out}


def found_pythons(named: list[str]) -> dict[str, str]:
    """Interpreters given as NAME=PYTHON, by the environment as LATTE_BENCH_NAME, or made by `make bench-peers`.

    Raises:
        ValueError: an argument is not NAME=PYTHON with a known name.
    """
    found = {}
    for name in NAMES:
        made = Path("out/peers") / name / "bin/python"
        python = os.environ.get(f"LATTE_BENCH_{name.upper()}", str(made) if made.exists() else "")
        if python:
            found[name] = python
    for text in named:
        name, _, python = text.partition("=")
        if name not in NAMES or not python:
            raise ValueError(f"--peer is {text!r}; it must read NAME=PYTHON with a name of {', '.join(NAMES)}.")
        found[name] = python
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON", help="environment of a peer")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="atoms")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--cores", type=int, default=0, help="cores to use; 0 is all")
    parser.add_argument("--out", type=Path, default=Path("out/bench"), help="folder of peers.json")
    options = parser.parse_args()
    machine.use_cores(options.cores)
    results: dict = {"machine": machine.describe(), "rows": [], "left_out": []}
    for size in map(int, options.sizes.split(",")):
        part = compare(
            found_pythons(options.peer),
            size,
            rounds=options.rounds,
            progress=lambda text: print(text, file=sys.stderr, flush=True),
        )
        results["rows"] += part["rows"]
        results["left_out"] += part["left_out"]
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "peers.json").write_text(json.dumps(results, indent=1))
