from __future__ import annotations

from math import factorial, prod

import jax
import numpy as np
import pytest
from scipy.special import eval_legendre

from latte_ase.model.contractions import contract_table, trace_free
from latte_ase.model.contractions.traces import multiplicity
from latte_ase.model.moments import components

pytestmark = pytest.mark.usefixtures("float64")

RANKS = range(6)


@pytest.fixture(scope="module")
def density():
    rng = np.random.default_rng(3)
    unit = rng.normal(size=(7, 3))
    return unit / np.linalg.norm(unit, axis=-1, keepdims=True), rng.normal(size=7)


def test_multiplicity_counts_the_components_of_the_full_tensor():
    for rank in RANKS:
        assert sum(map(multiplicity, components(rank))) == 3**rank
    assert multiplicity((2, 1, 0)) == 3


def test_ranks_2_and_3_written_out(packed, density):
    unit, weights = density
    _, vector, q, t = trace_free(packed(unit, weights, 3))
    delta = np.eye(3)
    full_q = np.einsum("j,ja,jb->ab", weights, unit, unit) - delta * weights.sum() / 3
    v = weights @ unit
    traces = np.einsum("ab,c->abc", delta, v) + np.einsum("ac,b->abc", delta, v) + np.einsum("bc,a->abc", delta, v)
    full_t = np.einsum("j,ja,jb,jc->abc", weights, unit, unit, unit) - traces / 5
    np.testing.assert_allclose(vector[:, 0], v)
    for tensor, full in ((q, full_q), (t, full_t)):
        for c, exponents in enumerate(components(full.ndim)):
            axes = tuple(axis for axis in range(3) for _ in range(exponents[axis]))
            np.testing.assert_allclose(tensor[c, 0], full[axes], atol=1e-14)


def test_the_trace_is_that_of_the_tensor_itself():
    """Of random tensors, whose traces are no tensors of lower rank, nothing is left, and a second time changes nothing."""
    rng = np.random.default_rng(4)
    tensors = [rng.normal(size=(2, len(components(rank)), 3)) for rank in RANKS]
    parts = trace_free(tensors)
    for rank, part in enumerate(parts):
        for lower in components(rank - 2) if rank >= 2 else ():
            raised = [tuple(e + 2 * (a == axis) for a, e in enumerate(lower)) for axis in range(3)]
            trace = sum(np.asarray(part)[:, components(rank).index(e)] for e in raised)
            np.testing.assert_allclose(trace, 0, atol=1e-14)
    for once, twice in zip(parts, trace_free(parts), strict=True):
        np.testing.assert_allclose(twice, once, atol=1e-14)


def test_squares_are_legendre_polynomials(packed, density):
    """SUM_m |M_lm|^2 = l! / (2l - 1)!! SUM_jk w_j w_k P_l(n_j . n_k), the addition theorem."""
    unit, weights = density
    letters = "abcde"
    for rank, tensor in enumerate(trace_free(packed(unit, weights, RANKS[-1]))):
        square = contract_table(((letters[:rank],) * 2,), [*[None] * rank, tensor])[0, 0]
        expected = weights @ eval_legendre(rank, unit @ unit.T) @ weights
        expected *= factorial(rank) / prod(range(2 * rank - 1, 1, -2))
        np.testing.assert_allclose(square, expected, rtol=1e-12)


def test_under_jit_vmap_and_twice_differentiated():
    rng = np.random.default_rng(5)
    tensors = [rng.normal(size=(4, len(components(rank)), 2)) for rank in range(3)]
    expected = trace_free(tensors)
    for found, part in zip(jax.jit(jax.vmap(trace_free))(tensors), expected, strict=True):
        np.testing.assert_allclose(found, part, atol=1e-14)

    def half_square(tensor):
        return (trace_free([None, None, tensor])[2] ** 2).sum() / 2

    # of a projector in an orthonormal basis this would be the part itself; packed, the diagonal counts once as well
    tensor = tensors[2][0]
    slope = jax.grad(lambda t: (jax.grad(half_square)(t) * t).sum())(tensor)
    np.testing.assert_allclose(slope, 2 * jax.grad(half_square)(tensor), atol=1e-13)
