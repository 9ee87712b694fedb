from __future__ import annotations

from functools import partial, reduce

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latte_ase.geometry.graph import FAR
from latte_ase.model.moments import components, group_moments, moments, pair_sum
from latte_ase.model.radial import BUMP, bessel

pytestmark = pytest.mark.usefixtures("float64")

CENTRES = np.array([1.2, 1.5, 1.0, 1.3])
WIDTHS = np.array([1.1, 1.0, 0.9, 1.3])
BESSEL = bessel(2, 3.0)


def axes_of(exponents):
    """(1, 0, 2) -> (0, 2, 2), an entry of the full tensor that the packed component stands for."""
    return tuple(axis for axis, times in enumerate(exponents) for _ in range(times))


def packed_sum(edges, radial, rank):
    """SUM_j rhat^(x)rank g(r) with full tensors, packed at the very end; plain JAX without an adjoint."""
    r = jnp.sqrt(jnp.sum(edges**2, axis=-1))
    unit = edges / r[..., None]
    axes = "xyz"[:rank]
    terms = ",".join(["buk", *(f"bk{axis}" for axis in axes)])
    full = jnp.einsum(f"{terms}->b{axes}u", radial(r[..., None, :]), *[unit] * rank)
    entries = [int(np.ravel_multi_index(axes_of(e), (3,) * rank)) if rank else 0 for e in components(rank)]
    return full.reshape(len(edges), 3**rank, -1)[:, np.array(entries)]


def plain_moments(columns, edges, weights, params):
    """The definition of `moments` with BUMP, for JAX to differentiate by itself."""
    ranks = np.repeat(range(len(columns)), columns)
    return tuple(
        sum(
            packed_sum(group, lambda r, mine=ranks == rank: BUMP.value(r, *(p[mine, None] for p in params)), rank)
            * weights[:, q, None][..., ranks == rank]
            for q, group in enumerate(edges)
        )
        for rank in sorted(set(ranks))
    )  # fmt: skip


def plain_group_moments(ranks, edges):
    """The definition of `group_moments` with BESSEL."""
    return tuple(jnp.stack([packed_sum(group, BESSEL.value, rank) for group in edges], axis=1) for rank in ranks)


def inputs(columns, sizes):
    """Edges of groups of neighbours of two atoms, weights, parameters of the bumps."""
    rng = np.random.default_rng(0)
    edges = tuple(rng.normal(size=(2, k, 3)) for k in sizes)
    u = sum(columns)
    return edges, rng.normal(size=(2, len(sizes), u)), (1 / WIDTHS[:u], CENTRES[:u] / WIDTHS[:u])


# function with hand-written adjoint, the same in plain JAX, arguments to differentiate by
CASES = {
    "ranks 0 1": (partial(moments, BUMP, (1, 2)), partial(plain_moments, (1, 2)), inputs((1, 2), (3, 2))),
    "ranks 2 3": (partial(moments, BUMP, (0, 0, 1, 2)), partial(plain_moments, (0, 0, 1, 2)), inputs((1, 2), (3,))),
    "by group": (partial(group_moments, BESSEL, (0, 2)), partial(plain_group_moments, (0, 2)), inputs((), (3, 2))[:1]),
}


def scalar(function, *args):
    """A number that depends on all results of a function, none of them linearly."""
    results = jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(function(*args))])
    return jnp.sum(jnp.sin(results + jnp.arange(len(results))))


def make_jet(function, args, cheap):
    """Compiled: value, gradient, and gradient of a function of the gradient, with respect to everything."""
    first = jax.grad(partial(scalar, function), argnums=tuple(range(len(args))))
    second = jax.grad(partial(scalar, first), argnums=tuple(range(len(args))))
    return jax.jit(lambda *args: (function(*args), first(*args), second(*args)), compiler_options=cheap)


@pytest.fixture(scope="module", params=CASES.values(), ids=CASES)
def case(request, cheap, float64):
    """Jet of the function, jet of its plain version, arguments."""
    ours, plain, args = request.param
    return make_jet(ours, args, cheap), make_jet(plain, args, cheap), args


def test_adjoint_equals_autodiff_once_and_twice(case):
    ours, plain, args = case
    for found, expected in zip(ours(*args), plain(*args), strict=True):
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            assert np.abs(b).max() > 1e-3
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10 * np.abs(b).max())


def test_padded_neighbours_do_not_count(case):
    jet, _, (edges, *rest) = case
    padded = tuple(np.concatenate([g[:, :-1], np.broadcast_to([FAR, 0, 0], (2, 1, 3))], axis=1) for g in edges)
    value, first, second = jet(padded, *rest)
    for slope, curvature in zip(first[0], second[0], strict=True):
        np.testing.assert_array_equal(slope[:, -1], 0)
        np.testing.assert_array_equal(curvature[:, -1], 0)
        assert np.abs(slope[:, 0]).max() > 1e-3
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((value, first, second)))


def test_coincident_atoms_have_finite_derivatives(case):
    jet, _, (edges, *rest) = case
    together = (np.concatenate([np.zeros((2, 1, 3)), edges[0][:, 1:]], axis=1), *edges[1:])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(jet(together, *rest)))


def test_forward_equals_explicit_loops():
    """Also with padding, which the loops leave out."""
    columns = (1, 0, 2, 1)
    edges, weights, params = inputs(columns, (3, 2))
    edges[0][1, 2] = edges[1][0, 0] = FAR, 0, 0
    found = jax.jit(moments, static_argnums=(0, 1))(BUMP, columns, edges, weights, params)
    for m, rank, part in zip(found, (0, 2, 3), ([0], [1, 2], [3]), strict=True):
        expected = np.zeros((2, *(3,) * rank, len(part)))
        for (q, group), i, u in [(g, i, u) for g in enumerate(edges) for i in range(2) for u in range(len(part))]:
            for edge in group[i]:
                r = np.linalg.norm(edge)
                if r < FAR:
                    bump = max(0, 1 - ((r - CENTRES[part[u]]) / WIDTHS[part[u]]) ** 2) ** 3
                    tensor = reduce(np.multiply.outer, [edge / r] * rank, np.array(1.0))
                    expected[i, ..., u] += weights[i, q, part[u]] * bump * tensor
        packed = np.stack([expected[:, *axes_of(e)] for e in components(rank)], axis=1)
        np.testing.assert_allclose(m, packed, atol=1e-13)


def test_components_are_the_monomials_of_a_rank():
    assert [len(components(rank)) for rank in range(4)] == [1, 3, 6, 10]
    assert components(2) == ((2, 0, 0), (1, 1, 0), (1, 0, 1), (0, 2, 0), (0, 1, 1), (0, 0, 2))
    assert all(sum(exponents) == rank for rank in range(4) for exponents in components(rank))


def test_pair_sum_adds_over_groups():
    (near, far), *_ = inputs((), (3, 2))
    factors = np.array([1, 1, 1, 10, 10])
    expected = (factors / np.linalg.norm(np.concatenate([near, far], axis=1), axis=-1)).sum(axis=-1)
    np.testing.assert_allclose(pair_sum(lambda r: factors / r, (near, far)), expected, rtol=1e-13)
