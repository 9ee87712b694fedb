"""Cache of compiled functions on disk, with which later processes start without compiling.

    latte_ase.use_compilation_cache()

The commands of `latte-ase` use the cache by default.  It is that of JAX, a setting of the whole process; therefore a
script has to enable it explicitly.
"""

from __future__ import annotations

import os
from pathlib import Path

SHORTEST_COMPILATION = 0.3
"""Shortest compilation in seconds whose result is kept."""


def cache_folder() -> Path:
    """Default folder of compiled functions: latte_ase/compiled in the cache folder of the user."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "latte_ase" / "compiled"


def use_compilation_cache(folder: str | Path | None = None) -> Path:
    """Keep compiled functions in a folder and reuse them, for the rest of this process.

    JAX checks whether an entry can be used (version, processor, options), so an old folder can be kept.

    Args:
        folder: the folder, which is created; default `cache_folder()`.

    Returns:
        The folder.

    Raises:
        OSError: the folder cannot be created.
    """
    import jax

    path = Path(folder) if folder is not None else cache_folder()
    path.mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_compilation_cache_dir", str(path))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", SHORTEST_COMPILATION)
    return path


def prepare_command() -> None:
    """Enable the cache for a command before JAX is imported, unless JAX_COMPILATION_CACHE_DIR is set."""
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
    except OSError:
        return  # no home to write to: compiling again is what happened before
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(cache_folder())
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", str(SHORTEST_COMPILATION))
