"""Kernel `xla` of the moments, in plain JAX: runs on every device, and is the reference for other kernels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from latte_ase.model.moments.tensors import cartesian, dot, monomials, polar_edges, slope_along_unit
from latte_ase.model.radial import Radial


def ranks_of(columns: Sequence[int]):
    """Pairs (rank, slice of columns) for every rank that has columns; columns are sorted by rank."""
    start = 0
    for rank, count in enumerate(columns):
        if count:
            yield rank, slice(start, start + count)
        start += count


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def moments(radial: Radial, columns: tuple[int, ...], edges, weights, radial_params):
    """Moments of one block of atoms, see `latte_ase.model.moments.moments`."""
    sums = [0.0] * len(tuple(ranks_of(columns)))
    for q, group in enumerate(edges):
        for p, part in enumerate(_group_moments(radial, columns, group, radial_params)):
            sums[p] += part[1] * weights[:, q, None, part[0]]
    return tuple(sums)


def _group_moments(radial, columns, group, radial_params):
    r, unit = polar_edges(group)
    return [
        (part, _sums(monomials(unit, rank), radial.value(r[..., None, :], *_cut(radial_params, part))))
        for rank, part in ranks_of(columns)
    ]


def _sums(tensor, g):
    """Sums over neighbours SUM_k T_c g_u, (..., components, columns)."""
    # neighbours on the last axis of both factors: the fastest of five layouts measured on a CPU
    return dot("bck,buk->bcu", jnp.stack(tensor, axis=-2), g)


def _cut(params, part):
    """Parameters of some columns, (columns, 1); slicing them instead of arrays over pairs saves copies."""
    return tuple(p[part, None] for p in params)


def _forward(radial, columns, edges, weights, radial_params):
    return moments(radial, columns, edges, weights, radial_params), (edges, weights, radial_params)


def adjoint(radial: Radial, columns: tuple[int, ...], residuals, cotangents):
    """Backward pass of `moments`: cotangents of edges, weights and parameters; it can be differentiated."""
    edges, weights, radial_params = residuals
    edges_bar, weights_bar, params_bar = [], [], []
    for q, group in enumerate(edges):
        r, unit = polar_edges(group)
        along_r: Any = 0.0
        along_unit: list[Any] = [0.0, 0.0, 0.0]
        w_bar, p_bar = [], []
        for (rank, part), m_bar in zip(ranks_of(columns), cotangents, strict=True):
            params = _cut(radial_params, part)
            tensor = monomials(unit, rank)
            g, pull = jax.vjp(partial(_value_at, radial.value, r), params)
            weighted = m_bar * weights[:, q, None, part]
            radially, angularly = _pair_gradient(radial.slope(r[..., None, :], *params), g, weighted, unit, rank)
            along_r += radially
            along_unit = [a + b for a, b in zip(along_unit, angularly, strict=True)]
            w_bar.append(jnp.sum(m_bar * _sums(tensor, g), axis=-2))
            p_bar.append(pull(dot("bck,bcu->buk", jnp.stack(tensor, axis=-2), weighted))[0])
        edges_bar.append(jnp.stack(cartesian(r, unit, along_r, along_unit), axis=-1))
        weights_bar.append(jnp.concatenate(w_bar, axis=-1))
        params_bar.append(tuple(jnp.concatenate(parts)[:, 0] for parts in zip(*p_bar, strict=True)))
    return (
        tuple(edges_bar),
        jnp.stack(weights_bar, axis=1),
        tuple(sum(groups) for groups in zip(*params_bar, strict=True)),
    )


def _pair_gradient(slope, g, weighted, unit, rank):
    """Gradients dE/dr (..., k) and the three components of dE/drhat: H and G in the docstring of the package."""
    products = dot("bcu,buk->bck", weighted, slope)
    along_r = sum(t * products[..., c, :] for c, t in enumerate(monomials(unit, rank)))
    if rank == 0:
        return along_r, slope_along_unit(unit, (), 0)
    products = dot("bcu,buk->bck", weighted, g)
    return along_r, slope_along_unit(unit, [products[..., c, :] for c in range(products.shape[-2])], rank)


def _value_at(value, r, params):
    return value(r[..., None, :], *params)


moments.defvjp(_forward, adjoint)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def group_moments(radial: Radial, ranks: tuple[int, ...], edges):
    """Moments of each neighbour group, see `latte_ase.model.moments.group_moments`."""
    sums = []
    for group in edges:
        r, unit = polar_edges(group)
        g = radial.value(r[..., None, :])
        sums.append([_sums(monomials(unit, rank), g) for rank in ranks])
    return tuple(jnp.stack(parts, axis=1) for parts in zip(*sums, strict=True))


def _forward_groups(radial, ranks, edges):
    return group_moments(radial, ranks, edges), edges


def adjoint_groups(radial: Radial, ranks: tuple[int, ...], edges, cotangents):
    """Backward pass of `group_moments`: a tuple of one, the cotangents of the edges."""
    edges_bar = []
    for q, group in enumerate(edges):
        r, unit = polar_edges(group)
        g, slope = radial.value(r[..., None, :]), radial.slope(r[..., None, :])
        along_r: Any = 0.0
        along_unit: list[Any] = [0.0, 0.0, 0.0]
        for rank, m_bar in zip(ranks, cotangents, strict=True):
            radially, angularly = _pair_gradient(slope, g, m_bar[:, q], unit, rank)
            along_r += radially
            along_unit = [a + b for a, b in zip(along_unit, angularly, strict=True)]
        edges_bar.append(jnp.stack(cartesian(r, unit, along_r, along_unit), axis=-1))
    return (tuple(edges_bar),)


group_moments.defvjp(_forward_groups, adjoint_groups)


def pair_sum(function, edges):
    """Sum of a pair function, see `latte_ase.model.moments.pair_sum`."""
    r, _ = polar_edges(jnp.concatenate(edges, axis=1))
    return jnp.sum(function(r), axis=-1)
