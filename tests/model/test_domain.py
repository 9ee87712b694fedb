"""The domain of use: what counts as outside, and how it is told."""

from __future__ import annotations

import numpy as np
import pytest

from latte_ase.geometry.neighbours import neighbour_list
from latte_ase.model.domain import CloseContact, Domain, FewNeighbours, describe

CUTOFF = 4.0
DOMAIN = Domain(("H", "O"), np.array([[1.4, 0.9], [0.9, 0.0]]), CUTOFF)
CROWDED = Domain(DOMAIN.elements, DOMAIN.closest, CUTOFF, np.array([[2.55, 4.2], [0.0, 0.0]]))


def contacts(positions, species, domain=DOMAIN):
    pairs = neighbour_list(np.asarray(positions, float), np.zeros((3, 3)), False, CUTOFF + 0.5)
    return domain.contacts(np.array(species), pairs.i, pairs.j, np.linalg.norm(pairs.edge, axis=1))


def test_each_pair_of_elements_is_named_with_its_nearest_atoms():
    positions, species = [(0, 0, 0), (0, 0, 0.8), (0, 0, 1.6), (0, 3.0, 0)], [1, 0, 0, 1]
    found = contacts(positions, species)
    assert [(e.elements, e.atoms) for e in found] == [
        (("H", "O"), (0, 1)),
        (("H", "H"), (1, 2)),
        (("O", "O"), (0, 3)),
    ]
    assert [e.distance for e in found] == pytest.approx([0.8, 0.8, 3.0])
    assert [e.limit for e in found] == [0.9, 1.4, 0.0]


def test_inside_nothing_is_found():
    assert contacts([(0, 0, 0), (0, 0, 0.91)], [1, 0]) == []
    assert contacts([(0, 0, 0), (0, 0, 1.41)], [0, 0]) == []
    assert contacts([(0, 0, 0), (0, 0, CUTOFF + 0.1)], [1, 1]) == []  # in the list, beyond the cutoff


def test_a_closest_approach_beyond_the_cutoff_ends_there():
    """Else a list that is reused, which need not hold such pairs, would find less than a fresh one."""
    domain = Domain(("H",), np.array([[CUTOFF + 0.3]]), CUTOFF)
    assert contacts([(0, 0, 0), (0, 0, CUTOFF + 0.1)], [0, 0], domain) == []
    assert contacts([(0, 0, 0), (0, 0, CUTOFF - 0.1)], [0, 0], domain) != []


def test_the_shortest_distance_of_the_training_set_itself_is_inside():
    assert contacts([(0, 0, 0), (0, 0, 0.9 * (1 - 1e-9))], [0, 1]) == []


def test_the_atom_with_fewest_neighbours_is_named_or_else_the_average():
    species = np.array([1, 0, 0, 0])
    assert CROWDED.sparse(species, np.array([0, 9, 2, 1])) == [FewNeighbours("H", 3, 1.0, 2.55, CUTOFF)]
    assert CROWDED.sparse(species, np.array([0, 3, 5, 4])) == [FewNeighbours("H", None, 4.0, 4.2, CUTOFF)]
    assert CROWDED.sparse(species, np.array([0, 3, 6, 4])) == []


def test_an_atom_without_neighbours_is_inside_where_its_energy_is_known():
    species, counts = np.array([0, 0]), np.array([0, 5])
    assert [e.count for e in CROWDED.sparse(species, counts)] == [0]
    known = Domain(DOMAIN.elements, DOMAIN.closest, CUTOFF, CROWDED.fewest, isolated=True)
    assert known.sparse(species, counts) == [] and known.sparse(species[:1], counts[:1]) == []
    assert [e.count for e in known.sparse(species, np.array([1, 5]))] == [1]


def test_a_model_that_does_not_know_its_fewest_neighbours_counts_none():
    assert DOMAIN.sparse(np.array([0]), np.array([0])) == [] and DOMAIN.neighbours == {}


def test_an_untrained_potential_has_no_domain():
    domain = Domain(("H", "O"), np.zeros((2, 2)), CUTOFF, np.ones((2, 2)))
    assert not domain.known and domain.pairs == {}
    assert contacts([(0, 0, 0), (0, 0, 0.1)], [0, 1], domain) == []
    assert domain.sparse(np.array([0]), np.array([0])) == []


def test_limits_are_listed_by_symbol():
    assert DOMAIN.pairs == {("H", "H"): 1.4, ("H", "O"): 0.9}
    assert CROWDED.neighbours == {"H": (3, 4.2), "O": (0, 0.0)}


def test_the_text_names_model_pair_distance_and_what_to_do():
    text = describe("m", [CloseContact(("H", "O"), (3, 7), 0.8, 0.9), CloseContact(("O", "O"), (0, 1), 3.0, 0.0)])
    assert "outside the range of m: H-O at 0.800 Å (atoms 3 and 7) is closer than the 0.900 Å" in text
    assert "O-O neighbours (atoms 0 and 1, 3.000 Å) never occurred" in text and "latte_ase.finetune" in text


@pytest.mark.parametrize(
    ("excursion", "text"),
    [
        (FewNeighbours("H", 7, 0.0, 2.55, 4.0), "H with no neighbour within 4 Å (atom 7) has fewer than the 3 where"),
        (FewNeighbours("H", 7, 1.0, 2.55, 4.5), "H with 1 neighbour within 4.5 Å (atom 7) has fewer than the 3 where"),
        (FewNeighbours("H", 7, 2.0, 2.55, 4.0), "H with 2 neighbours within 4 Å (atom 7)"),
        (
            FewNeighbours("H", None, 4.0, 4.26, 4.0),
            "H has 4.0 neighbours within 4 Å on average over its atoms, fewer than the 4.3",
        ),
    ],
)
def test_the_text_names_element_atom_and_numbers_of_neighbours(excursion, text):
    assert text in describe("m", [excursion]) and "where its training set ends" in str(excursion)
