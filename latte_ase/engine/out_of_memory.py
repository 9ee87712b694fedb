"""Errors of insufficient memory: how many atoms would fit, and how to compute larger structures."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path

import jax
import numpy as np

PER_PAIR = 400
"""Memory in bytes per pair, for all arrays that exist at the same time, in float32.

For 64 000 atoms of silicon with 28 pairs each, 386 bytes per pair were measured."""
USABLE_MEMORY = 0.8
"""Fraction of the memory that one evaluation can use."""
ADVISED_CHUNK = 50_000
"""Largest number of atoms of a chunk in the advice."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of Python, NumPy or JAX means that memory is insufficient."""
    if isinstance(error, jax.errors.JaxRuntimeError):
        return "RESOURCE_EXHAUSTED" in str(error) or "out of memory" in str(error).lower()
    return isinstance(error, MemoryError)


def needed(pairs: int, dtype) -> float:
    """Approximate memory in bytes that the evaluation of a number of pairs needs."""
    return PER_PAIR * pairs * np.dtype(dtype).itemsize / 4


def obtainable(device) -> float | None:
    """Memory in bytes that this process can use on a device, including what it uses; None where it is not known."""
    if device.platform != "cpu":
        return (device.memory_stats() or {}).get("bytes_limit")
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
        return free + int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, StopIteration):
        return None


def explanation(atoms: int, pairs: int, *, device, dtype) -> str:
    """Message of an error of insufficient memory.

    Args:
        atoms: of the structure.
        pairs: of its list.
        device: JAX device.
        dtype: of the computation.
    """
    need, most = needed(pairs, dtype), obtainable(device)
    text = (
        f"Out of memory on {device.platform}:{device.id}: {atoms} atoms with {pairs} pairs in {np.dtype(dtype).name} "
        f"need about {need / 1e9:.2g} GB in one piece"
    )
    fit = atoms // 2
    if most is not None:
        text += f", and this process can have {most / 1e9:.2g} GB"
        fit = min(fit, int(atoms * USABLE_MEMORY * most / need)) if pairs else fit
    chunk = max(1, min(ADVISED_CHUNK, fit // 2))
    return (
        f"{text}. About {max(1, fit)} atoms like these would fit. Compute the structure in chunks, for example "
        f"next(latte_ase.predict(calculator, atoms, chunk={chunk})), which takes about "
        f"{need * chunk / max(atoms, 1) / 1e9:.2g} GB at a time; or take float32, or a device with more memory."
    )


@contextmanager
def explained(atoms: int, pairs: int, *, device, dtype):
    """Context in which errors of insufficient memory become a MemoryError with `explanation`, whose arguments it takes.

    Raises:
        MemoryError: memory is insufficient.
    """
    try:
        yield
    except (jax.errors.JaxRuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise MemoryError(explanation(atoms, pairs, device=device, dtype=dtype)) from error
