"""The compiled library of the native kernel: found, and its functions registered with JAX.

`build.py` compiles `src/kernel.cc` where the package is installed, once for each set of instructions; the best one that the
processor has is loaded.  Without a library the kernels of JAX do the work.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

import jax

from latte_ase.model.native.instructions import SETS, of_sources, supported

FOLDER = Path(__file__).parent / "lib"


@cache
def load() -> str:
    """Name of the set of instructions in use, or "" where there is no library of these sources that runs here."""
    checksum = FOLDER / "sources.sha256"
    if not checksum.exists() or checksum.read_text() != of_sources():
        return ""
    for name in SETS:
        path = FOLDER / f"latte_{name}.so"
        if path.exists() and supported(name) and _registered(path, name):
            return name
    return ""


def _registered(path: Path, name: str) -> bool:
    """Whether the functions of a library could be registered; not those that were built for a newer jaxlib."""
    try:
        library = ctypes.CDLL(str(path))
        for precision in ("f32", "f64"):
            function = getattr(library, f"latte_{precision}_{name}")
            jax.ffi.register_ffi_target(f"latte_{precision}", jax.ffi.pycapsule(function), platform="cpu")
    except Exception:  # whatever the loader or jaxlib raise
        return False
    return True
