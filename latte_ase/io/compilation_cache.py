"""Cache of compiled functions on disk, with which later processes start without compiling.

    latte_ase.use_compilation_cache()

The commands of `latte-ase` use the cache by default.  It is that of JAX, a setting of the whole process; therefore a
script has to enable it explicitly.  Where the folder grows beyond `LARGEST_CACHE`, JAX deletes the entries used least recently.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

SHORTEST_COMPILATION = 0.3
"""Shortest compilation in seconds whose result is kept."""

MAX_SIZE = "JAX_COMPILATION_CACHE_MAX_SIZE"

LARGEST_CACHE = 2**30
"""Largest size of the folder in bytes, unless JAX_COMPILATION_CACHE_MAX_SIZE is set (-1: no limit)."""


def cache_folder() -> Path:
    """Default folder of compiled functions: latte_ase/compiled in the cache folder of the user."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "latte_ase" / "compiled"


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

    path = _prepared(cache_folder() if folder is None else Path(folder).expanduser())
    jax.config.update("jax_compilation_cache_dir", str(path))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", SHORTEST_COMPILATION)
    if MAX_SIZE not in os.environ:
        jax.config.update(MAX_SIZE.lower(), LARGEST_CACHE)
    return path


def prepare_command() -> None:
    """Enable the cache for a command before JAX is imported, unless JAX_COMPILATION_CACHE_DIR is set."""
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    try:
        path = _prepared(cache_folder())
    except OSError:
        return  # no home to write to: compiling again is what happened before
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(path)
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", str(SHORTEST_COMPILATION))
    os.environ.setdefault(MAX_SIZE, str(LARGEST_CACHE))


def _prepared(folder: Path) -> Path:
    """The folder, created, with a time of last use for every entry.

    JAX writes these times only where there is a limit, and cannot enforce a limit where an entry has none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for entry in folder.glob("*-cache"):
        used = entry.with_name(f"{entry.name.removesuffix('-cache')}-atime")
        if not used.exists():
            with suppress(FileNotFoundError):  # another process deleted the entry meanwhile
                used.write_bytes(entry.stat().st_mtime_ns.to_bytes(8, "little"))
    return folder
