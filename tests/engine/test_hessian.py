"""Compressed columns of a sparse matrix against the dense one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latte_ase.engine import hessian


def ring(n):
    """The neighbour list of a ring of n atoms."""
    atom = np.arange(n)
    return np.concatenate([atom, atom]), np.concatenate([(atom + 1) % n, (atom - 1) % n])


@given(st.integers(1, 40), st.integers(0, 2**32 - 1), st.floats(0, 0.2), st.integers(1, 3))
@settings(deadline=None, max_examples=60)
def test_every_block_is_recovered_from_the_products(n, seed, density, rounds):
    rng = np.random.default_rng(seed)
    near = rng.random((n, n)) < density
    near |= near.T | np.eye(n, dtype=bool)
    i, j = np.nonzero(near)
    dense_pattern = np.linalg.matrix_power(near.astype(int), 2 * rounds) > 0
    matrix = rng.normal(size=(n, 3, n, 3)) * dense_pattern[:, None, :, None]
    matrix = (matrix + matrix.transpose(2, 3, 0, 1)) / 2

    pattern = hessian.pattern(n, i, j, rounds=rounds)
    np.testing.assert_array_equal(pattern.toarray(), dense_pattern)
    colours = hessian.colour(pattern)
    products = np.einsum("iajb,jbp->iap", matrix, hessian.probes(colours))
    np.testing.assert_allclose(
        hessian.expand(pattern, colours, products).toarray(), matrix.reshape(3 * n, 3 * n), atol=1e-14
    )


@pytest.mark.parametrize("n", [50, 500])
def test_the_number_of_colours_does_not_grow_with_the_system(n):
    colours = hessian.colour(hessian.pattern(n, *ring(n)))
    assert colours.max() + 1 <= 10
