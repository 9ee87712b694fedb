"""Compiled functions kept on disk, so that the next process starts without compiling.

    latte_ase.use_compilation_cache()

The commands of `latte-ase` do so by themselves.  The cache is JAX's own, which is a setting of the whole process:
therefore a script has to ask for it.
"""

from __future__ import annotations

import os
from pathlib import Path

SHORTEST = 0.3
"""Seconds of compilation from which on a function is kept."""


def cache_folder() -> Path:
    """Where compiled functions are kept unless told otherwise: latte_ase/compiled in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "latte_ase" / "compiled"


def use_compilation_cache(folder: str | Path | None = None) -> Path:
    """Keep compiled functions in a folder and take them from there, for the rest of this process.

    JAX decides what still fits (its version, the processor, the options), so an old folder does no harm.

    Args:
        folder: default `cache_folder()`; made where it does not exist.

    Returns:
        The folder.

    Raises:
        OSError: the folder cannot be made.
    """
    import jax

    path = Path(folder) if folder is not None else cache_folder()
    path.mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_compilation_cache_dir", str(path))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", SHORTEST)
    return path


def prepare_command() -> None:
    """The same for a command that has yet to import JAX; whoever set JAX_COMPILATION_CACHE_DIR keeps that."""
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
    except OSError:
        return  # no home to write to: compiling again is what happened before
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(cache_folder())
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", str(SHORTEST))
