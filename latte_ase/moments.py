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
from functools import partial
from itertools import combinations_with_replacement

import jax
import jax.numpy as jnp
import numpy as np
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


def monomials(unit, rank: int):
    """Packed rhat^(x)rank: (..., k, 3) -> (..., components, k)."""
    if rank == 0:
        return jnp.ones_like(unit[..., 0])[..., None, :]
    x = [unit[..., axis] for axis in range(3)]
    return jnp.stack(
        [_product([x[axis] for axis in range(3) for _ in range(exponents[axis])]) for exponents in components(rank)],
        axis=-2,
    )


def _product(factors):
    result = factors[0]
    for factor in factors[1:]:
        result = result * factor
    return result


def _slope_along_unit(lower, cotangent, rank: int):
    """SUM_c G[c] dT_c/drhat, from the monomials one rank lower.

    d/dx x^a y^b z^d = a x^(a-1) y^b z^d: component c of rank p feeds the component with one x less
    of rank p - 1, with factor a.

    Args:
        lower: (..., components(rank - 1), k).
        cotangent: (..., components(rank), k), G.

    Returns:
        (..., k, 3).
    """
    position = {exponents: c for c, exponents in enumerate(components(rank - 1))}
    sums = [0.0, 0.0, 0.0]
    for c, exponents in enumerate(components(rank)):
        for axis in range(3):
            if exponents[axis]:
                less = tuple(e - (a == axis) for a, e in enumerate(exponents))
                sums[axis] += exponents[axis] * cotangent[..., c, :] * lower[..., position[less], :]
    return jnp.stack(sums, axis=-1)


def _polar(edges):
    """Distances (..., k) and unit vectors (..., k, 3)."""
    squared = jnp.sum(edges * edges, axis=-1)
    r = jnp.sqrt(jnp.maximum(squared, NEAREST**2))
    return r, edges / r[..., None]


def _cartesian(r, unit, along_r, along_unit):
    """Gradient with respect to D from those with respect to r (..., k) and rhat (..., k, 3)."""
    tangential = along_unit - unit * jnp.sum(unit * along_unit, axis=-1, keepdims=True)
    return unit * along_r[..., None] + tangential / r[..., None]


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
        (part, _dot("bck,bku->bcu", monomials(unit, rank), radial.value(r[..., None], *_cut(radial_params, part))))
        for rank, part in _ranks(columns)
    ]


def _cut(params, part):
    """The parameters of some columns.  Cutting them, not the arrays over pairs, saves copies."""
    return tuple(p[part] for p in params)


def _forward(radial, columns, edges, weights, radial_params):
    return moments(radial, columns, edges, weights, radial_params), (edges, weights, radial_params)


def _backward(radial, columns, residuals, cotangents):
    edges, weights, radial_params = residuals
    edges_bar, weights_bar, params_bar = [], [], []
    for q, group in enumerate(edges):
        r, unit = _polar(group)
        along_r, along_unit = jnp.zeros_like(r), jnp.zeros_like(unit)
        w_bar, p_bar = [], []
        for (rank, part), m_bar in zip(_ranks(columns), cotangents, strict=True):
            params = _cut(radial_params, part)
            g, pull = jax.vjp(partial(_value_at, radial.value, r), params)
            slope = radial.slope(r[..., None], *params)
            tensor = monomials(unit, rank)
            weighted = m_bar * weights[:, q, None, part]
            along_r += jnp.sum(tensor * _dot("bcu,bku->bck", weighted, slope), axis=-2)
            if rank:
                cotangent = _dot("bcu,bku->bck", weighted, g)
                along_unit += _slope_along_unit(monomials(unit, rank - 1), cotangent, rank)
            w_bar.append(jnp.sum(m_bar * _dot("bck,bku->bcu", tensor, g), axis=-2))
            p_bar.append(pull(_dot("bck,bcu->bku", tensor, weighted))[0])
        edges_bar.append(_cartesian(r, unit, along_r, along_unit))
        weights_bar.append(jnp.concatenate(w_bar, axis=-1))
        params_bar.append(tuple(jnp.concatenate(parts) for parts in zip(*p_bar, strict=True)))
    return (
        tuple(edges_bar),
        jnp.stack(weights_bar, axis=1),
        tuple(sum(groups) for groups in zip(*params_bar, strict=True)),
    )


def _value_at(value, r, params):
    return value(r[..., None], *params)


moments.defvjp(_forward, _backward)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def group_moments(radial: Radial, ranks: tuple[int, ...], edges):
    """Moments of each neighbour group by itself, of a few radial functions without parameters.

    m[i, q, c, n] = SUM_{j in group q of i} T_c(D_ij / r_ij) R_n(r_ij)

    All groups go through the same products at once, told apart by a mask on the tensors: radial
    functions are evaluated once, and the compiled code does not grow with the number of groups.

    Args:
        radial: radial functions (..., 1) -> (..., n).
        ranks: the ranks wanted, increasing.
        edges: one array (block, k, 3) per group, D in Angstrom.

    Returns:
        One array (block, groups, components(rank), n) for each rank.
    """
    r, unit = _polar(jnp.concatenate(edges, axis=1))
    g = radial.value(r[..., None])
    mask = _group_mask(edges)
    return tuple(_masked_sums(monomials(unit, rank), g, mask) for rank in ranks)


def _group_mask(edges):
    """(groups, all k): 1 where a pair belongs to a group."""
    owner = np.repeat(np.arange(len(edges)), [group.shape[1] for group in edges])
    return (owner == np.arange(len(edges))[:, None]).astype(edges[0].dtype)


def _masked_sums(tensor, g, mask):
    block, size, _ = tensor.shape
    spread = (tensor[:, None] * mask[:, None]).reshape(block, len(mask) * size, -1)
    return _dot("bck,bkn->bcn", spread, g).reshape(block, len(mask), size, -1)


def _forward_groups(radial, ranks, edges):
    return group_moments(radial, ranks, edges), edges


def _backward_groups(radial, ranks, edges, cotangents):
    r, unit = _polar(jnp.concatenate(edges, axis=1))
    g, slope, mask = radial.value(r[..., None]), radial.slope(r[..., None]), _group_mask(edges)
    along_r, along_unit = jnp.zeros_like(r), jnp.zeros_like(unit)

    def pull(m_bar, factor):
        # SUM_n m_bar[q(k), c, n] factor[k, n], the group q(k) picked by the mask
        block, groups, size, n = m_bar.shape
        products = _dot("bcn,bkn->bck", m_bar.reshape(block, groups * size, n), factor)
        return jnp.sum(products.reshape(block, groups, size, -1) * mask[:, None], axis=1)

    for rank, m_bar in zip(ranks, cotangents, strict=True):
        along_r += jnp.sum(monomials(unit, rank) * pull(m_bar, slope), axis=1)
        if rank:
            along_unit += _slope_along_unit(monomials(unit, rank - 1), pull(m_bar, g), rank)
    all_bar = _cartesian(r, unit, along_r, along_unit)
    ends = np.cumsum([group.shape[1] for group in edges])[:-1]
    return (tuple(jnp.split(all_bar, ends, axis=1)),)


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
