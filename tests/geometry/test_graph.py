from __future__ import annotations

import numpy as np
import pytest

from latte_ase.geometry.graph import FAR, Grouping, Shape, choose_block, fill, join, lay_out
from latte_ase.geometry.neighbours import neighbour_list

CUTOFF = 2.5


def random_structure(seed, atoms=21, kinds=3):
    rng = np.random.default_rng(seed)
    pairs = neighbour_list(rng.uniform(0, 4.5, (atoms, 3)), 4.5 * np.eye(3), [True, True, False], CUTOFF)
    # species 1 is missing; numbers of atoms differ between species
    return rng.choice([0, 2, 3][:kinds], atoms, p=[0.6, 0.25, 0.15][:kinds] / np.sum([0.6, 0.25, 0.15][:kinds])), pairs


def flat(graph):
    """Edges, neighbour, reverse, species of neighbour, place of centre: all groups one after the other."""
    rows = []
    for group in graph.groups:
        size = group.neighbour[..., 0].size
        k = group.neighbour.shape[-1]
        rows.append(
            (
                group.edges.reshape(-1, 3),
                group.neighbour.ravel(),
                group.reverse.ravel(),
                np.broadcast_to(group.species.reshape(size, -1), (size, k)).ravel(),
                np.repeat(np.arange(size), k),
            )
        )
    return [np.concatenate(column) for column in zip(*rows, strict=True)]


SHAPES = {
    "smallest": lambda need: need,
    "roomy": lambda need: need._replace(
        blocks=need.blocks + 2,
        neighbours=(*(c + 3 for c in need.neighbours), *([2] if need.grouping is Grouping.SPECIES else [])),
    ),
}


@pytest.mark.parametrize("grouping", Grouping)
@pytest.mark.parametrize("room", SHAPES)
@pytest.mark.parametrize("block", [4, 8, None])
def test_every_atom_and_pair_is_at_its_place(block, room, grouping):
    species, pairs = random_structure(0)
    layout = lay_out(species, pairs, block, grouping=grouping)
    assert len(layout.need.neighbours) == (3 if grouping is Grouping.SPECIES else 1)
    if grouping is Grouping.MIXED:
        assert layout.need.blocks == -(-len(species) // layout.need.block)
    shape = SHAPES[room](layout.need)
    assert shape.holds(layout.need)
    graph = fill(layout, pairs, np.full(len(species), 1), shape, np.float64)

    assert len(set(layout.place.tolist())) == len(species)
    assert graph.is_atom.sum() == len(species)
    assert (graph.is_atom.ravel()[layout.place] == 1).all()
    kinds = np.broadcast_to(graph.species.reshape(shape.blocks, -1), graph.is_atom.shape)
    np.testing.assert_array_equal(kinds.ravel()[layout.place], species)
    np.testing.assert_array_equal(graph.structure.ravel(), graph.is_atom.ravel())

    edges, neighbour, reverse, kind, centre = flat(graph)
    atom_at = np.full(shape.blocks * shape.block, -1)
    atom_at[layout.place] = np.arange(len(species))
    real = edges[:, 0] != FAR
    ours = np.column_stack([atom_at[centre], atom_at[neighbour], edges])[real]
    theirs = np.column_stack([pairs.i, pairs.j, pairs.edge])
    assert sorted(map(tuple, ours)) == sorted(map(tuple, theirs))
    np.testing.assert_array_equal(kind[real], species[atom_at[neighbour[real]]])

    np.testing.assert_array_equal(reverse[reverse], np.arange(len(reverse)))
    np.testing.assert_allclose(edges[reverse[real]], -edges[real], atol=1e-12)
    np.testing.assert_array_equal(neighbour[reverse[real]], centre[real])
    np.testing.assert_array_equal(reverse[~real], np.flatnonzero(~real))
    np.testing.assert_array_equal(neighbour[~real], centre[~real])
    np.testing.assert_array_equal(edges[~real], np.broadcast_to([FAR, 0, 0], edges[~real].shape))


def test_groups_are_sorted_by_their_number_of_neighbours():
    species, pairs = random_structure(1)
    layout = lay_out(species, pairs, 8)
    graph = fill(layout, pairs, np.zeros(len(species), int), layout.need, np.float32)
    filled = np.array([(group.edges[..., 0] != FAR).sum(axis=-1).ravel() for group in graph.groups])
    assert (np.diff(filled, axis=0) <= 0).all()
    assert tuple(filled.max(axis=1)) == layout.need.neighbours
    assert graph.groups[0].edges.dtype == np.float32


def test_no_pairs_at_all():
    pairs = neighbour_list([[0, 0, 0], [50, 0, 0]], np.zeros((3, 3)), False, CUTOFF)
    layout = lay_out([1, 0], pairs)
    graph = fill(layout, pairs, np.zeros(2, int), Shape(2, layout.need.block, (4,)), np.float64)
    assert layout.need.neighbours == (0,)
    assert (graph.groups[0].edges[..., 0] == FAR).all()


def test_join_puts_structures_side_by_side():
    parts = [random_structure(seed, atoms, kinds) for seed, atoms, kinds in [(2, 5, 2), (3, 1, 1), (4, 9, 3)]]
    lists = [pairs for _, pairs in parts]
    sizes = [len(species) for species, _ in parts]
    joined, owner = join(lists, sizes)
    np.testing.assert_array_equal(owner, np.repeat([0, 1, 2], sizes))
    np.testing.assert_array_equal(owner[joined.i], owner[joined.j])
    np.testing.assert_array_equal(joined.reverse[joined.reverse], np.arange(len(joined.i)))
    np.testing.assert_array_equal(joined.i[joined.reverse], joined.j)
    np.testing.assert_allclose(joined.edge[joined.reverse], -joined.edge, atol=1e-12)
    for b, (pairs, start) in enumerate(zip(lists, np.cumsum(sizes) - sizes, strict=True)):
        mine = owner[joined.i] == b
        for name, shift in [("i", start), ("j", start), ("shift", 0), ("edge", 0)]:
            np.testing.assert_array_equal(getattr(joined, name)[mine] - shift, getattr(pairs, name))


@pytest.mark.parametrize(
    "need, fits",
    [
        (Shape(2, 8, (10, 4)), True),
        (Shape(2, 8, (10,)), True),
        (Shape(2, 8, (10, 4, 0)), True),
        (Shape(2, 8, (10, 4), Grouping.BLOCKS), False),
        (Shape(3, 8, (10, 4)), False),
        (Shape(2, 16, (10, 4)), False),
        (Shape(2, 8, (11, 4)), False),
        (Shape(2, 8, (10, 5)), False),
        (Shape(2, 8, (10, 4, 1)), False),
    ],
)
def test_shape_holds(need, fits):
    assert Shape(2, 8, (10, 4)).holds(need) is fits


def test_places():
    assert Shape(3, 8, (10, 4)).places == 3 * 8 * 14


@pytest.mark.parametrize("counts, block", [([64, 32], 16), ([17], 8), ([64, 1], 8), ([160, 0, 15], 16)])
def test_blocks_of_8_where_16_would_waste(counts, block):
    assert choose_block(counts) == block
