"""Pulls: a potential, in any cell, padded."""

from __future__ import annotations

from itertools import product

import jax
import numpy as np
import pytest

from latte_ase.simulate.pull import MOST_PULLS, Pull, nearest_image, of_positions, placed, springs, with_pulls
from latte_ase.simulate.state import State

CELL = np.array([[4.0, 0.3, 0.0], [3.1, 3.0, 0.2], [-1.7, 0.8, 5.0]])
"""Its shortest lattice vectors are not its rows."""
PBC = list(product((False, True), repeat=3))


def some_pulls(rng):
    positions = rng.uniform(-9, 9, (6, 3))
    steady = np.array([0.4, -0.2, 0.1])
    pulls = [
        Pull(1, positions[1] + [0.3, 0.1, -0.2], stiffness=3.0, max_force=1.5),
        Pull(4, positions[4] + [5.0, -4.0, 3.0], stiffness=0.7, max_force=0.9),
        Pull(5, positions[5] + [0.1, 0.2, 0.3], steady=steady),
    ]
    return positions, pulls


@pytest.mark.parametrize("pbc", PBC)
def test_forces_are_the_derivative_of_the_energy(pbc):
    positions, pulls = some_pulls(np.random.default_rng(1))
    forces, h = of_positions(pulls, positions, CELL, pbc)[1], 1e-5
    for k, pull in enumerate(pulls):
        for axis in range(3):
            energies = []
            for sign in (1, -1):
                moved = positions.copy()
                moved[pull.atom, axis] += sign * h
                energies.append(of_positions(pulls, moved, CELL, pbc)[0])
            assert forces[k, axis] == pytest.approx(-(energies[0] - energies[1]) / (2 * h), abs=1e-8)


@pytest.mark.parametrize("pbc", PBC)
def test_a_spring_sees_the_nearest_of_all_images(pbc):
    """The oracle tries 15 x 15 x 15 of them, in cells as skew as these, larger and smaller than the distances."""
    rng = np.random.default_rng(2)
    shifts = np.array(list(product(*[range(-7, 8) if periodic else (0,) for periodic in pbc])))
    for _ in range(20):
        cell = CELL + rng.normal(0, 0.5, (3, 3))
        vectors = rng.uniform(-6, 6, (5, 3))
        found = springs((), cell, pbc)
        images = vectors[:, None] + shifts @ cell
        shortest = np.linalg.norm(images, axis=-1).min(axis=-1)
        nearest = nearest_image(vectors, found.lattice, found.inverse)
        np.testing.assert_allclose(np.linalg.norm(nearest, axis=1), shortest, rtol=1e-12)
        steps = (nearest - vectors) @ np.linalg.inv(cell)
        np.testing.assert_allclose(steps, np.round(steps), atol=1e-9)


def test_a_spring_is_harmonic_near_its_target_and_saturates_far_away():
    for distance, force in ((1e-3, 2e-3), (1e4, 5.0)):
        pull = Pull(0, np.zeros(3), stiffness=2.0, max_force=5.0)
        energy, forces = of_positions([pull], np.array([[distance, 0, 0]]), np.zeros((3, 3)), [False] * 3)
        np.testing.assert_allclose(forces, [[-force, 0, 0]], rtol=1e-6, atol=1e-12)
        assert energy == pytest.approx(force * distance / (2 if distance < 1 else 1), rel=1e-3)


@pytest.mark.parametrize("pbc", [(False, False, False), (True, True, True), (True, False, True)])
def test_in_the_loop_they_are_the_same_at_the_positions_and_in_the_cell_of_now(pbc):
    """After displacements and, where everything is periodic, a strain, since the list was built."""
    rng = np.random.default_rng(3)
    positions, pulls = some_pulls(rng)
    moved, strain = rng.normal(0, 0.3, (6, 3)), 0.04 if all(pbc) else 0.0
    before = rng.normal(size=(6, 3))
    with jax.enable_x64(True):
        state = State(0, moved, np.float64(strain), moved, jax.numpy.array(before), moved[:, 0], CELL, {})
        found = np.asarray(jax.jit(with_pulls)(state, placed(pulls, positions, CELL, pbc)).forces) - before
    expected = np.zeros((6, 3))
    for pull, force in zip(
        pulls, of_positions(pulls, positions * (1 + strain) + moved, CELL * (1 + strain), pbc)[1], strict=True
    ):
        expected[pull.atom] = force
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_no_pull_is_no_force():
    state = State(0, np.ones((2, 3)), np.zeros(()), None, jax.numpy.zeros((2, 3)), None, None, {})
    assert not np.asarray(with_pulls(state, placed([], np.ones((2, 3)), CELL, [True] * 3)).forces).any()
    assert of_positions([], np.ones((2, 3)), CELL, [True] * 3)[0] == 0


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"target": [0, np.nan, 0]}, r"target of a pull is \[0.0, nan, 0.0\]; three finite numbers"),
        ({"target": [0, 0, 0], "steady": [1, 2]}, r"steady of a pull is \[1.0, 2.0\]; three finite numbers"),
        ({"target": [0, 0, 0], "stiffness": 0}, "stiffness of a pull is 0; a finite number above 0"),
        ({"target": [0, 0, 0], "max_force": np.inf}, "max_force of a pull is inf; a finite number above 0"),
    ],
)
def test_impossible_pulls_are_refused(settings, text):
    with pytest.raises(ValueError, match=text):
        Pull(0, **settings)


def test_more_pulls_than_there_are_places_are_refused():
    pulls = [Pull(0, np.zeros(3))] * (MOST_PULLS + 1)
    with pytest.raises(ValueError, match="65 atoms were to be pulled at once; at most 64"):
        springs(pulls, CELL, [True] * 3)
