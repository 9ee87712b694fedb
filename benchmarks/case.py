"""One potential on one structure, in a process of its own: cold, warm, list, compilations, memory, training.

    python benchmarks/case.py specific 1536        # prints one line of JSON

Calls go through the calculator's engine, with atoms that moved by 0.001 Å since the call before, so that nothing
is kept but the neighbour list.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections.abc import Callable
from functools import partial

import clock
import machine
import numpy as np

ENERGY, FORCES, CALCULATOR, STRESS = "energy", "energy+forces", "calculator", "calculator+stress"
TRAINING = range(100, 20_000)
"""Atoms of structures that are trained on: batches of fewer are not usual, and more take too much memory."""


def measure(preset: str, size: int, *, budget: float = 6.0, train: bool = True) -> dict:
    """All figures of one case.

    Args:
        preset: see `potentials`.
        size: atoms of water, see `structures.water`.
        budget: seconds for the warm calls.
        train: measure a training step too, for sizes in `TRAINING`.

    Returns:
        Microseconds per atom and step under the names of the calls and as "training_step", seconds as "..._s",
        and counters.
    """
    start = time.perf_counter()
    import structures
    from potentials import potential

    from latte_ase import LatteCalculator
    from latte_ase.geometry.neighbours import neighbour_list

    model, atoms = potential(preset), structures.water(size)
    calc = LatteCalculator(model)
    ready = time.perf_counter() - start
    gc.collect()
    before = clock.peak_memory()
    calls = step_calls(calc, atoms)

    cold = clock.seconds(calls[FORCES])
    peak = clock.peak_memory() - before
    compiled = calc.stats.compilations
    rebuilt = rebuild_seconds(calc, atoms, calls=1 if size > 50_000 else 3)
    energy_cold = clock.seconds(calls[ENERGY])
    times = clock.take_turns(calls, budget=budget, fewest=2, most=300)
    warm = {name: float(np.median(values)) for name, values in times.items()}
    per_atom = 1e6 / len(atoms)
    processor = processor_seconds(calls[FORCES], rounds=max(2, len(times[FORCES]) // 2))
    pairs = neighbour_list(atoms.positions, atoms.cell.array, atoms.pbc, model.cutoff)
    return {
        "preset": preset,
        "atoms": len(atoms),
        "periodic": bool(atoms.pbc.any()),
        "pairs_per_atom": len(pairs.i) / len(atoms),
        "rounds": len(times[FORCES]),
        **{name: per_atom * value for name, value in warm.items()},
        "spread": float(np.subtract(*np.percentile(times[FORCES], [75, 25])) / warm[FORCES]),
        "least": per_atom * min(times[FORCES]),
        "processor": per_atom * processor,
        "ready_s": ready,
        "cold_s": cold,
        "compile_s": max(cold - rebuilt, 0.0),
        "compile_energy_s": max(energy_cold - warm[ENERGY], 0.0),
        "compilations": compiled,
        "compilations_in_all": calc.stats.compilations,
        "list_build": per_atom * max(rebuilt - warm[FORCES], 0.0),
        "list_builds": calc.stats.list_builds,
        "padding_waste": calc.stats.padding_waste,
        "memory_bytes": peak,
        "memory_per_atom": peak / len(atoms),
        **(training(model, atoms, budget=budget) if train and size in TRAINING else {}),
    }


def step_calls(calc, atoms) -> dict[str, Callable]:
    """The calls that take turns: the engine for energies and for forces, the calculator without and with stress."""
    rng = np.random.default_rng(0)
    start = atoms.positions.copy()

    def moved():
        atoms.positions = start + rng.uniform(-1e-3, 1e-3, start.shape)
        return atoms

    calls: dict[str, Callable] = {
        ENERGY: lambda: calc.engine.energies(moved()),
        FORCES: lambda: calc.engine.evaluate(moved()),
        CALCULATOR: lambda: calc.calculate(moved(), ["energy", "forces"], ["positions"]),
    }
    if atoms.cell.volume > 0:
        calls[STRESS] = lambda: calc.calculate(moved(), ["energy", "forces", "stress"], ["positions"])
    return calls


def rebuild_seconds(calc, atoms, *, calls: int) -> float:
    """Median time of a call that has to build a new list because one atom went too far."""
    times = []
    for k in range(calls):
        elsewhere = atoms.copy()
        elsewhere.positions[0] += (k % 2 + 1) * 0.7 * calc.engine.skin
        times.append(clock.seconds(partial(calc.engine.evaluate, elsewhere)))
    calc.engine.evaluate(atoms)
    return float(np.median(times))


def processor_seconds(call: Callable, *, rounds: int) -> float:
    """Processor time of a call, all threads together: what others do on the machine counts less in it."""
    start = time.process_time()
    for _ in range(rounds):
        call()
    return (time.process_time() - start) / rounds


def training(model, atoms, *, budget: float) -> dict:
    """One structure as a batch: time of a training step per atom, and of its compilation."""
    import jax
    from ase.calculators.singlepoint import SinglePointCalculator

    from latte_ase.model.program import weights_of
    from latte_ase.training.batch_rules import ByFrames
    from latte_ase.training.batches import Batches, training_program
    from latte_ase.training.config import TrainingConfig
    from latte_ase.training.dataset import prepare
    from latte_ase.training.optimiser import optimiser
    from latte_ase.training.parametrisation import everything
    from latte_ase.training.step import OptimiserState, make_step

    labelled = atoms.copy()
    labelled.calc = SinglePointCalculator(labelled, energy=0.0, forces=np.zeros((len(atoms), 3)))
    frames = prepare(model, [labelled])
    batch = next(Batches(model, frames, ByFrames(1))())
    params, constants, _ = weights_of(model, np.float32)
    config = TrainingConfig()
    transformation = optimiser(config, 1000)
    step = make_step(training_program(model), transformation, config, parametrisation=everything(model))
    state = OptimiserState(params, params, transformation.init(params), np.zeros((), np.int32))
    placed = jax.device_put((state, constants, batch))

    def call():
        jax.block_until_ready(step(*placed))

    cold = clock.seconds(call)
    warm = float(np.median(clock.take_turns({"step": call}, budget=budget / 2, most=100)["step"]))
    return {"training_step": 1e6 * warm / len(atoms), "training_compile_s": cold - warm}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("preset")
    parser.add_argument("size", type=int)
    parser.add_argument("--cores", type=int, default=0, help="cores to use; 0 is all")
    parser.add_argument("--budget", type=float, default=6.0, help="seconds for the warm calls")
    parser.add_argument("--no-training", dest="train", action="store_false", help="leave the training step out")
    options = parser.parse_args()
    machine.use_cores(options.cores)
    print(json.dumps(measure(options.preset, options.size, budget=options.budget, train=options.train)))
