"""Structures of the benchmarks: right numbers, whole molecules."""

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def structures(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return import_module("structures")


@pytest.mark.parametrize(("atoms", "periodic"), [(3, False), (141, False), (192, True), (768, True)])
def test_water(structures, atoms, periodic):
    made = structures.water(atoms)
    assert len(made) == atoms and made.pbc.all() == periodic
    oxygens = made.positions[::3]
    for hydrogen in (made.positions[1::3], made.positions[2::3]):
        assert np.linalg.norm(hydrogen - oxygens, axis=1).min() > 0.85
        assert np.linalg.norm(hydrogen - oxygens, axis=1).max() < 1.2


def test_sizes_of_boxes_are_right(structures):
    for atoms, repeats in structures.REPEATS.items():
        assert 192 * np.prod(repeats) == atoms


def test_half_a_molecule_is_refused(structures):
    with pytest.raises(ValueError, match=r"4 atoms are no whole number of water molecules\. Choose a multiple of 3"):
        structures.water(4)


def test_elements_have_equal_shares(structures):
    mixed = structures.alloy(structures.water(192), 64)
    assert np.bincount(mixed.numbers)[1:].tolist() == [3] * 64
