"""Trace-free part of symmetric tensors."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from math import factorial, prod

import jax.numpy as jnp
import numpy as np
from jax import lax

from latte_ase.model.moments import components


def multiplicity(exponents: tuple[int, ...]) -> int:
    """Multiplicity of a packed component in the full tensor: 3 for (2, 1, 0), which is xxy, xyx and yxx."""
    return factorial(sum(exponents)) // prod(map(factorial, exponents))


def trace_free(tensors: Sequence) -> tuple:
    """Symmetric trace-free part of each of several tensors.

        STF(T) = SUM_k (-1)^k  p! (2p - 2k - 1)!! / ((p - 2k)! (2k)!! (2p - 1)!!)  Sym(delta^k tr^k T)

    (K. S. Thorne, Rev. Mod. Phys. 52, 299 (1980), eq. 2.2): T_ab - delta_ab T_cc / 3 for rank 2.  The traces are
    taken of each tensor itself, so tensors of different ranks may have different radial weights.

    Args:
        tensors: packed tensors of rank 0, 1, 2, ..., each (..., components(rank), channels).

    Returns:
        Tuple of packed tensors of the same shapes.
    """
    parts = [_apply(trace_free_matrix(rank), tensor) if rank > 1 else tensor for rank, tensor in enumerate(tensors)]
    # Without the barrier XLA subtracts the traces again in every product that uses them: on CPUs half of the time of
    # the 13 invariants with their gradient, and most of that of a second one.
    return lax.optimization_barrier(tuple(parts))


def _apply(matrix: np.ndarray, tensor):
    # row by row and without the zeros: a matrix product with so small a matrix is slower
    parts = jnp.split(tensor, len(matrix), axis=-2)
    rows = [sum(float(row[c]) * parts[c] for c in np.flatnonzero(row)) for row in matrix]
    return jnp.concatenate(rows, axis=-2)


@cache
def trace_free_matrix(rank: int) -> np.ndarray:
    """STF of `trace_free` as a matrix (components(rank), components(rank)) that acts on packed components."""
    # in fractions, so that zeros are zero
    traced = np.diag(np.full(len(components(rank)), Fraction(1)))
    total = 0 * traced
    for k in range(rank // 2 + 1):
        back = traced
        for lower in range(rank - 2 * k, rank, 2):
            back = _times_delta(lower) @ back
        weight = Fraction(
            factorial(rank) * _odd_factorial(2 * rank - 2 * k - 1),
            factorial(rank - 2 * k) * 2**k * factorial(k) * _odd_factorial(2 * rank - 1),
        )
        total = total + (-1) ** k * weight * back
        if rank - 2 * k >= 2:
            traced = _trace(rank - 2 * k) @ traced
    return total.astype(float)


def _odd_factorial(n: int) -> int:
    return prod(range(n, 1, -2))


def _trace(rank: int) -> np.ndarray:
    """Trace T_cc.. as a matrix (components(rank - 2), components(rank))."""
    position = {exponents: c for c, exponents in enumerate(components(rank))}
    matrix = np.full((len(components(rank - 2)), len(position)), Fraction(0))
    for row, (a, b, d) in enumerate(components(rank - 2)):
        for raised in ((a + 2, b, d), (a, b + 2, d), (a, b, d + 2)):
            matrix[row, position[raised]] = Fraction(1)
    return matrix


def _times_delta(rank: int) -> np.ndarray:
    """Sym(delta T), the average over all permutations of indices, as a matrix (components(rank + 2), components(rank)).

    A packed tensor T is the polynomial SUM_e multiplicity(e) T_e n^e, and delta is the polynomial n.n.
    """
    row, column = (np.array([multiplicity(e) for e in components(p)], object) for p in (rank + 2, rank))
    return _trace(rank + 2).T * column / row[:, None]
