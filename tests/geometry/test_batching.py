"""Batches of a stream: complete, alike, bounded."""

import itertools

import numpy as np
import pytest
from ase import Atoms

from latte_ase.geometry.batching import HELD, batches


def stream(count, seed=0, largest=60):
    rng = np.random.default_rng(seed)
    return [Atoms(f"H{rng.integers(1, largest)}", pbc=bool(rng.integers(2)), cell=[9] * 3) for _ in range(count)]


def test_every_structure_comes_once_among_its_like():
    structures = stream(300)
    got = list(batches(structures, 64))
    assert sorted(member.index for group in got for member in group) == list(range(300))
    assert all(member.atoms is structures[member.index] for group in got for member in group)
    for group in got:
        sizes = [len(atoms) for _, atoms in group]
        assert sum(sizes) <= 64
        assert max(sizes) < 2 * min(sizes)
        assert len({atoms.pbc.any() for _, atoms in group}) == 1
    assert len(got) < 250  # they do share batches


def test_a_large_structure_is_a_batch_of_its_own():
    large = Atoms("H100")
    got = list(batches([large, Atoms("H2"), large], 64))
    assert sorted([m.index for m in group] for group in got) == [[0], [1], [2]]


def test_an_endless_stream_passes_and_nothing_waits_for_ever():
    """One rare structure at the start; results in order need it before anything else."""
    read = itertools.count()

    def endless():
        yield Atoms("H40", pbc=True, cell=[9] * 3)
        for _ in read:
            yield Atoms("H3")

    size = 12
    for group in batches(endless(), size):
        if group[0].index == 0:
            break
    assert next(read) <= HELD * size + 2


def test_no_atoms_is_refused():
    with pytest.raises(ValueError, match=r"Structure 1 has no atoms; at least one is needed\."):
        list(batches([Atoms("H"), Atoms()], 10))
