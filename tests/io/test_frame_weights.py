"""Weights of frames are finite numbers of 0 or more, and 0 leaves a frame out."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import molecule
from ase.io import read, write

from latte_ase.io.frame_weights import frame_weight, weighted_frames


def weighted(weight):
    atoms = molecule("H2O")
    atoms.info["weight"] = weight
    return atoms


def test_a_weight_is_read_from_a_file_and_is_1_without_one(tmp_path):
    write(tmp_path / "two.extxyz", [weighted(2), weighted(0.25), molecule("H2O")])
    assert [frame_weight(atoms) for atoms in read(tmp_path / "two.extxyz", ":")] == [2.0, 0.25, 1.0]


def test_frames_of_weight_0_are_left_out():
    frames = [weighted(0), weighted(np.float32(0.5)), molecule("H2O"), weighted(0.0)]
    assert list(weighted_frames(frames, "the set")) == frames[1:3]


@pytest.mark.parametrize(
    ("weight", "told"),
    [(-1.0, r"-1\.0"), (np.inf, "inf"), (np.nan, "nan"), ("much", "'much'"), (True, "True"), ([1, 2], r"\[1, 2\]")],
)
def test_another_weight_is_refused(weight, told):
    message = (
        rf"Frame 1 of the set has the weight {told} in atoms\.info\['weight'\], where a finite number of 0 or more is needed\. "
        "Correct it, or rename the entry"
    )
    with pytest.raises(ValueError, match=message):
        weighted_frames([molecule("H2O"), weighted(weight)], "the set")


def test_a_set_without_any_weight_is_refused():
    with pytest.raises(ValueError, match=r"All 2 frames of the set have the weight 0 in .*; one above 0 is needed\."):
        weighted_frames([weighted(0), weighted(0)], "the set")
