from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st

from latte_ase.geometry.neighbours import (
    VerletList,
    complete_cell,
    forward,
    neighbour_list,
    reduction,
    volume,
)

CUTOFF = 3.0
SKIN = 1.0
ALL_PBC = list(product([False, True], repeat=3))


def brute_force(positions, cell, pbc, reach):
    """(i, j, S) and D of all pairs with |D| < reach, from every image that can be that close.

    Lattice planes across periodic vector k are 1/|k-th column of pinv| apart, so S_k lies within
    reach/spacing of the shift that would put the two atoms between the same planes.
    """
    cell, pbc = np.asarray(cell, float), np.asarray(pbc, bool)
    inverse = np.linalg.pinv(cell[pbc])
    width = reach * np.linalg.norm(inverse, axis=0)
    images = np.array(list(product(*[range(int(2 * w) + 3) for w in width])), int)
    rows, edges = [np.zeros((0, 5), int)], [np.zeros((0, 3))]
    for i in range(len(positions)):
        apart = positions - positions[i]
        lowest = np.floor(-apart @ inverse - width).astype(int)
        shift = np.zeros((len(positions), len(images), 3), int)
        shift[:, :, pbc] = lowest[:, None] + images
        edge = apart[:, None] + shift @ cell
        near = (edge**2).sum(axis=2) < reach**2
        near[i] &= shift[i].any(axis=1)
        j, image = np.nonzero(near)
        rows.append(np.column_stack([np.full(len(j), i), j, shift[j, image]]))
        edges.append(edge[j, image])
    return np.concatenate(rows), np.concatenate(edges)


def table(pairs):
    """(i, j, S) of every pair, (pairs, 5)."""
    return np.column_stack([pairs.i, pairs.j, pairs.shift])


def assert_same_pairs(rows, edges, expected_rows, expected_edges):
    """The same (i, j, S), each as often, and the same D of each, in any order."""
    order, expected = (np.lexsort(r.T[::-1]) for r in (rows, expected_rows))
    np.testing.assert_array_equal(rows[order], expected_rows[expected])
    np.testing.assert_allclose(edges[order], expected_edges[expected], rtol=0, atol=1e-10)


def assert_reverse(pairs):
    """`reverse` leads from (i, j, S) to (j, i, -S), with the very opposite D, and back."""
    back = pairs.reverse
    np.testing.assert_array_equal(back[back], np.arange(len(back)))
    np.testing.assert_array_equal(table(pairs)[back], np.column_stack([pairs.j, pairs.i, -pairs.shift]))
    np.testing.assert_array_equal(pairs.edge[back], -pairs.edge)


def random_cell(rng):
    """Vectors of 0.3 to 5 cutoffs, small ones as likely as large ones; sheared, turned, either hand."""
    lengths = CUTOFF * np.exp(rng.uniform(np.log(0.3), np.log(5.0), 3))
    cell = np.diag(lengths)
    cell[np.tril_indices(3, -1)] = rng.uniform(-1.2, 1.2, 3) * lengths[[1, 2, 2]]
    return (cell @ np.linalg.qr(rng.normal(size=(3, 3)))[0])[rng.permutation(3)] * rng.choice([-1, 1])


def random_structure(rng):
    """Positions, cell, pbc: 0 to 40 atoms, also far away, outside the cell, and on top of each other."""
    pbc, cell, atoms = np.array(ALL_PBC[rng.integers(8)]), random_cell(rng), rng.integers(0, 41)
    fractional = rng.uniform(-0.5, 1.5, (atoms, 3))
    if rng.random() < 0.1:  # on faces, edges and corners of the cell, and some on one place
        fractional = np.round(2 * fractional) / 2
    positions = fractional @ cell
    if rng.random() < 0.5:
        far = rng.choice([30.0, 1e4])
        positions += rng.uniform(-far, far, 3) + far * rng.integers(0, 2, (atoms, 1)) * rng.uniform(-1, 1, (atoms, 3))
    if rng.random() < 0.5:
        cell[~pbc] = 0
    return positions, cell, pbc


@pytest.mark.parametrize("count", [400, pytest.param(20_000, marks=pytest.mark.slow)])  # 3 s; 150 s
def test_list_equals_brute_force(count):
    seen, pairs_seen = set(), 0
    for seed in range(count):
        positions, cell, pbc = random_structure(np.random.default_rng(seed))
        try:
            pairs = neighbour_list(positions, cell, pbc, CUTOFF)
            assert_same_pairs(table(pairs), pairs.edge, *brute_force(positions, cell, pbc, CUTOFF))
            assert_reverse(pairs)
        except Exception as error:
            error.add_note(f"random_structure(np.random.default_rng({seed}))")
            raise
        seen.add((*pbc.tolist(), np.linalg.det(cell) < 0))
        pairs_seen += len(pairs.i)
    assert len(seen) == 16  # every pbc, both hands
    assert pairs_seen > 500 * count


