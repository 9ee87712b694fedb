"""Replay of the data of the base model: every epoch contains as many of its structures as there are new frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from latte_ase.io.labels import has_label, label
from latte_ase.model.potential import Potential
from latte_ase.prediction import predict


def labelled(potential: Potential, frames: Sequence[Atoms], names: Iterable[str] = ("energy", "forces")) -> list[Atoms]:
    """Frames with all labels: those that lack one are copied, with the prediction of the potential in its place."""
    names = tuple(names)

    def own(atoms) -> dict[str, Any]:
        return {name: label(atoms, name) for name in names if has_label(atoms, name)}

    predictions = predict(potential, [atoms for atoms in frames if len(own(atoms)) < len(names)])
    complete = []
    for atoms in frames:
        if len(known := own(atoms)) < len(names):
            atoms, made = atoms.copy(), next(predictions)
            predicted = {name: value for name in names if (value := getattr(made, name)) is not None}
            atoms.calc = SinglePointCalculator(atoms, **predicted | known)
        complete.append(atoms)
    return complete


def order(n_new: int, n_base: int, seed: int) -> Callable[[int], np.ndarray]:
    """Function of the number of an epoch that gives the random order of its frames.

    The order contains all new frames, which are first in the set, and as many frames of the base model.

    Args:
        n_new: number of new frames.
        n_base: number of frames of the base model, 0 or more.
        seed: seed of the order and of the choice of frames.
    """

    def of(epoch: int) -> np.ndarray:
        rng = np.random.default_rng((seed, epoch))
        replayed = n_new + rng.permutation(n_base)[:n_new]
        return rng.permutation(np.concatenate([np.arange(n_new), replayed]))

    return of
