"""Blocks in parts."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from ase.build import bulk
from hypothesis import given
from hypothesis import strategies as st

from latte_ase.engine import threads


@pytest.fixture(scope="module")
def silicon(tiny_potential, make_graph):
    """A graph of 8 blocks, and the blocks that hold atoms."""
    atoms = bulk("Si", cubic=True) * (3, 2, 1)
    graph, layout = make_graph(tiny_potential("latte", ("Si",)), atoms, block=8)
    return graph, layout.need.blocks


@given(st.integers(1, 500), st.integers(1, 64))
def test_every_thread_has_enough_blocks(blocks, threads):
    parts = threads.parts_of(blocks, threads)
    assert 1 <= parts <= threads
    assert parts == 1 or blocks // parts >= threads.FEWEST


@pytest.mark.parametrize("used", [1, 3, 4, 5, 6])
@pytest.mark.parametrize("parts", [1, 2, 3])
def test_every_used_block_is_in_one_part(silicon, parts, used):
    graph, blocks = silicon
    assert blocks == 6
    cut = threads.split(graph, used, parts)
    mine = [k for part in cut for k in range(int(part.start), int(part.start + part.used))]
    assert mine == list(range(used))
    assert max(int(p.used) for p in cut) - used / parts < 1
    for part in cut:
        assert len(part.graph.species) == blocks // parts
        rows = part.of(np.arange(blocks))
        assert len(rows) == blocks // parts  # one shape for all
        np.testing.assert_array_equal(part.graph.groups[0].edges, graph.groups[0].edges[rows])


def test_parts_run_side_by_side_and_come_back_in_order():
    meet = threading.Barrier(3, timeout=10)

    def work(k):
        meet.wait()  # breaks unless all three are here at once
        return k, threading.current_thread()

    if threads.cores() < 2:
        results = threads.at_once(lambda k: (k, threading.current_thread()), [0])
    else:
        meet = threading.Barrier(2, timeout=10)
        results = threads.at_once(work, [0, 1])
    assert [k for k, _ in results] == list(range(len(results)))
    assert results[0][1] is threading.current_thread()
