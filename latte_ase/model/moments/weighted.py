"""Moments with a weight for every pair, for groups of neighbours of all species and for messages.

    moments:           M[i, c, u]    = SUM_j w[ij, u] T_c(D_ij / r_ij) g_u(r_ij)
    product_moments:   M[i, c, n, a] = SUM_j w[ij, a] T_c(D_ij / r_ij) g_n(r_ij)
    tensor_moments:    M[i, c, n, a] = SUM_j X[ij, c, a] g_n(r_ij)

They are written in plain JAX, which also differentiates them: the sums over pairs are matrix products, and so are
their derivatives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax.numpy as jnp

from latte_ase.model.moments.tensors import dot, monomials, polar_edges
from latte_ase.model.moments.xla import ranks_of
from latte_ase.model.radial import Radial


def moments(radial: Radial, columns: Sequence[int], edges, weights, radial_params):
    """Moments of one block of atoms.

    Args:
        radial: radial function.
        columns: number of columns of rank 0, 1, 2, ...; columns are sorted by rank.
        edges: (block, k, 3), D in Angstrom.
        weights: (block, k, columns), w.
        radial_params: tuple of arrays (columns,), further arguments of the radial function.

    Returns:
        One array (block, components(rank), columns of that rank) for each rank with columns.
    """
    r, unit = polar_edges(edges)
    weighted = radial.value(r[..., None], *radial_params) * weights
    return tuple(
        dot("bck,bku->bcu", jnp.stack(monomials(unit, rank), axis=1), weighted[..., part])
        for rank, part in ranks_of(columns)
    )


def product_moments(radial: Callable, edges, weights: Sequence):
    """Moments of all products of a radial function and a weight.

    Args:
        radial: function from distances (block, 1, k) in Angstrom to radial functions (block, n, k), which are
            exactly 0 with two derivatives at and beyond the cutoff.
        edges: (block, k, 3), D in Angstrom.
        weights: for each rank from 0 on, w (block, k, a); ranks may share one array.

    Returns:
        For each rank (block, components(rank), n, a).
    """
    r, unit = polar_edges(edges)
    return weighted_moments(radial(r[..., None, :]), unit, weights)


def weighted_moments(g, unit: Sequence, weights: Sequence):
    """Moments as in `product_moments`, with values of the radial functions instead of the functions.

    Args:
        g: (block, n, k), values of the radial functions for the pairs.
        unit: components x, y, z (block, k) of the unit vectors.
        weights: as in `product_moments`.

    Returns:
        For each rank (block, components(rank), n, a).
    """
    results, products = [], {}
    for rank, w in enumerate(weights):
        if id(w) not in products:
            products[id(w)] = (g[:, :, None] * jnp.swapaxes(w, 1, 2)[:, None]).reshape(len(w), -1, w.shape[1])
        sums = dot("bck,buk->bcu", jnp.stack(monomials(unit, rank), axis=1), products[id(w)])
        results.append(sums.reshape(*sums.shape[:2], g.shape[1], w.shape[2]))
    return tuple(results)


def tensor_moments(g, tensors):
    """Moments of all products of a radial function and a tensor received from the neighbour.

    Args:
        g: (block, n, k), values of the radial functions for the pairs.
        tensors: (block, k, components, a), X.

    Returns:
        (block, components, n, a).
    """
    return dot("bnk,bkca->bcna", g, tensors)
