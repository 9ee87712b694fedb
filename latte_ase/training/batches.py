"""Batches of training frames: what one step sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np

from latte_ase import dataset
from latte_ase.dataset import Frame
from latte_ase.potential import Potential

DTYPE = np.float32
"""Training is in single precision."""


def cast(tree):
    """The arrays of a pytree in the precision of training."""
    return jax.tree.map(lambda a: np.asarray(a, DTYPE), tree)


class Batches:
    """Batches of a set of frames, of one or a few shapes, made one ahead in a thread."""

    def __init__(self, potential: Potential, frames: Sequence[Frame], size: int):
        self.frames, self.reference_energies = frames, potential.reference_energies
        self.size = min(size, len(frames))
        kinds = max(len(np.unique(f.species)) for f in frames)
        arrangement = potential.architecture.descriptor.arrangement(kinds)
        self.shapes = dataset.batch_shapes(frames, self.size, arrangement=arrangement)

    def steps(self, order) -> int:
        """How many batches so many frames make."""
        return -(-len(order) // self.size)

    def __call__(self, order=None) -> Iterator[dataset.Batch]:
        """Batches in this order of the frames; default as they are."""
        order = np.arange(len(self.frames)) if order is None else order
        parts = [order[k : k + self.size] for k in range(0, len(order), self.size)]
        with ThreadPoolExecutor(1) as pool:
            ahead = pool.submit(self._make, parts[0])
            for part in parts[1:]:
                batch, ahead = ahead.result(), pool.submit(self._make, part)
                yield batch
            yield ahead.result()

    def _make(self, part):
        chosen = [self.frames[k] for k in part]
        return dataset.make_batch(chosen, self.reference_energies, self.shapes, self.size, DTYPE)
