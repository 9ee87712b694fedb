"""The kernels of the pair loop on a GPU: first whether they agree, then how fast they are.

    python benchmarks/gpu.py                                  # all of it, less than ten minutes on a data-centre GPU
    python benchmarks/gpu.py --sizes 192 --device cpu --kernels xla interpreted     # tries the script without one

Boxes of liquid water, float32.  A time is that of the device: calls are queued one after the other and waited for
at the end; edges are made and forces put together in it, lists are not built and nothing is copied to the host.
Kernels take turns; the median of the rounds counts.  An error is the largest difference of a force from that in
float64 with the kernel "xla", as a fraction of the largest force.
"""

from __future__ import annotations

import argparse
import json
import time
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median

import jax
import numpy as np
from machine import describe
from potentials import potential
from structures import water

from latte_ase.engine.devices import find_device
from latte_ase.engine.engine import SKIN
from latte_ase.engine.kernels import choose_kernel, why_not_pallas
from latte_ase.geometry.graph import pack
from latte_ase.geometry.neighbours import neighbour_list
from latte_ase.model.derivatives import energies, of_structure
from latte_ase.model.moments import kernel
from latte_ase.model.program import Motion, Program, weights_of

SIZES = (1_536, 6_144, 12_288, 24_576)
PRESETS = ("specific", "reduced")
ROUNDS = 5
SECONDS = 0.3
"""Length of a round, per kernel."""


def arrays(model, atoms, dtype):
    """What `derivatives.of_structure` takes after the program, and the places of the atoms."""
    pairs = neighbour_list(atoms.positions, atoms.cell.array, atoms.pbc, model.cutoff + SKIN)
    packed = pack(model.species(atoms.numbers), pairs, lambda need: need, dtype)
    displacements = np.zeros((*packed.graph.is_atom.shape, 3), dtype)
    arguments = weights_of(model, dtype), packed.graph, Motion(displacements, np.eye(3, dtype=dtype)[None])
    return arguments, packed.layout.place


def reference(model, atoms, device):
    """Forces (atoms, 3) in float64 with the kernel "xla"."""
    with jax.enable_x64(True):
        arguments, place = arrays(model, atoms, np.float64)
        return forces_of(
            jax.jit(partial(of_structure, Program.on(device.platform, model.architecture))),
            jax.device_put(arguments, device),
            place,
        )


def forces_of(function, arguments, place):
    """Forces in the order of the atoms."""
    return np.asarray(function(*arguments)[1]).reshape(-1, 3)[place]


def queued(function, arguments, calls):
    """Seconds per call of calls that are queued."""
    start = time.perf_counter()
    for _ in range(calls):
        result = function(*arguments)
    jax.block_until_ready(result)
    return (time.perf_counter() - start) / calls


def times(function, arguments, kernels):
    """Per kernel: the median time of a call, and how long the first one took, in seconds."""
    first, calls, rounds = {}, {}, {name: [] for name in kernels}
    for name in kernels:
        with kernel(name):
            first[name] = queued(function, arguments, 1)
            calls[name] = max(1, min(1000, round(SECONDS / queued(function, arguments, 3))))
    for _ in range(ROUNDS):
        for name in kernels:
            with kernel(name):
                rounds[name].append(queued(function, arguments, calls[name]))
    return {name: (median(rounds[name]), first[name]) for name in kernels}


def rows(preset, size, device, kernels):
    """One row of results per kernel."""
    model, atoms = potential(preset), water(size)
    exact = reference(model, atoms, device)
    arguments, place = arrays(model, atoms, np.float32)
    arguments = jax.device_put(arguments, device)
    program = Program.on(device.platform, model.architecture)
    compiled = {"energies": jax.jit(partial(energies, program)), "forces": jax.jit(partial(of_structure, program))}
    took = {name: times(function, arguments, kernels) for name, function in compiled.items()}
    for name in kernels:
        with kernel(name):
            found = forces_of(compiled["forces"], arguments, place)
        error = float(np.abs(found - exact).max() / np.abs(exact).max())
        row = {"preset": preset, "atoms": size, "kernel": name, "error": error}
        for what, results in took.items():
            row[f"{what} us/atom"] = 1e6 * results[name][0] / size
            row[f"{what} first call s"] = results[name][1]
        yield row


def main():
    """Read the command line, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="gpu", help="as LatteCalculator takes it (default: gpu)")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of atoms")
    parser.add_argument("--presets", nargs="+", default=PRESETS)
    parser.add_argument("--kernels", nargs="+", default=("xla", "pallas"))
    parser.add_argument("--output", type=Path, default=Path("gpu.json"))
    options = parser.parse_args()
    try:
        device = find_device(options.device)
    except ValueError as error:
        parser.exit(1, f"{error}\n")
    reason = why_not_pallas(device) if "pallas" in options.kernels else ""
    if reason:
        parser.exit(1, f"The kernel 'pallas' cannot run on {options.device}: {reason}\n")
    with jax.default_device(device):
        results = [
            row
            for preset in options.presets
            for size in options.sizes
            for row in printed(rows(preset, size, device, options.kernels))
        ]
        chosen = {preset: choose_kernel(potential(preset), device) for preset in options.presets}
    print("chosen by measurement:", ", ".join(f"{preset} {name}" for preset, name in chosen.items()))
    where = describe() | {"device": device.device_kind, "jax": version("jax"), "jaxlib": version("jaxlib")}
    options.output.write_text(json.dumps({"machine": where, "chosen": chosen, "results": results}, indent=1))
    print(f"{where['device']}, jax {where['jax']}, {where['date']}; written to {options.output}")


def printed(results):
    """Each row, after it was printed."""
    for row in results:
        print(
            f"{row['preset']:10s} {row['atoms']:7d} {row['kernel']:12s} energies {row['energies us/atom']:8.4f}, "
            f"forces {row['forces us/atom']:8.4f} us/atom; error {row['error']:.1e}; "
            f"first calls {row['energies first call s']:.1f} and {row['forces first call s']:.1f} s",
            flush=True,
        )
        yield row


if __name__ == "__main__":
    main()
