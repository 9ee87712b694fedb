from __future__ import annotations

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms

from latte_ase.geometry.graph import Grouping, Shape
from latte_ase.model import derivatives
from latte_ase.model.program import Motion, Program, weights_of

pytestmark = pytest.mark.usefixtures("float64")

UNDEFORMED = np.stack([np.eye(3)] * 2)  # always two, also for one structure: one compilation


class Model:
    """A potential whose functions take ase.Atoms and answer in the order of the atoms.

    `room` is the bucket that every structure here fits in, so that each function compiles once.
    """

    def __init__(self, potential, make_graph, options):
        self.potential, self.make_graph = potential, make_graph
        self.weights = Program(potential.architecture), weights_of(potential, np.float64)
        mixed = self.potential.architecture.shared
        self.room = Shape(2, 8, (56,), Grouping.MIXED) if mixed else Shape(2, 8, (32, 24))
        self._energies = jax.jit(derivatives.energies, static_argnums=0, compiler_options=options)
        self._derivatives = jax.jit(derivatives.derivatives, static_argnums=0, compiler_options=options)

    def results(
        self, structures, steps=0, deformation=UNDEFORMED, *, one_by_one=True, shape=None, skin=0.0, padding=False
    ):
        """Derivatives of atoms, or of several structures one after the other, moved by `steps` since the list."""
        shape = shape or self.room
        graph, layout = self.make_graph(self.potential, structures, shape=shape, skin=skin)
        u = np.zeros((graph.is_atom.size, 3))
        u[layout.place] = steps
        program, weights = replace(self.weights[0], one_by_one=one_by_one), self.weights[1]
        result = self._derivatives(program, weights, graph, Motion(u.reshape(*graph.is_atom.shape, 3), deformation))
        wanted = np.delete(np.arange(graph.is_atom.size), layout.place) if padding else layout.place
        return derivatives.Derivatives(*(np.asarray(a).reshape(-1, *a.shape[2:])[wanted] for a in result))

    def energy(self, atoms):
        graph, _ = self.make_graph(self.potential, atoms, shape=self.room)
        return float(self._energies(*self.weights, graph).sum())


def agree(found, expected, tolerance=1e-12):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=tolerance * max(1, np.abs(b).max()))


@pytest.fixture(scope="module", params=["latte", "reduced", "vectors", "messages", "cace", "hiphop"])
def model(request, tiny_potential, make_graph, cheap, float64):
    return Model(tiny_potential(request.param), make_graph, cheap)


@pytest.fixture(scope="module")
def latte(tiny_potential, make_graph, cheap, float64):
    return Model(tiny_potential("latte"), make_graph, cheap)


def strained(atoms, strain):
    other = atoms.copy()
    other.set_cell(atoms.cell @ (np.eye(3) + strain), scale_atoms=True)
    return other


def test_forces_are_the_slopes_of_the_energy(model, water_like):
    forces = model.results(water_like).forces
    step = 1e-4
    slopes = np.empty_like(forces)
    for place in np.ndindex(*forces.shape):
        energies = []
        for sign in (1, -1):
            moved = water_like.copy()
            moved.positions[place] += sign * step
            energies.append(model.energy(moved))
        slopes[place] = (energies[0] - energies[1]) / (2 * step)
    assert np.abs(forces).max() > 0.1
    np.testing.assert_allclose(forces, -slopes, atol=1e-6 * np.abs(forces).max())
    np.testing.assert_allclose(forces.sum(axis=0), 0, atol=1e-12 * np.abs(forces).max())


def test_virial_is_the_slope_along_a_strain(model, water_like):
    virial = model.results(water_like).virials.sum(axis=0)
    step = 1e-4
    slopes = np.empty((3, 3))
    for place in np.ndindex(3, 3):
        strain = np.zeros((3, 3))
        strain[place] = step
        slopes[place] = (model.energy(strained(water_like, strain)) - model.energy(strained(water_like, -strain))) / (
            2 * step
        )
    assert np.abs(virial).max() > 0.1
    np.testing.assert_allclose(virial, slopes, atol=1e-6 * np.abs(virial).max())
    np.testing.assert_allclose(virial, virial.T, atol=1e-12 * np.abs(virial).max())


def test_energies_alone_are_those_of_the_derivatives(model, water_like):
    assert model.energy(water_like) == pytest.approx(model.results(water_like).energies.sum(), rel=1e-13)


def test_displacements_and_deformation_give_the_moved_structure(model, water_like):
    """D0 @ F + u_j - u_i with an old list equals a fresh list at the new positions and cell."""
    rng = np.random.default_rng(0)
    deformation = np.eye(3) + 0.02 * rng.normal(size=(3, 3))
    steps = 0.03 * rng.normal(size=(5, 3))
    moved = strained(water_like, deformation - np.eye(3))
    moved.positions += steps

    both = np.stack([deformation, np.eye(3)])
    agree(model.results(water_like, steps, both, skin=0.5), model.results(moved))


def test_padded_places_are_exactly_zero(model, water_like):
    for array in model.results(water_like, padding=True):
        np.testing.assert_array_equal(array, 0)


def test_the_bucket_does_not_matter(latte, water_like):
    agree(latte.results(water_like, shape=Shape(4, 4, (40, 29, 3))), latte.results(water_like))


def test_neighbours_in_one_group_give_the_same(latte, water_like):
    """The weights are then looked up pair by pair."""
    agree(latte.results(water_like, shape=Shape(2, 8, (48,), Grouping.BLOCKS)), latte.results(water_like))


def test_blocks_at_once_give_the_same_as_one_by_one(latte, water_like):
    agree(latte.results(water_like, one_by_one=False), latte.results(water_like))


def test_joined_structures_are_each_as_alone(latte, water_like):
    other = Atoms("HOH", positions=[[0, 0, 0], [0.9, 0.3, 0], [1.7, -0.4, 0.2]])
    together = latte.results([water_like, other])
    alone = [latte.results(atoms) for atoms in (water_like, other)]
    agree(together, (np.concatenate(parts) for parts in zip(*alone, strict=True)))


def test_second_derivatives(tiny_potential, make_graph, cheap, water_like):
    """Derivatives of the forces: against central differences, and finite for atoms on one point."""
    potential, rng = tiny_potential("reduced"), np.random.default_rng(2)
    graph, layout = make_graph(potential, water_like, shape=Shape(2, 8, (32, 24)))
    direction = np.zeros((graph.is_atom.size, 3))
    direction[layout.place] = rng.normal(size=(5, 3))
    direction = direction.reshape(*graph.is_atom.shape, 3)
    weights = Program(potential.architecture), weights_of(potential, np.float64)
    pick = rng.normal(size=direction.shape)

    @partial(jax.jit, static_argnums=0, compiler_options=cheap)
    def value_and_slope(program, weights, graph, u):
        def number(u):
            return jnp.sum(pick * derivatives.derivatives(program, weights, graph, Motion(u)).forces)

        return jax.value_and_grad(number)(u)

    def along(t):
        return value_and_slope(*weights, graph, t * direction)

    step = 1e-5
    slope = (along(step)[0] - along(-step)[0]) / (2 * step)
    assert np.sum(along(0.0)[1] * direction) == pytest.approx(float(slope), rel=1e-6)

    on_one_point = water_like.copy()
    on_one_point.positions[1] = on_one_point.positions[0]
    graph, _ = make_graph(potential, on_one_point, shape=Shape(2, 8, (32, 24)))
    results = value_and_slope(*weights, graph, 0 * direction)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(results))