def sheared(cell, pbc, steps):
    """The cell after adding a multiple of one periodic vector to another several times, and the integers that do it."""
    change, axes = np.eye(3, dtype=int), np.flatnonzero(pbc)
    for k, factor in enumerate(steps if len(axes) > 1 else ()):
        change[axes[(k + 1) % len(axes)]] += factor * change[axes[k % len(axes)]]
    return change @ cell, change


SHEARS = st.lists(st.integers(-300, 300), max_size=1) | st.lists(st.integers(-20, 20), max_size=2)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.sampled_from(ALL_PBC), SHEARS)
def test_a_sheared_cell_has_the_pairs_of_the_compact_one(seed, pbc, steps):
    """The same lattice: the same pairs, with the shifts of the vectors that were given."""
    rng, pbc = np.random.default_rng(seed), np.array(pbc)
    cell, atoms = random_cell(rng), int(rng.integers(1, 12))
    positions = rng.uniform(-2, 2, (atoms, 3)) @ cell
    skew, change = sheared(cell, pbc, steps)
    pairs = neighbour_list(positions, skew, pbc, CUTOFF)
    rows, edges = brute_force(positions, cell, pbc, CUTOFF)
    rows[:, 2:] = rows[:, 2:] @ np.rint(np.linalg.inv(change)).astype(int)
    order, expected = (np.lexsort(r.T[::-1]) for r in (table(pairs), rows))
    np.testing.assert_array_equal(table(pairs)[order], rows[expected])
    # vectors and shifts are up to some 1000 times as long as of the compact cell, and rounding errors their product
    np.testing.assert_allclose(pairs.edge[order], edges[expected], rtol=0, atol=1e-7)
    assert_reverse(pairs)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.sampled_from(ALL_PBC), SHEARS)
def test_reduced_vectors_span_the_same_lattice_and_are_short(seed, pbc, steps):
    pbc = np.array(pbc)
    cell = complete_cell(sheared(random_cell(np.random.default_rng(seed)), pbc, steps)[0], pbc)
    change = reduction(cell, pbc)
    short = cell if change is None else change @ cell
    assert np.prod(np.linalg.norm(short, axis=1)) < 4.0001 * np.abs(np.linalg.det(short))
    if change is not None:
        assert change.dtype == np.int64 and round(abs(np.linalg.det(change))) == 1
        np.testing.assert_array_equal(change[~pbc], np.eye(3, dtype=int)[~pbc])
        assert not change[:, ~pbc][pbc].any()


def test_common_cells_are_searched_as_they_are_given():
    rng = np.random.default_rng(0)
    cells = [bulk(*c).cell.array for c in (("Cu", "fcc", 3.6), ("Fe", "bcc", 2.9), ("Mg", "hcp", 3.2, None, 5.2))]
    cells += [np.array([[5.0, 0, 0], [tilt, 5.0, 0], [-tilt, tilt, 5.0]]) for tilt in rng.uniform(-2.5, 2.5, 20)]
    for cell in cells:
        assert reduction(cell, np.ones(3, bool)) is None


def test_a_shell_at_the_cutoff_is_in_the_list_both_ways_or_not_at_all():
    """Rounding used to leave (i, j, S) inside and (j, i, -S) outside, and forces were wrong by 0.3 eV/Angstrom."""
    rng = np.random.default_rng(0)
    corners = np.array([[0, 0, 0], [1, 1, 0], [1, 0, 1], [0, 1, 1]]) / 2
    at_the_edge = 0
    for _ in range(100):
        size, shell = rng.uniform(2.0, 5.0), rng.integers(1, 9)
        cell = size * np.linalg.qr(rng.normal(size=(3, 3)))[0]
        reach = size * np.sqrt(shell / 2)
        positions = (corners + rng.uniform(size=3)) @ cell
        pairs = neighbour_list(positions, cell, True, reach)
        assert_reverse(pairs)
        inner, outer = (neighbour_list(positions, cell, True, reach * (1 + hair)) for hair in (-1e-9, 1e-9))
        assert len(inner.i) <= len(pairs.i) <= len(outer.i)
        at_the_edge += len(inner.i) < len(pairs.i) < len(outer.i)
    assert at_the_edge > 50


