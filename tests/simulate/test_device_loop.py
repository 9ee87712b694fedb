"""The rule by which the device stops is that of the host's list."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from ase.build import bulk

from latte_ase.geometry.neighbours import VerletList
from latte_ase.simulate import device_loop
from latte_ase.simulate.state import State


def moved(displacements, strain=0.0):
    """A state of which nothing but the motion counts."""
    return State(0, displacements, strain, None, None, None, None, {})


@pytest.mark.usefixtures("float64")
def test_a_list_serves_on_the_device_where_it_serves_on_the_host():
    rng, atoms, answers = np.random.default_rng(3), bulk("Si", cubic=True), []
    verlet = VerletList.build(atoms, cutoff=4.0, skin=0.5)
    reference: device_loop.Reference = SimpleNamespace(cutoff=4.0, reach=4.5)
    for _ in range(200):
        strain = rng.uniform(-0.06, 0.06)
        u = rng.normal(size=3) + rng.uniform(0, 0.15) * rng.normal(size=(8, 3))
        other = atoms.copy()
        other.set_cell(atoms.cell.array * (1 + strain))
        other.positions = atoms.positions * (1 + strain) + u
        answers.append(verlet.motion(other) is not None)
        assert bool(device_loop.list_serves(moved(u, strain), reference)) == answers[-1]
    assert 40 < sum(answers) < 160
    drift = np.full((8, 3), device_loop.FARTHEST_DRIFT)
    assert not device_loop.list_serves(moved(drift), reference)  # served, but digits would be lost


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    "change, status",
    [
        (0.1, device_loop.GOES_ON),
        (0.6, device_loop.LIST_SPENT),
        (1.01, device_loop.FLEW_APART),
        (np.nan, device_loop.FLEW_APART),
    ],
)
def test_steps_that_are_too_long_are_no_motion(change, status):
    reference: device_loop.Reference = SimpleNamespace(cutoff=4.0, reach=4.5)
    at, u = np.zeros((8, 3)), np.zeros((8, 3))
    u[3, 1] = change
    assert int(device_loop.check(moved(at), moved(u), reference)) == status
    assert int(device_loop.check(moved(at), moved(at, -1.5), reference)) == device_loop.FLEW_APART
