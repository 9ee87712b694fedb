"""Buckets: they hold what they were chosen for, are few, and cost little."""

from __future__ import annotations

import numpy as np
import pytest

from latte_ase.geometry.buckets import WASTE, Buckets, capacity
from latte_ase.geometry.graph import Shape


@pytest.mark.parametrize("step", [1, 4])
def test_capacity_grows_geometrically(step):
    buckets = np.array([capacity(need, step=step) for need in range(1, 5000)])
    assert (buckets >= np.arange(1, 5000)).all()
    assert (buckets % step == 0).all()
    distinct = np.unique(buckets)
    assert (distinct[1:] >= distinct[:-1] * (1 + 1 / 16)).all()
    assert (buckets < np.maximum(np.arange(1, 5000) * 1.13, np.arange(1, 5000) + step)).all()


def test_capacity_adds_slack_before_rounding():
    assert capacity(96, slack=0.08) == capacity(104) > capacity(96)


def test_a_bucket_holds_what_it_was_chosen_for_and_costs_little_more_than_a_new_one():
    rng, buckets = np.random.default_rng(1), Buckets(blocks=4, second_slack=0.4)
    for _ in range(500):
        widths = tuple(int(n) for n in np.sort(rng.integers(1, 40, rng.integers(1, 4)))[::-1])
        need = Shape(int(rng.integers(1, 9)), 8, widths)
        choose = buckets.tight if rng.integers(2) else buckets.choose
        known = len(buckets.known)
        chosen = choose(need)
        assert chosen.holds(need)
        assert chosen.blocks >= 4
        assert chosen in buckets.known
        if len(buckets.known) == known:
            fresh = Buckets(blocks=4).choose(need)
            assert buckets._cost(chosen, need) <= WASTE * buckets._cost(fresh, need)


def test_buckets_are_few():
    """Slowly growing structures: no more than two buckets each time the places grow by `WASTE`."""
    buckets = Buckets(blocks=4, second_slack=0.4)
    for n in range(8, 512):
        buckets.choose(Shape(4, 8, (n, n // 2)))
    smallest, largest = (pick(s.places for s in buckets.known) for pick in (min, max))
    assert largest > 30 * smallest
    assert len(buckets.known) <= 2 * np.log(largest / smallest) / np.log(WASTE) + 2


def test_room():
    assert Buckets(blocks=4).choose(Shape(2, 8, (9, 8, 3))) == Shape(4, 8, (12, 12, 4))
    assert Buckets(blocks=4).tight(Shape(2, 8, (9, 8, 3))) == Shape(4, 8, (10, 8, 4))
    assert Buckets(blocks=4, neighbours=8, spare=2).choose(Shape(5, 8, (3, 7))) == Shape(8, 8, (8, 12))
    assert Buckets(threads=3).choose(Shape(16, 8, (9,))) == Shape(18, 8, (12,))
    assert Buckets(threads=3).choose(Shape(4, 8, (9,))) == Shape(4, 8, (12,))  # too few for three threads


def test_a_margin_makes_the_larger_bucket_early_and_once():
    need = Shape(4, 8, (100,))
    tight = Buckets().tight(need)
    buckets = Buckets(known=[tight], margin=0.05)
    larger = buckets.choose(need)
    assert larger.neighbours[0] >= 105
    assert buckets.choose(need) == tight
    assert buckets.known == [tight, larger]


def test_without_a_bucket_that_holds_it():
    with pytest.raises(ValueError, match=r"None of 1 buckets holds a graph that needs Shape\(blocks=5"):
        Buckets(known=[Shape(4, 8, (8,))]).holding(Shape(5, 8, (8,)))
