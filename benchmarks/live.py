"""Live simulations: steps and frames per second, and the time from a command to its force.

    python benchmarks/live.py --sizes 9,192,1000,10000 --out out/bench

A client in a process of its own reads frames by the socket as the page does, and pulls atoms: the latency is the time from sending a pull
until a frame arrives that was computed with it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import machine
import numpy as np
from ase import Atoms, units
from ase.build import bulk, molecule

SIZES = (9, 192, 1_000, 10_000)
SECONDS = 5.0
"""Of watching; and of running without viewers."""
PULLS, LONGEST = 60, 30.0
"""Commands whose latency is measured, and seconds after which there are no more."""


def structure(size: int) -> tuple[Atoms, str]:
    """Structure of that size, and the model for it: ethanol, water, or silicon."""
    if size == 9:
        return molecule("CH3CH2OH"), "latte-organic"
    if size == 192:
        from structures import water

        return water(size), "latte-water"
    repeats = {1_000: (5, 5, 5), 10_000: (10, 25, 5)}
    if size not in repeats:
        raise ValueError(f"There is no structure of {size} atoms; known sizes are {', '.join(map(str, SIZES))}.")
    return bulk("Si", cubic=True) * repeats[size], "latte-si"


def measure(size: int) -> dict:
    """Row of a size."""
    from latte_ase import LatteCalculator
    from latte_ase.live import live

    atoms, model = structure(size)
    start = time.perf_counter()
    with live(atoms, LatteCalculator.from_pretrained(model), timestep=0.5 * units.fs, seed=0) as session:
        session.wait(2, timeout=600)
        row = {"atoms": size, "model": model, "start_s": time.perf_counter() - start}
        session.wait(60, timeout=20)  # until the number of steps of a turn has settled
        alone = _rate(session)
        client = [sys.executable, __file__, "--client", session.url]
        seen = json.loads(subprocess.run(client, capture_output=True, text=True, check=True).stdout)
        return row | alone | seen


def _rate(session) -> dict:
    """Steps and frames per second without viewers."""
    first, begun = session.frame, time.perf_counter()
    time.sleep(SECONDS)
    last, passed = session.frame, time.perf_counter() - begun
    steps = (last.time_fs - first.time_fs) / (session.timestep / units.fs)
    return {"steps_per_s_alone": steps / passed, "turns_per_s_alone": (last.number - first.number) / passed}


class Client:
    """Client that reads and acknowledges frames.

    Args:
        socket: of the session.
    """

    def __init__(self, socket):
        self.socket = socket

    def send(self, **content) -> None:
        """Send a message."""
        self.socket.send(json.dumps(content))

    def frame(self) -> tuple[float, int, list]:
        """The next frame: its time in fs, its number of atoms and its targets."""
        while not isinstance(message := self.socket.recv(timeout=60), bytes):
            pass
        count, pulls, number = (int(np.frombuffer(message, "<u4", 1, at)[0]) for at in (8, 12, 48))
        self.send(type="ack", frame=number)
        at = len(message) - 28 * pulls
        targets = [np.frombuffer(message, "<f4", 3, at + 28 * k + 4).tolist() for k in range(pulls)]
        return float(np.frombuffer(message, "<f8", 1, 16)[0]), count, targets


def watch(client: Client, timestep: float = 0.5) -> dict:
    """What a client sees: frames and steps per second, and latencies in milliseconds."""
    rng = np.random.default_rng(0)
    first, count, _ = client.frame()
    begun, frames = time.perf_counter(), 0
    while (passed := time.perf_counter() - begun) < SECONDS:
        last, frames = client.frame()[0], frames + 1
    found = {"frames_per_s": frames / passed, "steps_per_s": (last - first) / timestep / passed}
    latencies, begun = [], time.perf_counter()
    for k in range(PULLS):
        if time.perf_counter() - begun > LONGEST:
            break
        pause = time.perf_counter() + rng.uniform(0.05, 0.15)
        while time.perf_counter() < pause:
            client.frame()
        target = [float(k), 0.25, 0.5]
        sent = time.perf_counter()
        client.send(type="pull", atoms=[int(rng.integers(count))], to=target, stiffness=0.01, max_force=0.01)
        shown = None
        while True:
            at, _, targets = client.frame()
            if target in targets:
                if shown is not None and at > shown:
                    break
                shown = at if shown is None else shown
        latencies.append(1000 * (time.perf_counter() - sent))
        client.send(type="release")
    return found | {"latency_ms": float(np.median(latencies)), "latency_95_ms": float(np.quantile(latencies, 0.95))}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--client", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.client:
        from websockets.sync.client import connect

        with connect(options.client.replace("http://", "ws://").replace("/?", "/socket?")) as socket:
            print(json.dumps(watch(Client(socket))))
        return
    print("| atoms | model | steps/s alone | steps/s watched | frames/s | latency, median | 95 % |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    rows = []
    for size in map(int, options.sizes.split(",")):
        rows.append(row := measure(size))
        print(
            f"| {size} | {row['model']} | {row['steps_per_s_alone']:.0f} | {row['steps_per_s']:.0f} | {row['frames_per_s']:.0f} | "
            f"{row['latency_ms']:.0f} ms | {row['latency_95_ms']:.0f} ms |",
            flush=True,
        )
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "live.json").write_text(json.dumps({"machine": machine.describe(), "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
