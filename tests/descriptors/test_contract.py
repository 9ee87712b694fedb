"""What every descriptor must give; a new one needs a line in TABLE."""

from __future__ import annotations

from functools import partial, reduce

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latte_ase.descriptors import DESCRIPTORS, Latte, Reduced
from latte_ase.graph import FAR

TERMS = "2,-:2,a,a:1,ab,ab:1,-:2,a,b,ab"
CUTOFF = 3.0
SPECIES = np.array([0, 1, 0, 1, 1])


def latte(mode):
    """Descriptor, and sigma f of its definition: (params, s_i, s_j, r) -> (columns,)."""

    def column_values(params, s_i, s_j, r):
        if mode == "specific":
            sigma, c, w = params["weights"][s_i, s_j], params["centres"][s_i], params["widths"][s_i]
        else:
            c, w = params["centres"], params["widths"]
            if mode == "common":
                sigma = params["weights"][s_j]
            else:
                e = params["elements"]
                sigma = (e[s_i] @ params["centre_weights"]) * (e[s_j] @ params["neighbour_weights"])
        return sigma * np.maximum(0, 1 - ((r - c) / w) ** 2) ** 3 / c**2

    return Latte(contractions=TERMS, cutoff=CUTOFF, species_mode=mode, max_width=1.5, embedding=3), column_values


def reduced():
    """Descriptor, and SUM_n W[n, u] R_n of its definition."""

    def column_values(params, s_i, s_j, r):
        x, n = r / CUTOFF, np.arange(1, 4)
        fade = 1 - 28 * x**6 + 48 * x**7 - 21 * x**8
        return (np.sqrt(2 / CUTOFF) * np.sin(n * np.pi * x) / r * fade) @ params["mixing"][s_i, s_j]

    return Reduced(contractions=TERMS, cutoff=CUTOFF, n_radial=3), column_values


TABLE = {
    "latte specific": latte("specific"),
    "latte common": latte("common"),
    "latte embedded": latte("embedded"),
    "reduced": reduced(),
}


def test_every_descriptor_is_in_the_table():
    assert {type(descriptor) for descriptor, _ in TABLE.values()} == set(DESCRIPTORS.values())


def compile_features(descriptor, cheap):
    """Function (params, positions, species) -> (atoms, features) of a cluster of atoms of two species."""

    @partial(jax.jit, compiler_options=cheap)
    def features(params, positions, species):
        def of_atom(row, edges, itself):
            groups = [jnp.where(((species == q) & ~itself)[:, None], edges, jnp.array([FAR, 0, 0])) for q in range(2)]
            return descriptor.features(row, [g[None] for g in groups], [jnp.array([q]) for q in range(2)])[0]

        rows = jax.tree.map(lambda table: table[species], descriptor.tables(params))
        edges = positions[None] - positions[:, None]
        return jax.vmap(of_atom)(rows, edges, jnp.eye(len(species), dtype=bool))

    return features


@pytest.fixture(scope="module", params=TABLE.values(), ids=TABLE)
def member(request, cheap, float64):
    """Descriptor, its definition, parameters with some bumps that end at the cutoff, compiled features."""
    descriptor, column_values = request.param
    params = jax.tree.map(lambda a: 2 * a, descriptor.init(jax.random.key(1), 2))
    return descriptor, column_values, descriptor.project(params), compile_features(descriptor, cheap)


@pytest.fixture(scope="module")
def positions():
    return np.random.default_rng(5).uniform(-1.3, 1.3, (len(SPECIES), 3))


def by_definition(descriptor, column_values, params, positions, species):
    """The invariants of every atom from full tensors, one neighbour, column and term at a time."""
    blocks = [block.replace("-", "").split(",") for block in descriptor.contractions.split(":")]
    ranks = sorted(len(factor) for count, *factors in blocks for factor in factors * int(count))
    params = jax.tree.map(np.asarray, params)
    rows = []
    for i in range(len(positions)):
        moments = [np.zeros((3,) * rank) for rank in ranks]
        for j in range(len(positions)):
            r = np.linalg.norm(positions[j] - positions[i])
            if i == j or r >= descriptor.cutoff:
                continue
            values = column_values(params, species[i], species[j], r)
            for u, rank in enumerate(ranks):
                moments[u] += values[u] * reduce(np.multiply.outer, [(positions[j] - positions[i]) / r] * rank, 1.0)
        unused = {rank: ranks.index(rank) for rank in ranks}
        row = []
        for count, *factors in blocks:
            first = []
            for factor in factors:
                first.append(unused[len(factor)])
                unused[len(factor)] += int(count)
            for t in range(int(count)):
                row.append(np.einsum(",".join(factors) + "->", *[moments[u + t] for u in first]))
        rows.append(row)
    return np.array(rows)


