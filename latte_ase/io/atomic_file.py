"""Files that are whole or not there, whenever the process that writes them is killed."""

from __future__ import annotations

import glob
import os
import uuid
from contextlib import suppress
from pathlib import Path


def write_atomically(path: Path, content: bytes, *, advice: str = "") -> None:
    """Replace `path` in one step: a reader sees the old file or the new one, whatever happens.

    Args:
        path: the file; its folder is made.
        content: all of it.
        advice: a last sentence for the message, where writing fails.

    Raises:
        OSError: of the same kind as the system's, with what is left and what to do.
    """
    temporary = path.with_name(f"{_temporary(path)}{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if not isinstance(error, OSError):
            raise
        left = "the file that was there is unchanged" if path.is_file() else "nothing is left of it"
        message = (
            f"{path} ({len(content) / 2**20:.3g} MiB) could not be written: {error.strerror or error}; {left}. Free "
            f"space on that disk, or look at its quota and permissions, and run again. {advice}".rstrip()
        )
        raise (OSError(message) if error.errno is None else OSError(error.errno, message)) from error


def remove_leftovers(path: Path) -> None:
    """Delete what a killed process left of `write_atomically`; not while another one writes `path`."""
    for leftover in path.parent.glob(f"{glob.escape(_temporary(path))}{'?' * 32}"):
        leftover.unlink(missing_ok=True)


def _temporary(path: Path) -> str:
    return f".{path.name}."
