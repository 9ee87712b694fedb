"""The ring buffer of states."""

from __future__ import annotations

import numpy as np
import pytest

from latte_ase.live import history
from latte_ase.live.frame import Moment
from latte_ase.live.history import History


def state(time):
    return Moment(None, time, np.zeros((10, 3)), np.zeros((3, 3)), np.zeros((10, 3)))


@pytest.mark.parametrize(("name", "limit"), [("MOST_STATES", 5), ("MOST_BYTES", 5 * 480)])
def test_the_oldest_are_forgotten(monkeypatch, name, limit):
    monkeypatch.setattr(history, name, limit)
    states = History()
    for time in range(20):
        states.append(state(time))
        assert len(states) == min(time + 1, 5)
    assert states.rewind(2).time == 17
    assert states.rewind(0).time == 16
    assert states.rewind(100).time == 15 and len(states) == 0
