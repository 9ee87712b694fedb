"""Batches of training frames, each the input of one step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import numpy as np

from latte_ase.engine.devices import find_device
from latte_ase.geometry.buckets import Buckets, hull
from latte_ase.geometry.graph import Graph, Grouping, Layout, Shape, fill, join, lay_out
from latte_ase.geometry.neighbours import Pairs
from latte_ase.model.potential import Potential
from latte_ase.model.program import Program
from latte_ase.training.batch_rules import BatchRule
from latte_ase.training.data_parallel import DeviceGroup, find_devices
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
        buckets: from `batch_rules`.
        size: number of structures of the batch.
        dtype: of the arrays.
        weights: (3,) `mean_weights` of the set.
    """
    return make_shares([frames], reference_energies, buckets, size, dtype, weights=weights)[0]


def make_shares(
    shares: Sequence[Sequence[Frame]],
    reference_energies,
    buckets: Buckets,
    size: int,
    dtype,
    *,
    weights=(1.0, 1.0, 1.0),
) -> list[Batch]:
    """Batches of equal shape, one of each share; further arguments as `make_batch`."""
    largest = buckets.known[-1]
    joined = [_Joined.of(frames, largest.block, largest.grouping) for frames in shares]
    shape = buckets.holding(hull([one.layout.need for one in joined]))
    return [one.filled(shape, reference_energies, size, dtype, weights) for one in joined]


class _Joined(NamedTuple):
    """Frames as one list of atoms and pairs, and where they stand in a graph.

    Attributes:
        frames: the frames.
        pairs: of all.
        structure: (atoms,) frame of each atom.
        layout: of atoms and pairs.
    """

    frames: Sequence[Frame]
    pairs: Pairs
    structure: np.ndarray
    layout: Layout

    @classmethod
    def of(cls, frames: Sequence[Frame], block: int, grouping: Grouping) -> _Joined:
        """Frames in blocks of a size."""
        pairs, structure = join([f.pairs for f in frames], [len(f.species) for f in frames])
        species = np.concatenate([np.zeros(0, int), *(f.species for f in frames)])
        return cls(frames, pairs, structure, lay_out(species, pairs, block, grouping=grouping))

    def filled(self, shape: Shape, reference_energies, size: int, dtype, weights) -> Batch:
        """Graph and labels in arrays of a shape."""
        frames, layout = self.frames, self.layout
        graph = fill(layout, self.pairs, self.structure, shape, dtype)
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
    """Batches of a set of frames, in one or a few shapes, prepared one ahead in a thread.

    Args:
        potential: whose E0 and grouping by species are used.
        frames: the set.
        rule: which frames form a batch.
        group: devices that share every batch; None is the first device alone.
    """

    def __init__(
        self, potential: Potential, frames: Sequence[Frame], rule: BatchRule, *, group: DeviceGroup | None = None
    ):
        self.frames, self.reference_energies = frames, potential.reference_energies
        self.group = group or find_devices()
        kinds = max(len(np.unique(f.species)) for f in frames)
        grouping = potential.architecture.descriptor.grouping(kinds)
        self.plan = rule.plan(frames, grouping=grouping, shares=self.group.count)
        self.weights = mean_weights(frames)

    def steps(self, order) -> int:
        """Number of batches of an order of frames."""
        return len(self.plan.parts(order))

    def __call__(self, order=None) -> Iterator[Batch]:
        """Batches in an order of the frames; default: as they are."""
        parts = self.plan.parts(np.arange(len(self.frames)) if order is None else order)
        with ThreadPoolExecutor(1) as pool:
            ahead = pool.submit(self._make, parts[0])
            for part in parts[1:]:
                batch, ahead = ahead.result(), pool.submit(self._make, part)
                yield batch
            yield ahead.result()

    def rows(self) -> Iterator[np.ndarray]:
        """For each batch of the frames as they are, the frame of each of its structures, of all devices; -1 where padded."""
        for part in self.plan.parts(np.arange(len(self.frames))):
            rows = np.full((self.group.count, self.plan.size), -1)
            for row, share in zip(rows, self._shares(part), strict=True):
                row[: len(share)] = share
            yield rows.reshape(-1)

    def _shares(self, part) -> list[np.ndarray]:
        """Frames of each device."""
        sizes = [len(self.frames[int(k)].species) for k in part] if self.group.count > 1 else [1] * len(part)
        return [
            np.asarray(part)[np.array(share, int)] for share in balanced(sizes, self.group.count, most=self.plan.size)
        ]

    def _make(self, part) -> Batch:
        shares = [[self.frames[int(k)] for k in share] for share in self._shares(part)]
        plan = self.plan
        made = make_shares(shares, self.reference_energies, plan.buckets, plan.size, DTYPE, weights=self.weights)
        return self.group.place(made)


def balanced(sizes: Sequence[int], shares: int, *, most: int) -> list[list[int]]:
    """Indices of frames by share, of about equally many atoms each: the largest first, each to the smallest share.

    Args:
        sizes: (frames,) numbers of atoms.
        shares: how many.
        most: frames of a share at most.
    """
    found, atoms = [[] for _ in range(shares)], [0] * shares
    for k in sorted(range(len(sizes)), key=lambda k: -sizes[k]) if shares > 1 else range(len(sizes)):
        free = [s for s in range(shares) if len(found[s]) < most]
        smallest = min(free, key=lambda s: atoms[s])
        found[smallest].append(k)
        atoms[smallest] += sizes[k]
    return found
