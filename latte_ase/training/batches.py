"""Batches of training frames: what one step sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import numpy as np

from latte_ase.geometry.graph import Graph, Grouping, Shape, capacity, choose_block, fill, join, lay_out
from latte_ase.model.potential import Potential
from latte_ase.training.dataset import Frame

DTYPE = np.float32
"""Training is in single precision."""


def cast(tree):
    """The arrays of a pytree in the precision of training."""
    return jax.tree.map(lambda a: np.asarray(a, DTYPE), tree)


class Batch(NamedTuple):
    """A graph of several structures and its labels; a weight of 0 stands for "no label".

    Attributes:
        graph: the structures.
        energy: (structures,) eV, without E0.
        n_atoms: (structures,) float; 1 where padded.
        forces: (blocks, block, 3) eV/Angstrom.
        stress: (structures, 3, 3) eV/Angstrom^3.
        volume: (structures,) Angstrom^3.
        has_energy, has_stress: (structures,) 0 or 1.
        has_forces: (blocks, block) 0 or 1.
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


def batch_shapes(frames: Sequence[Frame], size: int, *, grouping: Grouping = Grouping.SPECIES) -> tuple[Shape, ...]:
    """Buckets for batches of `size` of these frames, smallest first; the last holds any batch.

    Where frames are alike there is one.  Where they are not, the worst batch (the largest frames,
    with the densest among them) can need a hundred times the places of a usual one: the first
    bucket then holds nine of ten random batches, and each further one has at least four times the
    places.  They depend on the frames alone, so a resumed training sees the same ones.
    """
    if grouping is Grouping.MIXED:
        counts = np.array([[len(f.species)] for f in frames])
    else:
        n_species = 1 + max(int(f.species.max()) for f in frames)
        counts = np.array([np.bincount(f.species, minlength=n_species) for f in frames])
    block = choose_block(size * counts.mean(axis=0).astype(int))
    needs = [lay_out(f.species, f.pairs, block, grouping=grouping).need.neighbours for f in frames]
    groups = max(len(n) for n in needs)
    neighbours = np.array([n + (0,) * (groups - len(n)) for n in needs])

    def shape(need) -> Shape:
        blocks, *widths = (int(x) for x in need)
        return Shape(blocks, block, tuple(capacity(max(n, 1)) for n in widths), grouping)

    def blocks_of(atoms):
        return (-(-atoms // block)).sum(axis=-1)

    worst = np.array([blocks_of(np.sort(counts, axis=0)[-size:].sum(axis=0)), *neighbours.max(axis=0)])
    draws = np.random.default_rng(0).integers(len(frames), size=(200, size))
    usual = np.column_stack([blocks_of(counts[draws].sum(axis=1)), neighbours[draws].max(axis=1)])
    usual = np.ceil(np.quantile(usual, 0.9, axis=0))
    largest = shape(worst)
    shapes = []
    while 2 * (bucket := shape(np.minimum(usual, worst))).places < largest.places:
        if not shapes or bucket.places >= 4 * shapes[-1].places:
            shapes.append(bucket)
        usual = 2 * usual
    return (*shapes, largest)


def make_batch(frames: Sequence[Frame], reference_energies, shapes: Sequence[Shape], size: int, dtype) -> Batch:
    """Pack frames into one batch of `size` structures; missing ones are padding.

    Args:
        frames: at most `size`.
        reference_energies: (species,) E0 in eV, subtracted from the labels in float64.
        shapes: from `batch_shapes`; the first that holds these frames is taken.
        size: number of structures of the batch.
        dtype: of the arrays.
    """
    pairs, structure = join([f.pairs for f in frames], [len(f.species) for f in frames])
    species = np.concatenate([f.species for f in frames])
    layout = lay_out(species, pairs, shapes[0].block, grouping=shapes[0].grouping)
    shape = next(s for s in shapes if s.holds(layout.need))
    graph = fill(layout, pairs, structure, shape, dtype)
    places = shape.blocks * shape.block
    energy, n_atoms, volume = np.zeros(size), np.ones(size), np.ones(size)
    has_energy, has_stress, stress = np.zeros(size), np.zeros(size), np.zeros((size, 3, 3))
    forces, has_forces = np.zeros((places, 3)), np.zeros(places)
    start = 0
    for b, frame in enumerate(frames):
        n_atoms[b], volume[b] = len(frame.species), frame.volume
        if frame.energy is not None:
            energy[b] = frame.energy - np.asarray(reference_energies)[frame.species].sum()
            has_energy[b] = 1
        if frame.stress is not None:
            stress[b], has_stress[b] = frame.stress, 1
        place = layout.place[start : start + len(frame.species)]
        if frame.forces is not None:
            forces[place], has_forces[place] = frame.forces, 1
        start += len(frame.species)
    leading = (shape.blocks, shape.block)
    arrays = (
        energy, n_atoms, forces.reshape(*leading, 3), stress, volume,
        has_energy, has_forces.reshape(leading), has_stress,
    )  # fmt: skip
    return Batch(graph, *(a.astype(dtype) for a in arrays))


class Batches:
    """Batches of a set of frames, of one or a few shapes, made one ahead in a thread."""

    def __init__(self, potential: Potential, frames: Sequence[Frame], size: int):
        self.frames, self.reference_energies = frames, potential.reference_energies
        self.size = min(size, len(frames))
        kinds = max(len(np.unique(f.species)) for f in frames)
        grouping = potential.architecture.descriptor.grouping(kinds)
        self.shapes = batch_shapes(frames, self.size, grouping=grouping)

    def steps(self, order) -> int:
        """How many batches so many frames make."""
        return -(-len(order) // self.size)

    def __call__(self, order=None) -> Iterator[Batch]:
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
        return make_batch(chosen, self.reference_energies, self.shapes, self.size, DTYPE)
