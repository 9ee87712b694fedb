"""Training sets larger than memory: structures and prepared frames lie in arrays on disk, and are read when a batch needs them.

Both are written once, into folders whose names are checksums of what they are made of, so that a training that is resumed, or
begun again with other settings, finds them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
from ase import Atoms

from latte_ase.geometry.neighbours import both_directions
from latte_ase.io.frame_selection import FrameSelection
from latte_ase.io.label_checks import refuse_bad_labels
from latte_ase.io.labels import with_keys
from latte_ase.io.ragged_arrays import FACTS, RaggedArrays, write_ragged
from latte_ase.io.stored_structures import StoredStructures, write_structures
from latte_ase.io.structures import iterate_structures, split_index
from latte_ase.model.potential import Potential
from latte_ase.training.dataset import Frame, prepare_one

STORED_FORMAT = 1
"""Version of what is stored."""


class StoredFrames(Sequence[Frame]):
    """Prepared frames in a folder; see `FrameStore.prepared`.

    Args:
        folder: of the arrays.
        origins: (frames,) where each comes from.
    """

    def __init__(self, folder: Path, origins: Sequence[str] | None = None):
        self.arrays, self.origins = RaggedArrays(folder), origins

    def __len__(self) -> int:
        return len(self.arrays)

    @overload
    def __getitem__(self, item: int) -> Frame: ...
    @overload
    def __getitem__(self, item: slice) -> list[Frame]: ...
    def __getitem__(self, item):
        if isinstance(item, slice):
            return [self[k] for k in range(*item.indices(len(self)))]
        stored = self.arrays[item]
        volume, weight = stored["scalars"].tolist()
        return Frame(
            species=np.asarray(stored["species"], np.int64),
            pairs=both_directions(
                np.asarray(stored["i"], np.int64),
                np.asarray(stored["j"], np.int64),
                np.asarray(stored["shift"], np.int64),
                np.asarray(stored["edge"]),
            ),
            energy=float(stored["energy"][0]) if len(stored["energy"]) else None,
            forces=stored["forces"] if len(stored["forces"]) else None,
            known_forces=stored["known_forces"],
            stress=stored["stress"] if len(stored["stress"]) else None,
            volume=volume,
            weight=weight,
            origin=str(self.origins[item]) if self.origins else "",
        )


@dataclass(frozen=True)
class FrameStore:
    """Folder of stored structures and frames.

    Attributes:
        folder: for the folders of arrays.
    """

    folder: Path

    def structures(self, source: str | Path, keys: Mapping[str, str]) -> Sequence[Atoms]:
        """Structures of a file, stored when it is read for the first time; each has its own labels, or the file is refused.

        Args:
            source: FILE or FILE@INDEX.
            keys: names of the labels in it.

        Raises:
            FileNotFoundError, ValueError: as `latte_ase.io.structures.iterate_structures`; a label that cannot be; no structure.
        """
        path, index = split_index(str(source))
        if not Path(path).is_file():
            raise FileNotFoundError(f"There is no file {path}. Give the path of a file of structures.")
        with open(path, "rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        place = self.folder / f"structures-{_name([STORED_FORMAT, content, index, dict(keys)])}"
        if not (place / FACTS).is_file():
            write_structures(place, _checked(source, keys), {"source": str(source)})
        found = StoredStructures(place)
        if len(found) == 0:
            raise ValueError(f"{source} holds no structure; at least one is needed.")
        return found

    def prepared(
        self, potential: Potential, frames: Sequence[Atoms], *, skin: float = 0.0, origins: Sequence[str] | None = None
    ) -> StoredFrames:
        """What `dataset.prepare` makes of structures that `structures` stored, stored too.

        Args:
            potential: whose elements and cutoff are used.
            frames: a selection of stored structures.
            skin: Angstrom beyond the cutoff.
            origins: where each comes from.
        """
        assert isinstance(frames, FrameSelection) and isinstance(frames.frames, StoredStructures)
        of = [
            STORED_FORMAT,
            frames.frames.arrays.folder.name,
            frames.indices,
            potential.elements,
            potential.cutoff,
            skin,
        ]
        place = self.folder / f"frames-{_name(of)}"
        if not (place / FACTS).is_file():
            made = (prepare_one(potential, atoms, skin, "") for atoms in frames)
            write_ragged(place, map(_arrays_of, made), {})
        return StoredFrames(place, origins)


def _name(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _checked(source: str | Path, keys: Mapping[str, str]) -> Iterator[Atoms]:
    """Structures whose labels are numbers, and those of these structures: once stored, this cannot be seen any more."""
    for k, atoms in enumerate(iterate_structures(str(source))):
        atoms = with_keys(atoms, keys) if keys else atoms
        refuse_bad_labels(atoms, f"frame {k} of {source}")
        yield atoms


def _arrays_of(frame: Frame) -> dict[str, np.ndarray]:
    half = len(frame.pairs.i) // 2  # the other half are the same pairs seen from their other atom
    none = np.zeros((0, 3))
    return {
        "species": np.asarray(frame.species, np.int16),
        "i": np.asarray(frame.pairs.i[:half], np.int32),
        "j": np.asarray(frame.pairs.j[:half], np.int32),
        "shift": np.asarray(frame.pairs.shift[:half], np.int32),
        "edge": np.asarray(frame.pairs.edge[:half], np.float64),
        "energy": np.array([] if frame.energy is None else [frame.energy], np.float64),
        "forces": np.asarray(none if frame.forces is None else frame.forces, np.float64),
        "known_forces": np.asarray(frame.known_forces, bool),
        "stress": np.asarray(none if frame.stress is None else frame.stress, np.float64),
        "scalars": np.array([frame.volume, frame.weight]),
    }
