"""Replay against forgetting: in every epoch as many structures of the base model's own data as there are new ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from latte_ase.dataset import label
from latte_ase.potential import Potential
from latte_ase.prediction import predict


def labelled(potential: Potential, frames: Sequence[Atoms]) -> list[Atoms]:
    """The frames; those without an energy as copies with energies and forces of the potential."""
    bare = [atoms for atoms in frames if label(atoms, "energy") is None]
    predictions = predict(potential, bare)
    complete = []
    for atoms in frames:
        if label(atoms, "energy") is None:
            atoms, made = atoms.copy(), next(predictions)
            atoms.calc = SinglePointCalculator(atoms, energy=made.energy, forces=np.asarray(made.forces))
        complete.append(atoms)
    return complete


def order(n_new: int, n_base: int, seed: int) -> Callable[[int], np.ndarray]:
    """Order of an epoch, by its number: all new frames, which come first in the set, and as many of the base's, at random.

    Args:
        n_new: number of new frames.
        n_base: number of the base model's; may be 0.
        seed: of the order and of the choice.
    """

    def of(epoch: int) -> np.ndarray:
        rng = np.random.default_rng((seed, epoch))
        replayed = n_new + rng.permutation(n_base)[:n_new]
        return rng.permutation(np.concatenate([np.arange(n_new), replayed]))

    return of
