"""The domain of use: what counts as outside, and that a reused list misses nothing."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms

from latte_ase.geometry.neighbours import VerletList, neighbour_list
from latte_ase.model.domain import Domain, Excursion, describe

CUTOFF, SKIN = 4.0, 0.5
DOMAIN = Domain(("H", "O"), np.array([[1.4, 0.9], [0.9, 0.0]]), CUTOFF)


def found(positions, species, domain=DOMAIN):
    positions = np.asarray(positions, float)
    pairs = neighbour_list(positions, np.zeros((3, 3)), False, CUTOFF + SKIN)
    suspects = domain.suspects(species, pairs, SKIN)
    return domain.excursions(suspects, np.zeros_like(positions), np.eye(3))


def test_each_pair_of_elements_is_named_with_its_nearest_atoms():
    positions, species = [(0, 0, 0), (0, 0, 0.8), (0, 0, 1.6), (0, 3.0, 0)], [1, 0, 0, 1]
    excursions = found(positions, species)
    assert [(e.elements, e.atoms) for e in excursions] == [
        (("H", "O"), (0, 1)),
        (("H", "H"), (1, 2)),
        (("O", "O"), (0, 3)),
    ]
    assert [e.distance for e in excursions] == pytest.approx([0.8, 0.8, 3.0])
    assert [e.limit for e in excursions] == [0.9, 1.4, 0.0]


def test_inside_nothing_is_found():
    assert found([(0, 0, 0), (0, 0, 0.91)], [1, 0]) == []
    assert found([(0, 0, 0), (0, 0, 1.41)], [0, 0]) == []
    assert found([(0, 0, 0), (0, 0, CUTOFF + 0.1)], [1, 1]) == []  # in the list, beyond the cutoff


def test_the_shortest_distance_of_the_training_set_itself_is_inside():
    assert found([(0, 0, 0), (0, 0, 0.9 * (1 - 1e-9))], [0, 1]) == []


def test_an_untrained_potential_has_no_domain():
    domain = Domain(("H", "O"), np.zeros((2, 2)), CUTOFF)
    assert not domain.known and domain.pairs == {}
    assert found([(0, 0, 0), (0, 0, 0.1)], [0, 1], domain) == []


def test_pairs_are_listed_by_symbol():
    assert DOMAIN.pairs == {("H", "H"): 1.4, ("H", "O"): 0.9}


def test_the_text_names_model_pair_distance_and_what_to_do():
    text = describe("m", [Excursion(("H", "O"), (3, 7), 0.8, 0.9), Excursion(("O", "O"), (0, 1), 3.0, 0.0)])
    assert "outside the range of m: H-O at 0.800 Å (atoms 3 and 7) is closer than the 0.900 Å" in text
    assert "O-O neighbours (atoms 0 and 1, 3.000 Å) never occurred" in text and "latte_ase.finetune" in text


@pytest.mark.parametrize("seed", range(5))
def test_a_reused_list_finds_what_a_fresh_one_finds(seed):
    rng = np.random.default_rng(seed)
    cell = np.diag([6.0, 6.5, 7.0])
    atoms = Atoms("H6O6", positions=rng.uniform(0, 6, (12, 3)), cell=cell, pbc=True)
    species = (atoms.numbers == 8).astype(int)
    domain = Domain(("H", "O"), np.array([[2.2, 1.8], [1.8, 2.0]]), CUTOFF)
    verlet, reused, outside = None, 0, 0
    for _ in range(150):
        atoms.positions += rng.normal(0, 0.02, (12, 3))
        atoms.set_cell(cell * (1 + rng.uniform(-0.02, 0.02)), scale_atoms=True)
        motion = verlet.motion(atoms) if verlet else None
        if motion is None:
            verlet = VerletList.build(atoms, cutoff=CUTOFF, skin=SKIN)
            suspects = domain.suspects(species, verlet.pairs, SKIN)
            motion = np.zeros((12, 3)), np.eye(3)
        else:
            reused += 1
        fresh = neighbour_list(atoms.positions, atoms.cell.array, True, CUTOFF)
        expected = domain.excursions(domain.suspects(species, fresh, 0.0), np.zeros((12, 3)), np.eye(3))
        result = domain.excursions(suspects, *motion)
        assert [e.elements for e in result] == [e.elements for e in expected]
        assert [e.distance for e in result] == pytest.approx([e.distance for e in expected])
        outside += len(result)
    assert reused > 50 and outside > 50
