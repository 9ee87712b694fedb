"""A selection is a view: of a selection of a selection, the first sequence and its indices are left."""

from __future__ import annotations

import pytest
from ase import Atoms

from latte_ase.io.frame_selection import FrameSelection, original_index


def test_selections_of_selections_know_the_original_indices():
    frames = [Atoms(f"H{n}") for n in range(1, 8)]
    some = FrameSelection(FrameSelection(frames, [1, 3, 5, 6]), [0, 2, 3])
    assert [len(atoms) for atoms in some] == [2, 6, 7]
    assert some[1] is frames[5] and len(some) == 3 and frames[5] in some
    assert list(some[1:]) == [frames[5], frames[6]]
    assert [original_index(some, k) for k in range(3)] == [1, 5, 6]
    assert original_index(frames, 4) == 4
    with pytest.raises(IndexError):
        some[3]
