"""Batches by atoms: every frame once, in few shapes that hold them, less padding than batches of as many frames."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms

from latte_ase.geometry.graph import Grouping
from latte_ase.training.batch_rules import MOST_CLASSES, ByAtoms, ByFrames
from latte_ase.training.batches import Batches, balanced
from latte_ase.training.data_parallel import DeviceGroup
from latte_ase.training.dataset import prepare

ATOMS = 96


def cluster(size, seed, spacing=1.6):
    """A piece of a shaken cubic lattice of hydrogen and oxygen."""
    rng, edge = np.random.default_rng(seed), int(np.ceil(size ** (1 / 3)))
    sites = np.stack(np.meshgrid(*[np.arange(edge)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)[:size]
    return Atoms(rng.choice([1, 8], size=size), spacing * sites + rng.uniform(-0.1, 0.1, (size, 3)))


@pytest.fixture(scope="module")
def potential(tiny_potential):
    return tiny_potential("latte", repulsion=False)


@pytest.fixture(scope="module")
def frames(potential):
    """Clusters of 3 to 60 atoms, and one that no batch has room for."""
    sizes = np.random.default_rng(0).integers(3, 61, 300)
    return prepare(potential, [cluster(int(n), k) for k, n in enumerate(sizes)] + [cluster(150, 0)])


@pytest.fixture(scope="module", params=list(Grouping))
def plan(request, frames):
    return ByAtoms(ATOMS).plan(frames, grouping=request.param)


def order(frames, epoch=0):
    return np.random.default_rng(epoch).permutation(len(frames))


def test_every_frame_is_in_one_batch_of_an_epoch(plan, frames):
    parts = plan.parts(order(frames))
    assert sorted(np.concatenate(parts)) == list(range(len(frames)))
    assert max(map(len, parts)) <= plan.size
    sizes = [sum(len(frames[k].species) for k in part) for part in parts]
    assert sorted(sizes)[-1] == 150 and sorted(sizes)[-2] <= ATOMS
    assert len(next(part for part in parts if 300 in part)) == 1


def test_the_same_order_gives_the_same_batches_and_another_gives_others(plan, frames):
    first, again, other = (plan.parts(order(frames, epoch)) for epoch in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(first, other, strict=False))
    assert abs(len(first) - len(other)) <= 0.1 * len(first)  # the schedule of the rate takes them to be as many


def test_few_shapes_hold_all_batches_with_less_padding(potential, frames):
    usual = ByFrames(round(ATOMS / np.mean([len(f.species) for f in frames])))
    waste, shapes = [], []
    for rule in (ByAtoms(ATOMS), usual):
        made = Batches(potential, frames[:-1], rule)
        batches = list(made(order(frames[:-1])))
        places = sum(g.neighbour.size for batch in batches for g in batch.graph.groups)
        waste.append(1 - sum(len(f.pairs.i) for f in frames[:-1]) / places)
        shapes.append(len({batch.graph.groups[0].neighbour.shape for batch in batches}))
        assert sum(batch.graph.is_atom.sum() for batch in batches) == sum(len(f.species) for f in frames[:-1])
    assert shapes[0] <= MOST_CLASSES
    assert 1 - waste[0] > 1.3 * (1 - waste[1])  # as many pairs in fewer places


def test_the_shares_of_several_devices_have_one_shape_and_hold_the_batch(potential, frames):
    class Host(DeviceGroup):
        """Two devices whose shares stay on the host."""

        def place(self, shares):
            return shares

    for rule in (ByAtoms(ATOMS), ByFrames(5)):
        batches = Batches(potential, frames, rule, group=Host((0, 1)))
        parts = batches.plan.parts(order(frames))
        for part, shares in zip(parts, batches(order(frames)), strict=True):
            assert len({share.graph.groups[0].neighbour.shape for share in shares}) == 1
            atoms = [int(share.graph.is_atom.sum()) for share in shares]
            assert sum(atoms) == sum(len(frames[k].species) for k in part)
            assert len(shares) == 2


def test_the_largest_frames_go_to_the_smallest_shares():
    assert balanced([5, 50, 20, 28], 2, most=4) == [[1], [3, 2, 0]]
    assert balanced([5, 50, 20, 28], 2, most=2) == [[1, 0], [3, 2]]
    assert balanced([5], 2, most=1) == [[0], []]
    assert balanced([5, 50, 20], 1, most=3) == [[0, 1, 2]]


def test_alike_frames_are_one_class(potential):
    frames = prepare(potential, [cluster(8, k) for k in range(40)])
    plan = ByAtoms(32).plan(frames, grouping=Grouping.MIXED)
    assert [len(part) for part in plan.parts(np.arange(40))] == 10 * [4]
    assert len(plan.buckets.known) == 1
