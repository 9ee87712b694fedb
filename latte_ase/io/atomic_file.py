"""Atomic writing of files: a file is complete or absent, even if the process that writes it is killed."""

from __future__ import annotations

import glob
import os
import uuid
from contextlib import suppress
from pathlib import Path


def write_atomically(path: Path, content: bytes, *, advice: str = "") -> None:
    """Write a file atomically: a reader sees either the old or the new content.

    A link stays: the file that it points to is replaced.

    Args:
        path: the file; its folder is created.
        content: content of the file.
        advice: last sentence of the message of an error.

    Raises:
        OSError: writing failed; the message has the state of the file and the remedy.
    """
    target = link_target(path)
    temporary = target.with_name(f"{_temporary(target)}{uuid.uuid4().hex}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
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
    """Delete temporary files of `write_atomically` of killed processes; not while another process writes `path`."""
    target = link_target(path)
    for leftover in target.parent.glob(f"{glob.escape(_temporary(target))}{'?' * 32}"):
        leftover.unlink(missing_ok=True)


def link_target(path: Path) -> Path:
    """The file that a symbolic link points to, whether or not it is there; any other path as it is."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def _temporary(path: Path) -> str:
    return f".{path.name}."
