"""Weight of a labelled structure in the loss of a training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from latte_ase.io.frame_selection import FrameSelection

WEIGHT = "weight"
"""Entry of `atoms.info` that holds the weight of a frame."""


def frame_weight(atoms: Atoms) -> float:
    """Weight of the labels of a structure in the loss, `atoms.info["weight"]`; 1 without one.

    A frame of weight 2 counts as two frames of weight 1.

    Raises:
        ValueError: it is no finite number of 0 or more.
    """
    weight = atoms.info.get(WEIGHT, 1.0)
    if (
        not isinstance(weight, (int, float, np.integer, np.floating))
        or weight is True
        or weight is False
        or not 0 <= weight < np.inf
    ):
        raise ValueError(
            f"the weight {weight!r:.80} in atoms.info[{WEIGHT!r}], where a finite number of 0 or more is needed"
        )
    return float(weight)


def weighted_frames(frames: Sequence[Atoms], origin: str) -> FrameSelection:
    """The frames with a weight above 0.

    Args:
        frames: labelled structures.
        origin: where they come from, for messages.

    Raises:
        ValueError: a weight is no finite number of 0 or more, or all are 0; says which, and what to do.
    """
    kept = []
    for k, atoms in enumerate(frames):
        try:
            weight = frame_weight(atoms)
        except ValueError as error:
            raise ValueError(
                f"Frame {k} of {origin} has {error}. Correct it, or rename the entry if it is no weight of a frame."
            ) from error
        if weight > 0:
            kept.append(k)
    if len(frames) and not kept:
        raise ValueError(
            f"All {len(frames)} frames of {origin} have the weight 0 in atoms.info[{WEIGHT!r}]; one above 0 is needed."
        )
    return FrameSelection(frames, kept)