def test_one_atom_sees_its_own_images():
    pairs = neighbour_list([[0.2, 0.3, 0.4]], np.eye(3), True, 1.01)
    assert sorted(map(tuple, pairs.shift.tolist())) == sorted(map(tuple, np.vstack([np.eye(3), -np.eye(3)]).tolist()))


def test_of_two_opposite_pairs_one_is_forward():
    i, j, *shift = (a.ravel() for a in np.mgrid[0:3, 0:3, -2:3, -2:3, -2:3])
    shift = np.column_stack(shift)
    itself = (i == j) & ~shift.any(axis=1)
    np.testing.assert_array_equal(forward(i, j, shift) ^ forward(j, i, -shift), ~itself)


def test_a_list_without_pairs():
    pairs = neighbour_list([[0, 0, 0], [0, 0, 9.0]], np.eye(3), False, 2.0)
    assert pairs.edge.shape == pairs.shift.shape == (0, 3)
    assert pairs.reverse.shape == (0,)


@pytest.mark.parametrize("pbc", ALL_PBC)
def test_completed_rows_are_orthonormal_and_periodic_rows_stay(pbc):
    pbc = np.array(pbc)
    cell = np.random.default_rng(1).normal(size=(3, 3))
    done = complete_cell(cell, pbc)
    np.testing.assert_array_equal(done[pbc], cell[pbc])
    np.testing.assert_allclose((done @ done.T)[~pbc], np.eye(3)[~pbc], atol=1e-12)


@pytest.mark.parametrize(
    "positions, cell, message",
    [
        ([[0, 0, 0], [0, np.nan, 0]], np.eye(3), r"Atom 1 has position \[0.0, nan, 0.0\]"),
        ([[np.inf, 0, 0]], np.eye(3), "Atom 0 .* must be finite"),
        ([[0, 0, 0]], np.diag([1, 0, 1]), r"cell vector b has zero length.*atoms.pbc\[1\] = False"),
        ([[0, 0, 0]], [[1, 0, 0], [0, 1, 0], [1, 1, 0]], "linearly dependent to six digits.*minkowski_reduce"),
        (
            [[0, 0, 0]],
            1e-2 * np.eye(3),
            r"Within 3 Angstrom .* 1.1e\+08 periodic images .* too short.*correct atoms.cell",
        ),
        ([[0, 0, 0]], np.diag([1, np.inf, 1]), "cell .* not finite"),
    ],
)
def test_refusals(positions, cell, message):
    with pytest.raises(ValueError, match=message):
        neighbour_list(positions, cell, True, CUTOFF)


@pytest.mark.parametrize("count", [24, pytest.param(500, marks=pytest.mark.slow)])  # 1 s; 16 s
def test_reused_list_equals_a_fresh_one_along_trajectories(count):
    """D0 @ F + u_j - u_i gives every pair within the cutoff, for moving atoms and cells."""
    reused, built = np.zeros(8, int), np.zeros(8, int)
    for seed in range(count):
        rng, kind = np.random.default_rng(seed), seed % 8
        cell, atoms = random_cell(rng), int(rng.integers(1, 41))
        moving = Atoms(numbers=np.ones(atoms), positions=rng.uniform(-1, 2, (atoms, 3)) @ cell, cell=cell)
        moving.pbc = ALL_PBC[kind]
        speed, rate = 0.1 * rng.random(), 0.03 * rng.random()  # Angstrom and strain per step
        verlet = VerletList.build(moving, cutoff=CUTOFF, skin=SKIN)
        for _ in range(20):
            strain = np.eye(3) + rng.normal(scale=rate, size=(3, 3))
            moving.set_cell(moving.cell @ strain, scale_atoms=bool(rng.integers(2)))
            moving.positions += rng.normal(scale=speed, size=(atoms, 3)) + rng.normal(size=3)
            motion = verlet.motion(moving)
            if motion is None:
                verlet = VerletList.build(moving, cutoff=CUTOFF, skin=SKIN)
                built[kind] += 1
                continue
            reused[kind] += 1
            u, deformation = motion
            old = verlet.pairs
            edge = old.edge @ deformation + u[old.j] - u[old.i]
            near = np.linalg.norm(edge, axis=1) < CUTOFF
            fresh = neighbour_list(moving.positions, moving.cell.array, moving.pbc, CUTOFF)
            assert_same_pairs(table(old)[near], edge[near], table(fresh), fresh.edge)
    assert (reused > count / 4).all(), reused
    assert (built > 0).all(), built


