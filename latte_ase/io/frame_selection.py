"""Some of a sequence of structures, by their indices; they are not copied, and read again when they are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import overload

from ase import Atoms


class FrameSelection(Sequence[Atoms]):
    """Structures of a sequence by index.

    Attributes:
        frames: the sequence, which is no selection itself.
        indices: of the selected structures in it.
    """

    def __init__(self, frames: Sequence[Atoms], indices: Iterable[int]):
        chosen = [int(k) for k in indices]
        if isinstance(frames, FrameSelection):
            frames, chosen = frames.frames, [frames.indices[k] for k in chosen]
        self.frames, self.indices = frames, chosen

    def __len__(self) -> int:
        return len(self.indices)

    @overload
    def __getitem__(self, item: int) -> Atoms: ...
    @overload
    def __getitem__(self, item: slice) -> FrameSelection: ...
    def __getitem__(self, item):
        if isinstance(item, slice):
            return FrameSelection(self.frames, self.indices[item])
        return self.frames[self.indices[item]]

    def __iter__(self) -> Iterator[Atoms]:
        return (self.frames[k] for k in self.indices)

    def __repr__(self) -> str:
        return f"FrameSelection({len(self)} of {len(self.frames)} structures)"


def original_index(frames: Sequence[Atoms], k: int) -> int:
    """Index of structure k in the sequence that it was selected from."""
    return frames.indices[k] if isinstance(frames, FrameSelection) else k
