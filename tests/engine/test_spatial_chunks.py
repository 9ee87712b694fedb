"""A structure in chunks, against the engine in one piece."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from ase import Atoms

from latte_ase.engine import spatial_chunks
from latte_ase.engine.engine import Engine
from latte_ase.engine.evaluator import COMPILED
from latte_ase.geometry.neighbours import neighbour_list
from latte_ase.model import derivatives


@pytest.fixture(scope="module")
def engine(tiny_potential):
    return Engine(tiny_potential(), dtype="float64", skin=0.0)


def gas(size, cell, pbc, seed=0):
    """Random H and O on a displaced grid, some of them outside the cell."""
    rng = np.random.default_rng(seed)
    side = int(np.ceil(size ** (1 / 3)))
    grid = rng.permutation(np.argwhere(np.ones([side] * 3)))[:size] / side
    atoms = Atoms(rng.choice([1, 8], size), cell=cell, pbc=pbc)
    atoms.set_scaled_positions(grid + rng.uniform(-0.2, 0.2, (size, 3)) / side)
    atoms.positions[:3] += atoms.cell.array[0] * pbc[0]
    return atoms


BOX = np.array([[13.0, 0, 0], [2.0, 9.0, 0], [-3.0, 1.0, 8.0]])
SYSTEMS = {
    "periodic, sheared": gas(120, BOX, [True] * 3),
    "one vector plus 300 times another": gas(120, BOX, [True] * 3),
    "left-handed": gas(120, BOX[[1, 0, 2]], [True] * 3),
    "slab": gas(120, BOX, [True, True, False]),
    "molecule": gas(120, BOX, [False] * 3),
    "smaller than the cutoff": gas(4, 0.3 * BOX[::-1], [True] * 3),
    "two far apart": Atoms("H8", positions=[[k % 2 + 5e3 * (k > 3), k % 4, k % 3] for k in range(8)]),
    "one": Atoms("O"),
    "one with images": Atoms("O", cell=[2.0, 2.1, 9], pbc=[True, True, False]),
}
SYSTEMS["one vector plus 300 times another"].cell[1] += 300 * BOX[0]


@pytest.mark.parametrize("name", SYSTEMS)
def test_chunks_give_what_one_piece_gives(engine, name):
    atoms = SYSTEMS[name]
    before, expected = atoms.copy(), engine.evaluate(atoms)
    assert name == "one" or np.abs(expected.forces).max() > 0.1 or "images" in name
    for size in (5,) if len(atoms) < 100 else (1000, 37) if "sheared" in name else (37,):
        output = spatial_chunks.evaluate(engine, atoms, size)
        np.testing.assert_allclose(output.energies, expected.energies, atol=1e-10)
        np.testing.assert_allclose(output.forces, expected.forces, atol=1e-10)
        np.testing.assert_allclose(output.virial, expected.virial, atol=1e-9)
    assert atoms == before


@pytest.mark.parametrize("kind", ["messages", "cace"])
@pytest.mark.parametrize("name", ["periodic, sheared", "molecule"])
def test_chunks_of_a_potential_of_two_rounds(kind, name, tiny_potential):
    """An atom feels what is within two cutoffs, so that its surroundings are those of its neighbours too."""
    engine = Engine(tiny_potential(kind), dtype="float64", skin=0.0)
    expected, output = engine.evaluate(SYSTEMS[name]), spatial_chunks.evaluate(engine, SYSTEMS[name], 37)
    assert np.abs(expected.forces).max() > 0.1
    np.testing.assert_allclose(output.energies, expected.energies, atol=1e-10)
    np.testing.assert_allclose(output.forces, expected.forces, atol=1e-9)
    np.testing.assert_allclose(output.virial, expected.virial, atol=1e-8)


@pytest.mark.parametrize("name", [name for name in SYSTEMS if name != "one"])
def test_excursions_are_those_of_one_piece(engine, name):
    """The tiny potential's domain begins at 2.5 Angstrom, so there are some everywhere."""
    atoms = SYSTEMS[name]
    expected = engine.excursions(atoms)
    assert expected or "images" in name
    for size in (5, 37):
        found = spatial_chunks.excursions(engine, atoms, size)
        assert [e.elements for e in found] == [e.elements for e in expected]
        for a, b in zip(found, expected, strict=True):
            assert (a.distance, a.limit) == pytest.approx((b.distance, b.limit))
            assert set(a.atoms) == set(b.atoms) or a.distance == pytest.approx(b.distance, abs=1e-9)


@pytest.mark.parametrize("limits", [[[50.0, 0.0], [3.0, 0.0]], [[0.0, 50.0], [0.0, 0.0]]], ids=["atom", "average"])
@pytest.mark.parametrize("name", SYSTEMS)
def test_neighbours_are_counted_as_in_one_piece(tiny_potential, name, limits):
    potential = tiny_potential(reach=0.1)
    known = {**potential.constants, "fewest_neighbours": np.array(limits)}
    engine = Engine(replace(potential, constants=known), dtype="float64", skin=0.0)
    atoms = SYSTEMS[name]
    expected = engine.excursions(atoms)
    assert [(e.element, e.limit) for e in expected] or name in ("one", "one with images", "smaller than the cutoff")
    for size in (5, 37):
        assert [e[2:] for e in spatial_chunks.excursions(engine, atoms, size)] == [e[2:] for e in expected]


