"""Moments of the neighbour density: the only loop over pairs in the package, and its adjoint.

    M[i, c, u] = SUM_q W[i, q, u] SUM_{j in group q of i} T_c(D_ij / r_ij) g_u(r_ij)

g is a radial function, q counts the groups of neighbours of one species, W weighs the groups,
and T_c are the monomials x^a y^b z^d of the unit vector with a + b + d = p, the rank of column u:
the packed form of the symmetric tensor rhat^(x)p, 1, 3, 6 or 10 components instead of 3^p.

The adjoint is written by hand.  With Wbar = Mbar * W, per group,

    H[c, j] = SUM_u Wbar[c, u] g'_u(r_j)       dE/dr_j    = SUM_c T_c H[c, j]
    G[c, j] = SUM_u Wbar[c, u] g_u(r_j)        dE/drhat_j = SUM_c (dT_c / drhat) G[c, j]

so that the sum over columns comes first, as two batched matrix products, and no array over
[pair, column, component] is ever formed.  The backward pass is ordinary JAX and can be
differentiated again, which training on forces needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, reduce
from itertools import combinations_with_replacement
from operator import mul
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from latte_ase.radial import Radial

MAX_RANK = 3
NEAREST = 1e-6
"""Angstrom; distances below count as this, so that no derivative divides by zero."""


def components(rank: int) -> tuple[tuple[int, ...], ...]:
    """Exponents (a, b, d) of the packed components of a symmetric tensor, x first.

    >>> components(2)  # xx xy xz yy yz zz
    ((2, 0, 0), (1, 1, 0), (1, 0, 1), (0, 2, 0), (0, 1, 1), (0, 0, 2))
    """
    return tuple(
        tuple(letters.count(axis) for axis in range(3)) for letters in combinations_with_replacement(range(3), rank)
    )


def monomials(unit: Sequence, rank: int) -> list:
    """The packed components of rhat^(x)rank, from the three arrays x, y, z of unit vectors."""
    return [_power(unit, exponents) for exponents in components(rank)]


def _power(unit, exponents):
    factors = [unit[axis] for axis in range(3) for _ in range(exponents[axis])]
    return reduce(mul, factors) if factors else jnp.ones_like(unit[0])


def _slope_along_unit(unit, cotangent, rank: int) -> list:
    """SUM_c G[c] dT_c/drhat, from the monomials one rank lower.

    d/dx x^a y^b z^d = a x^(a-1) y^b z^d: component c of rank p feeds the component with one x less
    of rank p - 1, with factor a.

    Args:
        unit: x, y, z, each (..., k).
        cotangent: (..., components(rank), k), G.
        rank: at least 1.

    Returns:
        Three arrays (..., k).
    """
    lower = dict(zip(components(rank - 1), monomials(unit, rank - 1), strict=True))
    sums: list[Any] = [0.0, 0.0, 0.0]
    for c, exponents in enumerate(components(rank)):
        for axis in range(3):
            if exponents[axis]:
                less = tuple(e - (a == axis) for a, e in enumerate(exponents))
                sums[axis] += exponents[axis] * cotangent[..., c, :] * lower[less]
    return sums


def _polar(edges):
    """Distances (..., k) and the unit vectors' x, y, z, each (..., k)."""
    x, y, z = (edges[..., axis] for axis in range(3))
    r = jnp.sqrt(jnp.maximum(x * x + y * y + z * z, NEAREST**2))
    return r, (x / r, y / r, z / r)


def _cartesian(r, unit, along_r, along_unit):
    """Gradient with respect to D (..., k, 3) from those with respect to r (..., k) and rhat."""
    radial = along_r - sum(u * a for u, a in zip(unit, along_unit, strict=True)) / r
    return jnp.stack([u * radial + a / r for u, a in zip(unit, along_unit, strict=True)], axis=-1)


def _dot(subscripts, a, b):
    # On GPUs the default would round the operands to TF32.
    return jnp.einsum(subscripts, a, b, precision=lax.Precision.HIGHEST)


def _ranks(columns: Sequence[int]):
    """(rank, slice of columns) for every rank that has any; columns are sorted by rank."""
    start = 0
    for rank, count in enumerate(columns):
        if count:
            yield rank, slice(start, start + count)
        start += count


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def moments(radial: Radial, columns: tuple[int, ...], edges, weights, radial_params):
    """Moments of one block of atoms; see the head of this file.

    Args:
        radial: the radial function.
        columns: number of columns of rank 0, 1, 2, 3; columns are sorted by rank.
        edges: one array (block, k, 3) per group, D in Angstrom.
        weights: (block, groups, columns), W.
        radial_params: tuple of arrays (columns,), further arguments of the radial function.

    Returns:
        One array (block, components(rank), columns of that rank) for each rank with columns.
    """
    sums = [0.0] * len(tuple(_ranks(columns)))
    for q, group in enumerate(edges):
        for p, part in enumerate(_group_moments(radial, columns, group, radial_params)):
            sums[p] += part[1] * weights[:, q, None, part[0]]
    return tuple(sums)


