from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from latte_ase.neighbours import VerletList, complete_cell, neighbour_list, reverse_index

CUTOFF = 3.0
ALL_PBC = list(product([False, True], repeat=3))
HAIR = 1e-8  # pairs this close to the cutoff may fall on either side


def brute_force(positions, cell, pbc, reach):
    """{(i, j, S): D} of all pairs with |D| < reach: every image in a box that must hold them."""
    cell, pbc = np.asarray(cell, float), np.asarray(pbc, bool)
    inverse = np.linalg.pinv(cell[pbc])
    margin = reach * np.linalg.norm(inverse, axis=0)
    found = {}
    for i, j in product(range(len(positions)), repeat=2):
        middle = (positions[i] - positions[j]) @ inverse
        shifts = [np.arange(np.floor(m - w), np.ceil(m + w) + 1) for m, w in zip(middle, margin, strict=True)]
        shift = np.zeros((int(np.prod([len(s) for s in shifts])), 3), int)
        shift[:, pbc] = np.array(list(product(*shifts)))
        edge = positions[j] + shift @ cell - positions[i]
        for k in np.flatnonzero(np.linalg.norm(edge, axis=1) < reach):
            if i != j or shift[k].any():
                found[i, j, *shift[k].tolist()] = edge[k]
    return found


def keys(i, j, shift):
    return list(zip(i.tolist(), j.tolist(), *shift.T.tolist(), strict=True))


@st.composite
def systems(draw):
    """Positions, cell, pbc: 0-12 atoms, cells of 0.3-5 cutoffs, sheared, turned, left-handed, far away."""
    pbc = np.array(draw(st.sampled_from(ALL_PBC)))
    lengths = CUTOFF * np.array(draw(st.tuples(*[st.floats(0.3, 5.0)] * 3)))
    shear = np.array(draw(st.tuples(*[st.floats(-1.2, 1.2)] * 3)))
    left_handed, zero_rows = draw(st.booleans()), draw(st.booleans())
    far = draw(st.sampled_from([0.0, 30.0, 1e4]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    cell = np.diag(lengths)
    cell[np.tril_indices(3, -1)] = shear * lengths[[1, 2, 2]]
    cell = (cell @ np.linalg.qr(rng.normal(size=(3, 3)))[0])[rng.permutation(3)]
    if (np.linalg.det(cell) < 0) != left_handed:
        cell = -cell
    atoms = draw(st.integers(0, 12))
    positions = rng.uniform(-0.5, 1.5, (atoms, 3)) @ cell
    positions += rng.uniform(-far, far, 3) + far * rng.integers(0, 2, (atoms, 1)) * rng.uniform(-1, 1, (atoms, 3))
    if zero_rows:
        cell[~pbc] = 0
    return positions, cell, pbc


@settings(max_examples=150, derandomize=True, deadline=None)
@given(systems())
def test_list_equals_brute_force(system):
    positions, cell, pbc = system
    pairs = neighbour_list(positions, cell, pbc, CUTOFF)
    found = keys(pairs.i, pairs.j, pairs.shift)
    edges = brute_force(positions, cell, pbc, CUTOFF + HAIR)
    sure = {key for key, edge in edges.items() if np.linalg.norm(edge) < CUTOFF - HAIR}
    assert len(found) == len(set(found))
    assert sure <= set(found) <= set(edges)

    expected = np.array([edges[key] for key in found]).reshape(-1, 3)
    np.testing.assert_allclose(pairs.edge, expected, atol=1e-10)
    assert (np.linalg.norm(pairs.edge, axis=1) < CUTOFF).all()
    assert not pairs.shift[:, ~pbc].any()
    assert (np.diff(pairs.i) >= 0).all()

    back = pairs.reverse
    np.testing.assert_array_equal(back[back], np.arange(len(back)))
    assert keys(pairs.i[back], pairs.j[back], pairs.shift[back]) == keys(pairs.j, pairs.i, -pairs.shift)


def test_one_atom_sees_its_own_images():
    pairs = neighbour_list([[0.2, 0.3, 0.4]], np.eye(3), True, 1.01)
    assert sorted(map(tuple, pairs.shift.tolist())) == sorted(map(tuple, np.vstack([np.eye(3), -np.eye(3)]).tolist()))


def test_reverse_index_of_nothing():
    empty = np.zeros(0, int)
    assert reverse_index(empty, empty, np.zeros((0, 3), int)).shape == (0,)


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
        ([[0, 0, 0]], [[1, 0, 0], [0, 1, 0], [1, 1, 0]], "linearly dependent"),
        ([[0, 0, 0]], np.diag([1, np.inf, 1]), "cell .* not finite"),
    ],
)
def test_refusals(positions, cell, message):
    with pytest.raises(ValueError, match=message):
        neighbour_list(positions, cell, True, CUTOFF)


@pytest.mark.parametrize("pbc", ALL_PBC)
def test_reused_list_equals_a_fresh_one_along_a_trajectory(pbc):
    """D0 @ F + u_j - u_i gives every pair within the cutoff, for moving atoms and cells."""
    rng = np.random.default_rng(sum(2**k * p for k, p in enumerate(pbc)))
    reused = built = 0
    for scale in (1.8, 4.0, 7.0):
        cell = scale * (np.eye(3) + rng.uniform(-0.3, 0.3, (3, 3)))
        atoms = Atoms("H6", positions=rng.uniform(-1, 2, (6, 3)) @ cell, cell=cell, pbc=pbc)
        verlet = VerletList.build(atoms, cutoff=CUTOFF, skin=1.0)
        for _ in range(25):
            strain = np.eye(3) + rng.normal(scale=0.02, size=(3, 3))
            atoms.set_cell(atoms.cell @ strain, scale_atoms=bool(rng.integers(2)))
            atoms.positions += rng.normal(scale=0.06, size=(6, 3)) + rng.normal(size=3)
            motion = verlet.motion(atoms)
            if motion is None:
                verlet, built = VerletList.build(atoms, cutoff=CUTOFF, skin=1.0), built + 1
                continue
            reused += 1
            u, deformation = motion
            old = verlet.pairs
            edge = old.edge @ deformation + u[old.j] - u[old.i]
            near = np.linalg.norm(edge, axis=1) < CUTOFF
            fresh = neighbour_list(atoms.positions, atoms.cell.array, pbc, CUTOFF)
            ours = dict(zip(keys(old.i[near], old.j[near], old.shift[near]), edge[near], strict=True))
            assert set(ours) == set(keys(fresh.i, fresh.j, fresh.shift))
            np.testing.assert_allclose(
                np.array([ours[key] for key in keys(fresh.i, fresh.j, fresh.shift)]).reshape(-1, 3),
                fresh.edge, atol=1e-10,
            )  # fmt: skip
    assert reused > 15
    assert built > 5


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


@pytest.mark.parametrize("pbc", ALL_PBC)
def test_small_strain_keeps_the_list(slab, pbc):
    """Also where the completed rows come from a null space, whose basis must not jump."""
    slab.pbc = pbc
    slab.positions += 50
    verlet = VerletList.build(slab, cutoff=CUTOFF, skin=0.5)
    strain = np.eye(3) + 1e-3 * np.random.default_rng(0).normal(size=(3, 3))
    slab.set_cell(slab.cell @ strain, scale_atoms=True)
    assert verlet.motion(slab) is not None


def _move(atoms):
    atoms.positions[2] += [0.31, 0, 0]


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
