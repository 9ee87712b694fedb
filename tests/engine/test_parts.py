"""Blocks in parts."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from hypothesis import given
from hypothesis import strategies as st

from latte_ase.engine.parts import split
from latte_ase.geometry.buckets import FEWEST_BLOCKS, parts_of


@pytest.fixture(scope="module")
def silicon(tiny_potential, make_graph):
    """A graph of 8 blocks, and the blocks that hold atoms."""
    atoms = bulk("Si", cubic=True) * (3, 2, 1)
    graph, layout = make_graph(tiny_potential("latte", ("Si",)), atoms, block=8)
    return graph, layout.need.blocks


@given(st.integers(1, 500), st.integers(1, 64))
def test_every_thread_has_enough_blocks(blocks, threads):
    parts = parts_of(blocks, threads)
    assert 1 <= parts <= threads
    assert parts == 1 or blocks // parts >= FEWEST_BLOCKS


@pytest.mark.parametrize("used", [1, 3, 4, 5, 6])
@pytest.mark.parametrize("parts", [1, 2, 3])
def test_every_used_block_is_in_one_part(silicon, parts, used):
    graph, blocks = silicon
    assert blocks == 6
    cut = split(graph, used, parts)
    mine = [k for part in cut for k in range(int(part.start), int(part.start + part.used))]
    assert mine == list(range(used))
    assert max(int(p.used) for p in cut) - used / parts < 1
    for part in cut:
        assert len(part.graph.species) == blocks // parts
        rows = part.of(np.arange(blocks))
        assert len(rows) == blocks // parts  # one shape for all
        np.testing.assert_array_equal(part.graph.groups[0].edges, graph.groups[0].edges[rows])
