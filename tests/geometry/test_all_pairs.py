"""Pair lists of many molecules at once, against lists made one by one."""

import numpy as np
import pytest
from ase import Atoms

from latte_ase.geometry.all_pairs import LARGEST, frames_of, is_molecule, molecule_pairs
from latte_ase.geometry.graph import FAR, join
from latte_ase.geometry.neighbours import neighbour_list

CUTOFF = 3.0


def clouds(sizes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.uniform(0, 1.6 * size ** (1 / 3), (size, 3)) + 1e3 * k for k, size in enumerate(sizes)]


def test_pairs_are_those_of_the_lists_one_by_one():
    sizes = [7, 1, 12, 2, 12, 1]
    positions = clouds(sizes)
    got = molecule_pairs(np.concatenate(positions), sizes, CUTOFF)
    expected, _ = join([neighbour_list(r, np.zeros((3, 3)), False, CUTOFF) for r in positions], sizes)
    assert 40 < len(got.i) < sum(n * (n - 1) for n in sizes)  # the cutoff decides
    order, same = (np.lexsort((p.j, p.i)) for p in (got, expected))
    for name in ("i", "j", "shift", "edge"):
        np.testing.assert_array_equal(getattr(got, name)[order], getattr(expected, name)[same])
    assert np.all(np.diff(got.i) >= 0)
    np.testing.assert_array_equal(got.i[got.reverse], got.j)
    np.testing.assert_array_equal(got.edge[got.reverse], -got.edge)


def test_single_atoms_have_no_pairs():
    pairs = molecule_pairs(np.zeros((3, 3)), [1, 1, 1], CUTOFF)
    assert [len(a) for a in pairs] == [0] * 5


@pytest.mark.parametrize(
    ("atoms", "expected"),
    [
        (Atoms("H2O", cell=[9, 9, 9]), True),
        (Atoms("H2O", cell=[9, 9, 9], pbc=[False, False, True]), False),
        (Atoms(f"H{LARGEST}"), True),
        (Atoms(f"H{LARGEST + 1}"), False),
    ],
)
def test_what_is_a_molecule(atoms, expected):
    assert is_molecule(atoms) is expected


@pytest.mark.parametrize("given", [3, 2, 1])
def test_frames_get_their_edges(given):
    """Every pair of every frame once, at the places of its atoms; padding is far away."""
    species = np.array([1, 0, 0, 1, 0])
    frames = frames_of(species, 3, 8, lambda need: need._replace(blocks=need.blocks + 1), np.float64)
    positions = np.concatenate(clouds([5] * given, seed=given))
    graph = frames.with_positions(positions)
    place, atoms = frames.layout.place, len(frames.layout.place)
    found = []
    for group in graph.groups:
        centre = np.broadcast_to(np.arange(group.species.size).reshape(*group.species.shape, 1), group.neighbour.shape)
        padded = group.edges[..., 0] == FAR
        assert not group.edges[padded][:, 1:].any()
        i, j = (np.searchsorted(place, a[~padded], sorter=np.argsort(place)) for a in (centre, group.neighbour))
        i, j = np.argsort(place)[i], np.argsort(place)[j]
        everyone = np.resize(positions, (atoms, 3))
        np.testing.assert_array_equal(group.edges[~padded], everyone[j] - everyone[i])
        found += list(zip(i.tolist(), j.tolist(), strict=True))
    expected = [(a, b) for k in range(3) for a in range(5 * k, 5 * k + 5) for b in range(5 * k, 5 * k + 5) if a != b]
    assert sorted(found) == expected
    assert frames.pairs == len(expected)
