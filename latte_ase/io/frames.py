"""Structures as files and ASE's Atoms hold them."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike

from ase import Atoms

from latte_ase.io.labels import with_keys
from latte_ase.io.structures import StructureSource, frozen, iterate_structures


def read_frames(source: StructureSource, *, keys: Mapping[str, str] | None = None) -> list[Atoms]:
    """Structures from a file that `ase.io.read` knows, or from an iterable of Atoms and files.

    Args:
        source: see `latte_ase.io.structures.iterate_structures`.  Of an iterable that is no list, such as a generator, copies
            are made: each structure counts as it was when it was yielded.
        keys: what labels are called, such as {"energy": "REF_energy", "forces": "REF_forces", "virial": "dft_virial"}; see
            `latte_ase.io.labels.with_keys`.  Without it they are where ASE puts them.

    Raises:
        FileNotFoundError, ValueError, TypeError: as `iterate_structures`; no structure in it; a key for something that is no
            label.
    """
    found = iterate_structures(source)
    frames = list(found if _stands_still(source) else map(frozen, found))
    if not frames:
        raise ValueError(f"{source} holds no structure; at least one is needed.")
    return [with_keys(atoms, keys) for atoms in frames] if keys else frames


def _stands_still(source: StructureSource) -> bool:
    """Whether structures stay as they are while further ones are read."""
    at_hand = isinstance(source, (str, PathLike, Atoms))
    return at_hand or (isinstance(source, (list, tuple)) and all(map(_stands_still, source)))
