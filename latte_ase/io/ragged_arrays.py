"""Items of several arrays each, of any lengths, in a folder of .npy files that are mapped into memory: a set may be larger than it.

    NAME.npy        the arrays called NAME of all items, one after the other along their first axis
    NAME.ends.npy   (items,) where the array of each item ends
    facts.json      number of items, and facts of whoever wrote it

A folder is complete or absent: it is written under another name, and renamed.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

FACTS = "facts.json"


class RaggedArrays:
    """Items of arrays in a folder; nothing but the ends of the arrays is read until an item is asked for.

    Args:
        folder: written by `write_ragged`.

    Attributes:
        folder: the same.
        facts: number and names of the items, and those given to `write_ragged`.

    Raises:
        ValueError: a file is missing, or has another length than the ends say.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        try:
            self.facts: dict[str, Any] = json.loads((folder / FACTS).read_text())
            names = self.facts["names"]
            self._ends = {name: np.load(folder / f"{name}.ends.npy") for name in names}
            self._arrays = {name: _mapped(folder / f"{name}.npy") for name in names}
            whole = all(len(self._arrays[n]) == (ends[-1] if len(ends) else 0) for n, ends in self._ends.items())
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(f"{folder} is damaged ({error}). Delete it; it is then written again.") from error
        if not whole or any(len(ends) != self.facts["items"] for ends in self._ends.values()):
            raise ValueError(f"{folder} is damaged (lengths differ). Delete it; it is then written again.")

    def __len__(self) -> int:
        return self.facts["items"]

    def __getitem__(self, k: int) -> dict[str, np.ndarray]:
        """Arrays of an item by name, views of the mapped files."""
        if not -len(self) <= k < len(self):
            raise IndexError(f"item {k} of {len(self)}")
        k %= len(self)
        bounds = {name: (ends[k - 1] if k else 0, ends[k]) for name, ends in self._ends.items()}
        return {name: self._arrays[name][start:end] for name, (start, end) in bounds.items()}


def write_ragged(folder: Path, items: Iterable[Mapping[str, np.ndarray]], facts: Mapping[str, Any]) -> None:
    """Write items, one at a time, into a folder that appears when it is complete; older attempts that were killed are removed.

    Args:
        folder: its parent is created.
        items: arrays by name, of the same names, types and trailing axes in all of them.
        facts: of JSON, kept beside.

    Raises:
        OSError: the disk is full.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for leftover in folder.parent.glob(f".{folder.name}.*"):
        shutil.rmtree(leftover, ignore_errors=True)
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    temporary.mkdir()
    files: dict[str, _GrowingArray] = {}
    count = 0
    try:
        for item in items:
            for name, array in item.items():
                if name not in files:
                    files[name] = _GrowingArray(temporary / f"{name}.npy", array)
                files[name].append(array)
            count += 1
        for name, file in files.items():
            np.save(temporary / f"{name}.ends.npy", np.array(file.ends, np.int64))
            file.close()
        described = {**facts, "names": sorted(files), "items": count}
        (temporary / FACTS).write_text(json.dumps(described))
        os.replace(temporary, folder)
    except OSError as error:
        raise OSError(
            error.errno,
            f"{folder} could not be written: {error.strerror or error}. Free space on that disk, and run again.",
        ) from error
    finally:
        for file in files.values():
            file.close()
        shutil.rmtree(temporary, ignore_errors=True)


class _GrowingArray:
    """A .npy file whose first axis grows; its header is written again at the end."""

    def __init__(self, path: Path, like: np.ndarray):
        self.dtype, self.trailing, self.ends = like.dtype, like.shape[1:], []
        self._file = path.open("xb")
        self._write_header()

    def append(self, array: np.ndarray) -> None:
        """Append rows."""
        assert (array.dtype, array.shape[1:]) == (self.dtype, self.trailing)
        self._file.write(np.ascontiguousarray(array).tobytes())
        self.ends.append(len(array) + (self.ends[-1] if self.ends else 0))

    def close(self) -> None:
        """Complete the file."""
        if not self._file.closed:
            self._write_header()
            self._file.close()

    def _write_header(self) -> None:
        # NumPy leaves room in a header for the first axis to grow
        shape = (self.ends[-1] if self.ends else 0, *self.trailing)
        described = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False, "shape": shape}
        self._file.seek(0)
        np.lib.format.write_array_header_1_0(self._file, described)


def _mapped(path: Path) -> np.ndarray:
    """The array of a file, mapped; one without rows cannot be mapped and is read."""
    try:
        return np.load(path, mmap_mode="r")
    except ValueError:
        return np.load(path)
