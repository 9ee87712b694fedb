"""Structures as files and ASE's Atoms hold them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ase import Atoms
from ase.io import read

from latte_ase.io.labels import with_keys


def read_frames(source, index: str = ":", *, keys: Mapping[str, str] | None = None) -> list[Atoms]:
    """Structures from a file that `ase.io.read` knows, or from an iterable of Atoms and files.

    Args:
        source: path, Atoms, or an iterable of both.
        index: which structures of a file, as `ase.io.read` has it.
        keys: what labels are called, such as {"energy": "REF_energy", "forces": "REF_forces", "virial": "dft_virial"}; see
            `latte_ase.io.labels.with_keys`.  Without it they are where ASE puts them.

    Raises:
        FileNotFoundError, ValueError: no file; no structure in it; a key for something that is no label.
    """
    frames = _read(source, index)
    if not frames:
        raise ValueError(f"{source} holds no structure; at least one is needed.")
    return [with_keys(atoms, keys) for atoms in frames] if keys else frames


def _read(source, index: str) -> list[Atoms]:
    if isinstance(source, Atoms):
        return [source]
    if not isinstance(source, (str, Path)):
        return [atoms for item in source for atoms in read_frames(item, index)]
    path = Path(source).expanduser()
    if not path.exists():
        raise FileNotFoundError(f"There is no file {source}. Give the path of a file of labelled structures.")
    frames = read(path, index)
    return [frames] if isinstance(frames, Atoms) else list(frames)