def test_features_are_those_of_the_definition(member, positions):
    descriptor, column_values, params, features = member
    found = features(params, positions, SPECIES)
    expected = by_definition(descriptor, column_values, params, positions, SPECIES)
    assert found.shape == (len(SPECIES), descriptor.n_features)
    assert (np.abs(expected).max(axis=0) > 1e-4).all()
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)


TURN = np.linalg.qr(np.random.default_rng(6).normal(size=(3, 3)))[0]
MOTIONS = {
    "rotation": TURN * np.linalg.det(TURN),
    "improper rotation": -TURN * np.linalg.det(TURN),
    "inversion": -np.eye(3),
}


@pytest.mark.parametrize("motion", MOTIONS.values(), ids=MOTIONS)
def test_invariant_under_rigid_motions(member, positions, motion):
    _, _, params, features = member
    moved = features(params, positions @ motion + [10.0, -4.0, 3.0], SPECIES)
    np.testing.assert_allclose(moved, features(params, positions, SPECIES), rtol=1e-10, atol=1e-11)


def test_equivariant_under_permutations(member, positions):
    _, _, params, features = member
    order = np.array([3, 0, 4, 2, 1])
    expected = np.asarray(features(params, positions, SPECIES))[order]
    np.testing.assert_allclose(features(params, positions[order], SPECIES[order]), expected, rtol=1e-11, atol=1e-12)


def test_species_matter(member, positions):
    _, _, params, features = member
    swapped = features(params, positions, 1 - SPECIES)
    assert (np.abs(swapped - features(params, positions, SPECIES)).max(axis=1) > 1e-3).all()


def test_isolated_atoms_have_zero_features(member):
    _, _, params, features = member
    apart = np.arange(len(SPECIES))[:, None] * np.array([1.001 * CUTOFF, 0, 0])
    np.testing.assert_array_equal(features(params, apart, SPECIES), 0)


def test_a_neighbour_leaves_the_cutoff_smoothly(member, positions):
    """Its effect falls as h^3 at a distance h inside: value, first and second derivative go to 0."""
    _, _, params, features = member
    axis = np.array([0.0, 0.6, 0.8])

    def effect(r):
        moved = positions.copy()
        moved[-1] = positions[0] + r * axis
        gone = positions.copy()
        gone[-1] = 100.0
        return np.abs(features(params, moved, SPECIES) - features(params, gone, SPECIES))[0]

    inside = effect(0.5 * CUTOFF).max()
    far, near = effect(CUTOFF - 1e-2).max(), effect(CUTOFF - 1e-3).max()
    assert inside > 1e3 * far > 0
    assert np.log10(far / near) > 2.9
    np.testing.assert_array_equal(effect(1.001 * CUTOFF), 0)


@settings(max_examples=20, derandomize=True, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.sampled_from([1e-6, 1.0, 1e6]))
@pytest.mark.parametrize("descriptor", [d for d, _ in TABLE.values()], ids=TABLE)
def test_projection_is_idempotent_and_keeps_the_shape(descriptor, seed, scale):
    rng = np.random.default_rng(seed)
    params = descriptor.init(jax.random.key(0), 2)
    wild = jax.tree.map(lambda a: (scale * rng.normal(size=a.shape)).astype(a.dtype), params)
    once = descriptor.project(wild)
    assert jax.tree.map(jnp.shape, once) == jax.tree.map(jnp.shape, params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(once))
    jax.tree.map(np.testing.assert_array_equal, descriptor.project(once), once)


@pytest.mark.parametrize("descriptor", [d for d, _ in TABLE.values()], ids=TABLE)
def test_random_parameters_are_in_the_domain_and_depend_on_the_key(descriptor):
    params = descriptor.init(jax.random.key(3), 2)
    jax.tree.map(np.testing.assert_array_equal, descriptor.project(params), params)
    other = descriptor.init(jax.random.key(4), 2)
    assert all((a != b).any() for a, b in zip(jax.tree.leaves(params), jax.tree.leaves(other), strict=True))


@pytest.mark.parametrize("make", [lambda: latte("common")[0], lambda: reduced()[0]], ids=["latte", "reduced"])
def test_equal_descriptors_are_one_key(make):
    """Compiled functions are looked up by their architecture."""
    assert make() == make()
    assert hash(make()) == hash(make())


@pytest.mark.parametrize("kind", DESCRIPTORS.values(), ids=DESCRIPTORS)
def test_bad_contractions_are_refused_at_once(kind):
    with pytest.raises(ValueError, match="not a scalar"):
        kind(contractions="2,a,b", cutoff=3.0)


@pytest.mark.parametrize("wrong", [{"cutoff": 0.0}, {"cutoff": -2.0}, {"cutoff": 3.0, "n_radial": 0}])
def test_refusals_of_reduced(wrong):
    with pytest.raises(ValueError, match="positive length and at least one radial function"):
        Reduced(contractions=TERMS, **wrong)