@pytest.fixture
def slab():
    rng = np.random.default_rng(3)
    cell = np.array([[4.0, 0.5, 0.0], [0.0, 5.0, 1.0], [0.3, 0.0, 6.0]])
    return Atoms("CHCHOO", positions=rng.uniform(0, 1, (6, 3)) @ cell, cell=cell, pbc=[True, True, False])


def test_drift_and_the_cell_along_vacuum_are_free(slab):
    verlet = VerletList.build(slab, cutoff=CUTOFF, skin=0.5)
    slab.positions += [100.0, -20.0, 7.0]
    slab.cell[2] = [0, 0, 99.0]
    displacements, deformation = verlet.motion(slab)
    np.testing.assert_allclose(displacements, 0, atol=1e-12)
    np.testing.assert_array_equal(deformation, np.eye(3))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.sampled_from(ALL_PBC), st.integers(-6, -2))
def test_completed_rows_move_no_further_than_periodic_ones(seed, pbc, magnitude):
    """Null spaces come with any sign and any angle; taken near the old rows they turn as the periodic ones do."""
    rng, pbc = np.random.default_rng(seed), np.array(pbc)
    cell, strain = random_cell(rng), 10.0**magnitude * rng.normal(size=(3, 3))
    before = complete_cell(cell, pbc)
    after = complete_cell(cell @ (np.eye(3) + strain), pbc, near=before)
    np.testing.assert_allclose((after @ after.T)[~pbc], np.eye(3)[~pbc], atol=1e-12)
    np.testing.assert_array_equal(after[pbc], (cell @ (np.eye(3) + strain))[pbc])
    turned = np.linalg.norm((after - before)[~pbc])
    # the plane of the periodic rows turns by the strain, more where they are nearly parallel
    condition = np.linalg.cond(cell[pbc]) if pbc.any() else 0.0
    assert turned <= 4 * condition * np.linalg.norm(strain)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.sampled_from(ALL_PBC))
def test_small_strain_keeps_the_list(seed, pbc):
    """Also of slabs along (b, c) and wires along c, whose lists used to be built anew in every second call."""
    rng = np.random.default_rng(seed)
    atoms = bulk("Si", cubic=True)
    atoms.pbc = pbc
    atoms.rotate(rng.uniform(0, 360), rng.normal(size=3), rotate_cell=bool(rng.integers(2)))
    atoms.positions += rng.uniform(-20, 20, 3)
    verlet = VerletList.build(atoms, cutoff=CUTOFF, skin=0.7)
    for _ in range(5):
        strain = np.eye(3) + 1e-3 * rng.normal(size=(3, 3))
        moved = atoms.copy()
        moved.set_cell(moved.cell @ strain, scale_atoms=True)
        assert verlet.motion(moved) is not None


def _move(atoms):
    atoms.positions[2] += [0.51, 0, 0]


def _shrink(atoms):
    atoms.set_cell(0.8 * atoms.cell.array, scale_atoms=True)


def _transmute(atoms):
    atoms.numbers[0] = 7


def _drop(atoms):
    del atoms[-1]


def _open(atoms):
    atoms.pbc[0] = False


def _break(atoms):
    atoms.positions[1, 1] = np.nan


@pytest.mark.parametrize("change", [_move, _shrink, _transmute, _drop, _open, _break])
def test_motion_refuses(slab, change):
    verlet = VerletList.build(slab, cutoff=CUTOFF, skin=0.5)
    assert verlet.motion(slab) is not None
    change(slab)
    assert verlet.motion(slab) is None


def test_a_volume_that_is_rounding_is_none():
    rng = np.random.default_rng(0)
    cells = rng.normal(size=(5, 3, 3))
    for cell in cells:
        assert volume(cell) == pytest.approx(abs(np.linalg.det(cell)), rel=1e-12)
    flat = np.array([[0.1, 0.7, 0.3], [0.3, 2.1, 0.9], [0.0, 0.3, 1.0]])  # two vectors are parallel
    assert np.linalg.det(flat) != 0 and volume(flat) == 0
    assert volume(np.zeros((3, 3))) == 0
    narrow = np.array([[10.0, 0, 0], [10 * np.cos(0.09), 10 * np.sin(0.09), 0], [0, 0, 1e-3]])
    assert volume(narrow) == pytest.approx(0.1 * np.sin(0.09), rel=1e-9)
