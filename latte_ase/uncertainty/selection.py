"""Selection of the frames to label next: uncertain ones that differ from each other.

Frames are selected one by one.  The next one has the largest

    largest uncertainty of a force * distance to the nearest selected frame,

where the distance is that of the mean descriptors and the fractions of atoms of each element, in units of their standard
deviation over all frames.  A copy of a selected frame has distance 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms

from latte_ase.calculator import LatteCalculator
from latte_ase.io.structures import StructureSource, iterate_structures


class Selected(NamedTuple):
    """Frame selected by `select`.

    Attributes:
        index: index in the sequence of frames.
        uncertainty: largest uncertainty of a force, in eV/Angstrom.
    """

    index: int
    uncertainty: float


def select(model: Any, frames: StructureSource, count: int, *, progress: Callable | None = None) -> list[Selected]:
    """Most informative frames, beginning with the most uncertain one.

    Args:
        model: a `LatteCalculator`, or what `latte_ase.load_model` takes, with a committee.
        frames: file, also FILE@INDEX, or structures of any sizes, also from a generator; read once, one after the other, and
            not kept.  Labels are not read.
        count: number of frames to select; fewer are returned where all others are copies of these.
        progress: wrapper of the iteration over frames, for example `rich.progress.track`.

    Returns:
        The selected frames, in the order of selection.

    Raises:
        ValueError: no frames, `count` below 1, or the model has no committee.
    """
    if count < 1:
        raise ValueError(f"count is {count}; 1 frame or more is to be chosen.")
    calc = model if isinstance(model, LatteCalculator) else LatteCalculator(model)
    worst, where = [], []
    for atoms in iterate_structures(frames, progress=progress):
        worst.append(calc.get_uncertainty(atoms).worst)
        where.append(_mean_descriptor(calc, atoms))
    if not worst:
        raise ValueError(f"{frames!r:.80} holds no structure, so there is none to choose.")
    scores, places = np.array(worst), np.array(where)
    spread = places.std(axis=0)
    places = places / np.where(spread > 1e-9 * np.abs(places).max(initial=1.0), spread, np.inf)
    chosen = [int(scores.argmax())]
    nearest = np.linalg.norm(places - places[chosen[0]], axis=1)
    while len(chosen) < count:
        gain = scores * nearest
        best = int(gain.argmax())
        if not gain[best] > 0:
            break
        chosen.append(best)
        nearest = np.minimum(nearest, np.linalg.norm(places - places[best], axis=1))
    return [Selected(k, float(scores[k])) for k in chosen]


def _mean_descriptor(calc: LatteCalculator, atoms: Atoms) -> np.ndarray:
    """Mean of the features of each element, and its fraction of the atoms, concatenated."""
    features, species = calc.get_descriptors(atoms), calc.potential.species(atoms.numbers)
    parts = []
    for s in range(len(calc.potential.elements)):
        mine = species == s
        parts += [features[mine].mean(axis=0) if mine.any() else np.zeros(features.shape[1]), [mine.mean()]]
    return np.concatenate(parts)
