"""Choice of the kernel for a potential and a device: by name, or the fastest one.

"native" is the library of `latte_ase.model.native`, for CPUs; the others are those of `latte_ase.model.moments`.  On a CPU Pallas is
not imported.
"""

from __future__ import annotations

import time
from functools import cache, partial

import jax
import numpy as np

from latte_ase.geometry.graph import pack
from latte_ase.geometry.neighbours import neighbour_list
from latte_ase.model.derivatives import of_structure
from latte_ase.model.moments import KERNELS, kernel, moments
from latte_ase.model.native import call as native
from latte_ase.model.native import library
from latte_ase.model.potential import Architecture, Potential, init_params
from latte_ase.model.program import Program, weights_of
from latte_ase.model.radial import BUMP

NATIVE = "native"
GPUS = ("gpu", "cuda", "rocm")
EDGE = 16
"""Atoms along an edge of the cube that is measured: 4096 atoms keep a GPU busy."""
NEIGHBOURS = 50
"""Neighbours of an atom in it, as in water at 5 Angstrom."""
TIMINGS = 5


def choose_kernel(potential: Potential, device, name: str = "auto") -> str:
    """Name of the kernel for `latte_ase.model.moments.kernel`.

    Args:
        potential: what will be computed.
        device: a jax device.
        name: "auto" takes the fastest for energies and forces in float32: on a GPU both are compiled
            and timed, once per architecture in this process; on a CPU it is "native" where that can run, else "xla".  Or
            "native", or one of `latte_ase.model.moments.KERNELS`.

    Raises:
        ValueError: an unknown name.
        RuntimeError: "native" or "pallas" by name where it cannot run; says why.
    """
    if name not in ("auto", NATIVE, *KERNELS):
        raise ValueError(f"The kernel is {name!r}; allowed are 'auto', {', '.join(map(repr, (NATIVE, *KERNELS)))}.")
    if name in ("xla", "interpreted"):
        return name
    if name == NATIVE or (name == "auto" and device.platform == "cpu"):
        reason = why_not_native(potential.architecture, device)
        if reason and name == NATIVE:
            raise RuntimeError(
                f"The kernel 'native' cannot run on {device.platform}:{device.id}: {reason} "
                "Use kernel='xla' or 'auto'; both give the same results."
            )
        return "xla" if reason else NATIVE
    if potential.architecture.shared:
        reason = f"the descriptor {type(potential.architecture.descriptor).__name__} has no fused kernel."
    else:
        reason = why_not_pallas(device)
    if name == "pallas":
        if reason:
            raise RuntimeError(
                f"The kernel 'pallas' cannot run on {device.platform}:{device.id}: {reason} "
                "Use kernel='xla' or 'auto'; both give the same results."
            )
        return name
    if reason:
        return "xla"
    times = measure(potential.architecture, device)
    return min(times, key=times.__getitem__)


def why_not_native(architecture: Architecture, device) -> str:
    """Why the kernel "native" cannot run a model on a device; empty where it can."""
    if device.platform != "cpu":
        return f"it is written for CPUs, and this device is a {device.platform}."
    if not native.covers(architecture):
        return (
            f"it has the descriptor Reduced without element vectors and networks without a linear term, and this is a "
            f"{type(architecture.descriptor).__name__}."
        )
    if not library.load():
        return "its library was not built for this processor when the package was installed, see docs/performance.md."
    return ""


def why_not_pallas(device) -> str:
    """Why the kernel "pallas" cannot run on a device; empty where it can.

    On a GPU a small case is compiled, run and compared with the kernel "xla", once per process.

    Args:
        device: a jax device.
    """
    if device.platform not in GPUS:
        return f"it is written for GPUs, and this device is a {device.platform}."
    return _trial(device)


@cache
def _trial(device) -> str:
    rng = np.random.default_rng(0)
    columns, edges = (1, 2), (rng.normal(size=(8, 5, 3)).astype(np.float32),)
    rest = np.ones((8, 1, 3), np.float32), (np.ones(3, np.float32), np.ones(3, np.float32))
    results = []
    try:
        for name in ("xla", "pallas"):
            with kernel(name), jax.default_device(device):
                results.append(jax.device_get(jax.jit(partial(moments, BUMP, columns))(edges, *rest)))
    except Exception as error:  # whatever the import, the compiler or the driver raise
        lines = str(error).strip().splitlines() or [""]
        return f"{type(error).__name__}: {lines[0][:300].rstrip('.')}."
    worst = max(float(np.abs(a - b).max()) for a, b in zip(*results, strict=True))
    return "" if worst < 1e-4 else f"a small case differs by {worst:.1e} from the kernel 'xla'."


@cache
def measure(architecture: Architecture, device, names: tuple[str, ...] = ("xla", "pallas")) -> dict[str, float]:
    """Time of energies, forces and virials of 4096 atoms with each kernel, in float32.

    Args:
        architecture: of the potential; its parameters are random here.
        device: a jax device.
        names: of kernels that can run there.

    Returns:
        {name: the shortest of a few interleaved calls, in seconds}.
    """
    potential = _random_potential(architecture)
    program = Program(architecture, one_by_one=False)
    arrays = weights_of(potential, np.float32), _sample(architecture)
    run = jax.jit(partial(of_structure, program))

    times = {name: float("inf") for name in names}
    with jax.enable_x64(False), jax.default_device(device):
        arrays = jax.device_put(arrays, device)
        for round_ in range(TIMINGS + 1):
            for name in names:
                with kernel(name):
                    start = time.perf_counter()
                    jax.block_until_ready(run(*arrays))
                    if round_:  # the first call compiles
                        times[name] = min(times[name], time.perf_counter() - start)
    return times


def _random_potential(architecture):
    species = len(architecture.elements)
    shape = species, architecture.descriptor.n_features
    constants = {
        "mean": np.zeros(shape),
        "deviation": np.ones(shape),
        "scale": np.array(1.0),
        "repulsion_range": np.ones((species, species)),
    }
    params = init_params(architecture, jax.random.key(0))
    return Potential(architecture, params, constants, np.zeros(species))


def _sample(architecture):
    """Graph of a shaken cubic lattice with about `NEIGHBOURS` neighbours of an atom, one or two elements."""
    rng = np.random.default_rng(0)
    spacing = architecture.cutoff * (4 / 3 * np.pi / NEIGHBOURS) ** (1 / 3)
    sites = np.stack(np.meshgrid(*[np.arange(EDGE)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    positions = spacing * (sites + rng.uniform(-0.1, 0.1, sites.shape))
    pairs = neighbour_list(positions, np.eye(3) * EDGE * spacing, np.ones(3, bool), architecture.cutoff)
    species = rng.integers(0, min(2, len(architecture.elements)), len(positions))
    return pack(species, pairs, lambda need: need, np.float32).graph