def _group_moments(radial, columns, group, radial_params):
    r, unit = _polar(group)
    return [
        (part, _sums(monomials(unit, rank), radial.value(r[..., None, :], *_cut(radial_params, part))))
        for rank, part in _ranks(columns)
    ]


def _sums(tensor, g):
    """SUM_k T_c g_u, (..., components, columns)."""
    # The neighbours stand last in both factors: measured the fastest of five layouts on a CPU.
    return _dot("bck,buk->bcu", jnp.stack(tensor, axis=-2), g)


def _cut(params, part):
    """The parameters of some columns, (columns, 1).  Cutting them, not the arrays over pairs, saves copies."""
    return tuple(p[part, None] for p in params)


def _forward(radial, columns, edges, weights, radial_params):
    return moments(radial, columns, edges, weights, radial_params), (edges, weights, radial_params)


def _backward(radial, columns, residuals, cotangents):
    edges, weights, radial_params = residuals
    edges_bar, weights_bar, params_bar = [], [], []
    for q, group in enumerate(edges):
        r, unit = _polar(group)
        along_r: Any = 0.0
        along_unit: list[Any] = [0.0, 0.0, 0.0]
        w_bar, p_bar = [], []
        for (rank, part), m_bar in zip(_ranks(columns), cotangents, strict=True):
            params = _cut(radial_params, part)
            tensor = monomials(unit, rank)
            g, pull = jax.vjp(partial(_value_at, radial.value, r), params)
            weighted = m_bar * weights[:, q, None, part]
            radially, angularly = _pair_gradient(radial.slope(r[..., None, :], *params), g, weighted, unit, rank)
            along_r += radially
            along_unit = [a + b for a, b in zip(along_unit, angularly, strict=True)]
            w_bar.append(jnp.sum(m_bar * _sums(tensor, g), axis=-2))
            p_bar.append(pull(_dot("bck,bcu->buk", jnp.stack(tensor, axis=-2), weighted))[0])
        edges_bar.append(_cartesian(r, unit, along_r, along_unit))
        weights_bar.append(jnp.concatenate(w_bar, axis=-1))
        params_bar.append(tuple(jnp.concatenate(parts)[:, 0] for parts in zip(*p_bar, strict=True)))
    return (
        tuple(edges_bar),
        jnp.stack(weights_bar, axis=1),
        tuple(sum(groups) for groups in zip(*params_bar, strict=True)),
    )


def _pair_gradient(slope, g, weighted, unit, rank):
    """dE/dr (..., k) and the three components of dE/drhat; see H and G at the head of this file."""
    products = _dot("bcu,buk->bck", weighted, slope)
    along_r = sum(t * products[..., c, :] for c, t in enumerate(monomials(unit, rank)))
    if rank == 0:
        return along_r, [0.0, 0.0, 0.0]
    return along_r, _slope_along_unit(unit, _dot("bcu,buk->bck", weighted, g), rank)


def _value_at(value, r, params):
    return value(r[..., None, :], *params)


moments.defvjp(_forward, _backward)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def group_moments(radial: Radial, ranks: tuple[int, ...], edges):
    """Moments of each neighbour group by itself, of a few radial functions without parameters.

    m[i, q, c, n] = SUM_{j in group q of i} T_c(D_ij / r_ij) R_n(r_ij)

    Args:
        radial: radial functions (..., 1, k) -> (..., n, k).
        ranks: the ranks wanted, increasing.
        edges: one array (block, k, 3) per group, D in Angstrom.

    Returns:
        One array (block, groups, components(rank), n) for each rank.
    """
    sums = []
    for group in edges:
        r, unit = _polar(group)
        g = radial.value(r[..., None, :])
        sums.append([_sums(monomials(unit, rank), g) for rank in ranks])
    return tuple(jnp.stack(parts, axis=1) for parts in zip(*sums, strict=True))


def _forward_groups(radial, ranks, edges):
    return group_moments(radial, ranks, edges), edges


def _backward_groups(radial, ranks, edges, cotangents):
    edges_bar = []
    for q, group in enumerate(edges):
        r, unit = _polar(group)
        g, slope = radial.value(r[..., None, :]), radial.slope(r[..., None, :])
        along_r: Any = 0.0
        along_unit: list[Any] = [0.0, 0.0, 0.0]
        for rank, m_bar in zip(ranks, cotangents, strict=True):
            radially, angularly = _pair_gradient(slope, g, m_bar[:, q], unit, rank)
            along_r += radially
            along_unit = [a + b for a, b in zip(along_unit, angularly, strict=True)]
        edges_bar.append(_cartesian(r, unit, along_r, along_unit))
    return (tuple(edges_bar),)


group_moments.defvjp(_forward_groups, _backward_groups)


def pair_sum(function: Callable, edges):
    """SUM_j phi(r_ij) over the neighbours of every atom, for a pair potential.

    Args:
        function: maps distances (block, all k) to (block, all k); groups stand one after the other.
        edges: one array (block, k, 3) per group.

    Returns:
        (block,).
    """
    r, _ = _polar(jnp.concatenate(edges, axis=1))
    return jnp.sum(function(r), axis=-1)
