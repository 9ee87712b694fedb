"""Selection: the least certain frame first, then others that are not like it."""

from __future__ import annotations

import pytest

from latte_ase import LatteCalculator
from latte_ase.uncertainty import select


def test_the_least_certain_is_first_and_copies_are_left_out(certain, copper):
    ordinary, strange = copper(6, seed=8), copper(2, seed=9, rattle=0.5)
    frames = [*ordinary, strange[0], strange[0].copy(), strange[1], *(a.copy() for a in ordinary)]
    chosen = select(certain, frames, 4)
    calc = LatteCalculator(certain)
    worst = [calc.get_uncertainty(a).worst for a in frames]
    assert chosen[0].uncertainty == pytest.approx(max(worst))
    original = [*range(7), 6, 7, *range(6)]  # which of the eight different frames each one is
    assert {original[c.index] for c in chosen} >= {6, 7}
    everything = select(certain, frames, len(frames))
    assert sorted(original[c.index] for c in everything) == list(range(8))


def test_a_count_that_cannot_be(certain, copper):
    for count, frames in ((0, copper(2, seed=0)), (1, [])):
        with pytest.raises(ValueError, match="one of one is the least"):
            select(certain, frames, count)
