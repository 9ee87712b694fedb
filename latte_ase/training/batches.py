"""Batches of training frames, each the input of one step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import numpy as np

from latte_ase.engine.devices import find_device
from latte_ase.geometry.buckets import Buckets, planned
from latte_ase.geometry.graph import Graph, Grouping, choose_block, join, lay_out, pack
from latte_ase.model.potential import Potential
from latte_ase.model.program import Program
from latte_ase.training.dataset import Frame

DTYPE = np.float32
"""Training is in single precision."""


def training_program(potential: Potential) -> Program:
    """Program of a potential on JAX's default device, where training takes place."""
    return Program.on(find_device(None).platform, potential.architecture)


def cast(tree):
    """The arrays of a pytree in the precision of training."""
    return jax.tree.map(lambda a: np.asarray(a, DTYPE), tree)


class Batch(NamedTuple):
    """A graph of several structures and its labels.

    Attributes:
        graph: the structures.
        energy: (structures,) eV, without E0.
        n_atoms: (structures,) float; 1 where padded.
        forces: (blocks, block, 3) eV/Angstrom.
        stress: (structures, 3, 3) eV/Angstrom^3.
        volume: (structures,) Angstrom^3.
        has_energy, has_stress: (structures,) 0 or 1.
        has_forces: (blocks, block, 3) 0 or 1.
        weights: (structures, 3) of energy, forces and stress in the loss, relative to `mean_weights` of the set; 1 without others.
    """

    graph: Graph
    energy: np.ndarray
    n_atoms: np.ndarray
    forces: np.ndarray
    stress: np.ndarray
    volume: np.ndarray
    has_energy: np.ndarray
    has_forces: np.ndarray
    has_stress: np.ndarray
    weights: np.ndarray


def buckets_of(frames: Sequence[Frame], size: int, *, grouping: Grouping = Grouping.SPECIES) -> Buckets:
    """Buckets for batches of `size` of these frames; see `buckets.planned`."""
    if grouping is Grouping.MIXED:
        counts = np.array([[len(f.species)] for f in frames])
    else:
        n_species = 1 + max(int(f.species.max()) for f in frames)
        counts = np.array([np.bincount(f.species, minlength=n_species) for f in frames])
    block = choose_block(size * counts.mean(axis=0).astype(int))
    needs = [lay_out(f.species, f.pairs, block, grouping=grouping).need.neighbours for f in frames]
    groups = max(len(n) for n in needs)
    neighbours = [n + (0,) * (groups - len(n)) for n in needs]
    return planned(counts, neighbours, size, block=block, grouping=grouping)


def mean_weights(frames: Sequence[Frame]) -> np.ndarray:
    """(3,) mean weights of the energies, force components and stresses of a set; 1 for labels that there are none of.

    The loss of a batch is divided by its number of labels and not by the sum of their weights, since in batches of one frame the
    latter would take every weight out again.  With weights relative to these means the loss of the whole set is a weighted mean.
    """
    counts = np.array([[f.energy is not None, f.known_forces.sum(), f.stress is not None] for f in frames], float)
    total = counts.sum(axis=0)
    weighted = (np.array([f.weight for f in frames])[:, None] * counts).sum(axis=0)
    return np.where(total > 0, weighted, 1.0) / np.maximum(total, 1.0)


def make_batch(
    frames: Sequence[Frame], reference_energies, buckets: Buckets, size: int, dtype, *, weights=(1.0, 1.0, 1.0)
) -> Batch:
    """Pack frames into one batch of `size` structures; missing ones are padding.

    Args:
        frames: at most `size`.
        reference_energies: (species,) E0 in eV, subtracted from the labels in float64.
        buckets: from `buckets_of`.
        size: number of structures of the batch.
        dtype: of the arrays.
        weights: (3,) `mean_weights` of the set.
    """
    pairs, structure = join([f.pairs for f in frames], [len(f.species) for f in frames])
    species, largest = np.concatenate([f.species for f in frames]), buckets.known[-1]
    graph, layout, shape = pack(
        species,
        pairs,
        buckets.holding,
        dtype,
        structure=structure,
        block=largest.block,
        grouping=largest.grouping,
    )
    places = shape.blocks * shape.block
    energy, n_atoms, volume = np.zeros(size), np.ones(size), np.ones(size)
    has_energy, has_stress, stress = np.zeros(size), np.zeros(size), np.zeros((size, 3, 3))
    forces, has_forces = np.zeros((places, 3)), np.zeros((places, 3))
    relative = np.ones((size, 3))
    start = 0
    for b, frame in enumerate(frames):
        n_atoms[b], volume[b], relative[b] = len(frame.species), frame.volume, frame.weight / np.asarray(weights)
        if frame.energy is not None:
            energy[b] = frame.energy - np.asarray(reference_energies)[frame.species].sum()
            has_energy[b] = 1
        if frame.stress is not None:
            stress[b], has_stress[b] = frame.stress, 1
        place = layout.place[start : start + len(frame.species)]
        if frame.forces is not None:
            forces[place], has_forces[place] = np.where(frame.known_forces, frame.forces, 0.0), frame.known_forces
        start += len(frame.species)
    leading = (shape.blocks, shape.block)
    arrays = (
        energy, n_atoms, forces.reshape(*leading, 3), stress, volume,
        has_energy, has_forces.reshape(*leading, 3), has_stress, relative,
    )  # fmt: skip
    return Batch(graph, *(a.astype(dtype) for a in arrays))


class Batches:
    """Batches of a set of frames, in one or a few shapes, prepared one ahead in a thread."""

    def __init__(self, potential: Potential, frames: Sequence[Frame], size: int):
        self.frames, self.reference_energies = frames, potential.reference_energies
        self.size = min(size, len(frames))
        kinds = max(len(np.unique(f.species)) for f in frames)
        grouping = potential.architecture.descriptor.grouping(kinds)
        self.buckets = buckets_of(frames, self.size, grouping=grouping)
        self.weights = mean_weights(frames)

    def steps(self, order) -> int:
        """Number of batches of an order of frames."""
        return -(-len(order) // self.size)

    def __call__(self, order=None) -> Iterator[Batch]:
        """Batches in an order of the frames; default: as they are."""
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
        return make_batch(chosen, self.reference_energies, self.buckets, self.size, DTYPE, weights=self.weights)