def test_pairs_that_never_met_are_found_across_chunks(tiny_potential):
    potential = tiny_potential()
    never = {**potential.constants, "repulsion_range": np.array([[1.0, 0.0], [0.0, 1.0]])}
    engine = Engine(replace(potential, constants=never), dtype="float64", skin=0.0)
    atoms = Atoms("HHHHO", positions=[[2.0 * k, 0, 0] for k in range(5)])
    (found,) = spatial_chunks.excursions(engine, atoms, 1)
    assert found.elements == ("H", "O") and set(found.atoms) == {3, 4} and found.limit == 0


def test_the_same_at_every_call(engine):
    atoms = SYSTEMS["periodic, sheared"]
    first, second = (spatial_chunks.evaluate(engine, atoms, 37) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "name",
    ["periodic, sheared", "one vector plus 300 times another", "slab", "molecule", "smaller than the cutoff"],
)
def test_every_pair_has_its_centre_in_one_chunk(name):
    """Counted against the list of everything: each chunk sees all neighbours of its own atoms."""
    atoms, cutoff = SYSTEMS[name], 3.0
    pairs = neighbour_list(atoms.positions, atoms.cell.array, atoms.pbc, cutoff)
    expected = sorted(zip(pairs.i.tolist(), pairs.j.tolist(), np.linalg.norm(pairs.edge, axis=1).round(8), strict=True))
    found, owners = [], []
    for chunk in spatial_chunks.chunks(atoms.positions, atoms.cell.array, atoms.pbc, cutoff, 20):
        assert len(chunk.own) <= 20
        np.testing.assert_array_equal(chunk.atom[: len(chunk.own)], chunk.own)
        owners += chunk.own.tolist()
        for k, centre in enumerate(chunk.own):
            distance = np.linalg.norm(chunk.positions - chunk.positions[k], axis=1)
            near = np.flatnonzero(distance < cutoff)
            found += [(int(centre), int(chunk.atom[n]), distance[n].round(8)) for n in near if n != k]
    assert sorted(owners) == list(range(len(atoms)))
    assert sorted(found) == expected


def test_a_chunk_too_large_for_the_memory_is_explained(engine, monkeypatch):
    def full(*_, **__):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 12345 bytes.")

    monkeypatch.setitem(COMPILED, derivatives.pair_gradients, full)
    with pytest.raises(MemoryError, match=r"Out of memory on .*: 1[45] atoms with .* About \d+ atoms like these"):
        spatial_chunks.evaluate(engine, SYSTEMS["slab"], 15)


def test_regions_are_compact():
    """Eight regions of a cube are eight small cubes; of a rod, eight pieces of it."""
    grid = np.argwhere(np.ones((8, 8, 8))) / 8.0
    for lengths in ([8.0, 8.0, 8.0], [800.0, 8.0, 8.0]):
        parts = spatial_chunks.regions(grid, np.array(lengths), 64)
        assert [len(part) for part in parts] == [64] * 8
        extents = [np.ptp(grid[part], axis=0).round(3).tolist() for part in parts]
        assert extents == [[0.375] * 3 if lengths[0] == 8 else [0.0, 0.875, 0.875]] * 8


def test_a_chunk_holds_no_more_than_its_surroundings():
    """What stays in memory does not grow with the structure."""
    largest = []
    for repeat in (2, 4):
        atoms = SYSTEMS["periodic, sheared"].repeat((repeat, 1, 1))
        parts = spatial_chunks.chunks(atoms.positions, atoms.cell.array, atoms.pbc, 3.0, 60)
        largest.append(max(len(chunk.atom) for chunk in parts))
    assert largest[1] <= 1.1 * largest[0]


@pytest.mark.parametrize("size", [50, 1])
def test_mistakes_are_named(engine, size):
    atoms = SYSTEMS["slab"].copy()
    with pytest.raises(ValueError, match=r"atoms_per_chunk is 0; 1 atom or more is needed\."):
        spatial_chunks.evaluate(engine, atoms, 0)
    with pytest.raises(ValueError, match=r"no atoms; at least one is needed"):
        spatial_chunks.evaluate(engine, Atoms(), size)
    atoms.positions[77, 1] = np.inf
    with pytest.raises(ValueError, match=r"Atom 77 has position \[.*inf.*\]\. Positions must be finite"):
        spatial_chunks.evaluate(engine, atoms, size)
    atoms = SYSTEMS["slab"].copy()
    atoms.cell[0] = 0
    with pytest.raises(ValueError, match="cell vector a has zero length"):
        spatial_chunks.evaluate(engine, atoms, size)
    atoms.numbers[5] = 54
    with pytest.raises(ValueError, match="Element Xe is unknown to tiny-latte"):
        spatial_chunks.evaluate(engine, atoms, size)
