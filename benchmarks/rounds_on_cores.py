"""What a second core brings a potential with two rounds of message passing: energy and forces with 1 and 2 threads.

    python benchmarks/rounds_on_cores.py [--model latte-si-large]

Silicon, rattled by 0.08 Å and moved a little before every call.  The numbers of threads take turns in one process, so
that ratios hold on a machine whose speed drifts; it has to be idle all the same, as other work takes the second core.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

import clock
import numpy as np
from ase import Atoms
from ase.build import bulk

from latte_ase import LatteCalculator, load_model

REPEATS = {192: (2, 3, 4), 1536: (4, 6, 8)}
"""Copies of the cubic cell of eight atoms, by number of atoms."""


def silicon(repeats: Sequence[int]) -> Atoms:
    """The crystal with every atom off its site."""
    atoms = bulk("Si", cubic=True).repeat(repeats)
    atoms.positions += np.random.default_rng(1).normal(0, 0.08, atoms.positions.shape)
    return atoms


def evaluation(calc: LatteCalculator, atoms: Atoms) -> Callable[[], None]:
    """Function that moves a copy of the atoms within the skin and computes energy and forces."""
    rng, moving = np.random.default_rng(0), atoms.copy()

    def call() -> None:
        moving.positions = atoms.positions + rng.normal(0, 0.002, atoms.positions.shape)
        calc.engine.evaluate(moving)

    return call


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--model", default="latte-si-large", help="a model of silicon with several rounds")
    parser.add_argument("--turns", type=int, default=15, help="calls of each kind")
    options = parser.parse_args()
    potential = load_model(options.model)
    for size, repeats in REPEATS.items():
        atoms = silicon(repeats)
        calls = {str(n): evaluation(LatteCalculator(potential, threads=n), atoms) for n in (1, 2)}
        for call in calls.values():
            call()  # compiles
        times = clock.take_turns(calls, fewest=options.turns, most=options.turns)
        one, two = (1e3 * np.array(times[n]) for n in ("1", "2"))
        ratio = one / two
        print(
            f"{size} atoms: {np.median(one):.1f} ms with 1 thread, {np.median(two):.1f} ms with 2; "
            f"{np.median(ratio):.2f} times ({ratio.min():.2f} to {ratio.max():.2f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
