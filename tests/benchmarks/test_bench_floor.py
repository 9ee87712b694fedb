"""The count of operations behind the floor, against a count by hand."""

from importlib import import_module
from pathlib import Path

import pytest

from latte_ase.model.descriptors import Latte
from latte_ase.model.potential import Architecture

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def floor(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return import_module("floor")


@pytest.fixture
def architecture():
    # columns: 2 of rank 0, 2 * 3 of rank 1, 2 of rank 2 (one term of two factors)
    descriptor = Latte(contractions="2,-:3,a,a:1,ab,ab", cutoff=5.0)
    return Architecture(elements=("H",), descriptor=descriptor, hidden=(4,))


def test_products_of_a_pair(floor, architecture):
    one, two = (floor.count(architecture, pairs, groups=1) for pairs in (1, 2))
    each = 1 * 2 + 3 * 6 + 6 * 2  # SUM_p C_p U_p
    assert two.products - one.products == 2 * (each + each + each - 2)  # M, H, and G without rank 0
    energies = [floor.count(architecture, n, groups=1, derivatives=False).products for n in (1, 2)]
    assert energies[1] - energies[0] == 2 * each


def test_products_of_an_atom(floor, architecture):
    mixing, network = 2 * (2 + 18 + 12), 2 * (6 * 4 + 4)
    assert floor.count(architecture, 0, groups=1, derivatives=False).products == mixing + network
    assert floor.count(architecture, 0, groups=1).products == 2 * (mixing + network)


def test_the_slower_of_work_and_traffic_counts(floor):
    rates = floor.Rates(products=10.0, other=5.0, copy=100.0)
    assert floor.seconds_per_atom(floor.Counts(20, 10, 300), rates) == 4.0
    assert floor.seconds_per_atom(floor.Counts(20, 10, 500), rates) == 5.0
