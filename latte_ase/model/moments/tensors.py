"""Packed symmetric tensors of unit vectors, and polar coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import combinations_with_replacement
from operator import mul
from typing import Any

import jax.numpy as jnp
from jax import lax

MAX_RANK = 3
NEAREST = 1e-6
"""Smallest distance in Angstrom; shorter ones are set to it, so that no derivative divides by zero."""


def components(rank: int) -> tuple[tuple[int, ...], ...]:
    """Exponents (a, b, d) of the packed components x^a y^b z^d of a symmetric tensor, x first.

    Examples:
        >>> components(2)  # xx xy xz yy yz zz
        ((2, 0, 0), (1, 1, 0), (1, 0, 1), (0, 2, 0), (0, 1, 1), (0, 0, 2))
    """
    return tuple(
        tuple(letters.count(axis) for axis in range(3)) for letters in combinations_with_replacement(range(3), rank)
    )


def monomials(unit: Sequence, rank: int) -> list:
    """Packed components of rhat^(x)rank, from the arrays x, y, z of unit vectors."""
    return [_power(unit, exponents) for exponents in components(rank)]


def _power(unit, exponents):
    factors = [unit[axis] for axis in range(3) for _ in range(exponents[axis])]
    return reduce(mul, factors) if factors else jnp.ones_like(unit[0])


def slope_along_unit(unit: Sequence, cotangent: Sequence, rank: int) -> list:
    """Gradient SUM_c G[c] dT_c/drhat of packed components, from the monomials of one rank lower.

    Since d/dx x^a y^b z^d = a x^(a-1) y^b z^d, component c of rank p contributes to the component with
    one x less of rank p - 1, with factor a.

    Args:
        unit: arrays x, y, z of unit vectors.
        cotangent: G, one array for each of `components(rank)`.
        rank: rank p of the tensor.

    Returns:
        Three arrays; for rank 0 three numbers 0.0.
    """
    sums: list[Any] = [0.0, 0.0, 0.0]
    if rank == 0:
        return sums
    lower = dict(zip(components(rank - 1), monomials(unit, rank - 1), strict=True))
    for c, exponents in enumerate(components(rank)):
        for axis in range(3):
            if exponents[axis]:
                less = tuple(e - (a == axis) for a, e in enumerate(exponents))
                sums[axis] += exponents[axis] * cotangent[c] * lower[less]
    return sums


def polar(x, y, z):
    """Distance r of a vector (x, y, z), and the components of its unit vector."""
    r = jnp.sqrt(jnp.maximum(x * x + y * y + z * z, NEAREST**2))
    return r, (x / r, y / r, z / r)


def polar_edges(edges):
    """Distances and unit vectors of pair vectors (..., 3), see `polar`."""
    return polar(*(edges[..., axis] for axis in range(3)))


def dot(subscripts: str, a, b):
    """`jnp.einsum` in full precision: on GPUs the default would round the operands to TF32."""
    return jnp.einsum(subscripts, a, b, precision=lax.Precision.HIGHEST)


def cartesian(r, unit: Sequence, along_r, along_unit: Sequence) -> list:
    """Gradient with respect to the vector D, three arrays, from the gradients with respect to r and rhat."""
    radial = along_r - sum(u * a for u, a in zip(unit, along_unit, strict=True)) / r
    return [u * radial + a / r for u, a in zip(unit, along_unit, strict=True)]
