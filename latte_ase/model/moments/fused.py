"""Kernel `pallas` of the moments: a fused GPU kernel for the sums, one for their adjoint (Pallas, compiled by Triton).

One program computes one atom; no array over [pair, column] leaves its registers.

    forward   parallel over columns, loop over neighbours: each thread sums its columns, and there is no
              reduction across threads.  With few columns, several neighbours at a time fill the warp.
    adjoint   parallel over neighbours, loop over columns: each thread sums G and H of its neighbours,
              then forms dE/dD from them.

There is no matrix product, hence no TF32, and every sum has a fixed order.  All arrays have one or two axes
whose lengths are powers of two, as Triton requires; entries beyond the data are masked.

The gradient with respect to the pair vectors is the kernel; gradients with respect to weights and parameters,
and all second derivatives, are those of `latte_ase.model.moments.xla`.  Inference needs only the former, training
on forces needs both.

JAX deprecated the Triton backend in 0.11; 0.12 still has it.  Where JAX does not have it,
`latte_ase.engine.kernels` selects the kernel `xla`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from latte_ase.geometry.graph import FAR
from latte_ase.model.moments import xla
from latte_ase.model.moments.tensors import cartesian, components, monomials, polar, slope_along_unit
from latte_ase.model.radial import Radial

WARP = 32
"""Number of threads of a warp."""
NEIGHBOURS_AT_ONCE = 64
"""Largest number of neighbours in a program of the adjoint: two per thread, which share each load of Mbar."""
REGISTERS = 96
"""Largest number of values that a thread of the forward kernel keeps; with more, several warps share an atom."""


class ColumnPart(NamedTuple):
    """Consecutive columns of the same ranks.

    Attributes:
        ranks: ranks for which these columns are summed.
        start: first column.
        count: number of columns.
    """

    ranks: tuple[int, ...]
    start: int
    count: int

    @property
    def padded(self) -> int:
        """Smallest power of two that is not below the number of columns."""
        return pl.next_power_of_2(self.count)

    @property
    def n_components(self) -> int:
        """Number of components, over all ranks, of a column."""
        return sum(len(components(rank)) for rank in self.ranks)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def moments(radial: Radial, columns: tuple[int, ...], interpret: bool, edges, weights, radial_params):
    """Moments of one block of atoms, see `latte_ase.model.moments.moments`; `interpret` needs no GPU."""
    return tuple(_forward(radial, _parts_of(columns), interpret, edges, weights, radial_params))


def _moments_forward(radial, columns, interpret, edges, weights, radial_params):
    return moments(radial, columns, interpret, edges, weights, radial_params), (edges, weights, radial_params)


def _moments_backward(radial, columns, interpret, residuals, cotangents):
    # what is not used is not computed: for forces, neither of the two
    _, weights_bar, params_bar = xla.adjoint(radial, columns, residuals, cotangents)
    return _edge_gradients(radial, columns, interpret, *residuals, cotangents), weights_bar, params_bar


moments.defvjp(_moments_forward, _moments_backward)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _edge_gradients(radial, columns, interpret, edges, weights, radial_params, cotangents):
    """Cotangents of the pair vectors, the first result of `xla.adjoint`."""
    return tuple(_adjoint(radial, _parts_of(columns), interpret, edges, weights, radial_params, cotangents))


def _edge_gradients_forward(radial, columns, interpret, *arrays):
    return _edge_gradients(radial, columns, interpret, *arrays), arrays


def _edge_gradients_backward(radial, columns, interpret, arrays, cotangent):
    _, pull = jax.vjp(lambda *a: xla.adjoint(radial, columns, a[:3], a[3])[0], *arrays)
    return pull(cotangent)


_edge_gradients.defvjp(_edge_gradients_forward, _edge_gradients_backward)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def group_moments(radial: Radial, ranks: tuple[int, ...], interpret: bool, edges):
    """Moments of each group, see `latte_ase.model.moments.group_moments`; `interpret` needs no GPU."""
    return tuple(_forward(radial, _parts_of_groups(radial, ranks), interpret, edges, None, _constants(radial, edges)))


def _group_moments_forward(radial, ranks, interpret, edges):
    return group_moments(radial, ranks, interpret, edges), edges


def _group_moments_backward(radial, ranks, interpret, edges, cotangents):
    return (_group_edge_gradients(radial, ranks, interpret, edges, cotangents),)


group_moments.defvjp(_group_moments_forward, _group_moments_backward)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _group_edge_gradients(radial, ranks, interpret, edges, cotangents):
    """Cotangents of the pair vectors, the result of `xla.adjoint_groups`."""
    parts = _parts_of_groups(radial, ranks)
    return tuple(_adjoint(radial, parts, interpret, edges, None, _constants(radial, edges), cotangents))


def _group_edge_gradients_forward(radial, ranks, interpret, *arrays):
    return _group_edge_gradients(radial, ranks, interpret, *arrays), arrays


def _group_edge_gradients_backward(radial, ranks, interpret, arrays, cotangent):
    _, pull = jax.vjp(lambda edges, m_bar: xla.adjoint_groups(radial, ranks, edges, m_bar)[0], *arrays)
    return pull(cotangent)


_group_edge_gradients.defvjp(_group_edge_gradients_forward, _group_edge_gradients_backward)


def _parts_of(columns):
    return tuple(ColumnPart((rank,), part.start, part.stop - part.start) for rank, part in xla.ranks_of(columns))


def _parts_of_groups(radial, ranks):
    return (ColumnPart(tuple(ranks), 0, len(radial.constants[0])),)


def _constants(radial, edges):
    return tuple(jnp.asarray(c, edges[0].dtype) for c in radial.constants)


def _forward(radial, parts: Sequence[ColumnPart], interpret, edges, weights, params):
    """Moments of a block: with `weights` summed over the groups, without (None) one for each group."""
    block, dtype = edges[0].shape[0], edges[0].dtype
    between = () if weights is not None else (len(edges),)
    shapes = [(*between, len(components(rank)), part.count) for part in parts for rank in part.ranks]
    filled = _filled(edges)
    if not filled:
        return [jnp.zeros((block, *shape), dtype) for shape in shapes]
    kept = sum(part.padded * (part.n_components + len(params) + 1) for part in parts)
    tables = [(math.prod(shape[:-1]), shape[-1]) for shape in shapes]
    inputs = (tuple(edges[q] for q in filled), weights, params)
    found = pl.pallas_call(
        partial(_forward_kernel, radial, parts, filled),
        grid=(block,),
        in_specs=_specs(*inputs),
        out_specs=[_of_atom(table) for table in tables],
        out_shape=[jax.ShapeDtypeStruct((block, *table), dtype) for table in tables],
        compiler_params=triton.CompilerParams(num_warps=_warps(kept), num_stages=1),
        interpret=interpret,
        name="latte_moments",
    )(*inputs)
    if len(filled) < len(edges) and weights is None:  # rows of groups without places were not written
        written = np.isin(np.arange(len(edges)), filled)
        found = [jnp.where(jnp.repeat(written, len(f[0]) // len(edges))[:, None], f, 0) for f in found]
    return [f.reshape(block, *shape) for f, shape in zip(found, shapes, strict=True)]


def _adjoint(radial, parts: Sequence[ColumnPart], interpret, edges, weights, params, cotangents):
    """Gradients dE/dD of a block, one array (block, k, 3) per group."""
    filled = _filled(edges)
    gradients = [jnp.zeros_like(group) for group in edges]
    if not filled:
        return gradients
    tables = tuple(m.reshape(len(m), -1, m.shape[-1]) for m in cotangents)
    inputs = (tuple(edges[q] for q in filled), weights, params, tables)
    found = pl.pallas_call(
        partial(_adjoint_kernel, radial, parts, filled),
        grid=edges[0].shape[:1],
        in_specs=_specs(*inputs),
        out_specs=[_of_atom(edges[q].shape[1:]) for q in filled],
        out_shape=[jax.ShapeDtypeStruct(edges[q].shape, edges[q].dtype) for q in filled],
        compiler_params=triton.CompilerParams(num_warps=1, num_stages=1),
        interpret=interpret,
        name="latte_adjoint",
    )(*inputs)
    for q, gradient in zip(filled, found, strict=True):
        gradients[q] = gradient
    return gradients


def _warps(kept: int) -> int:
    """Number of warps of a program that keeps `kept` values."""
    return min(8, pl.next_power_of_2(-(-kept // (WARP * REGISTERS))))


def _filled(edges):
    """Indices of the groups that are not empty: a kernel cannot take an empty array."""
    return tuple(q for q, group in enumerate(edges) if group.shape[1])


def _specs(edges, weights, params, *cotangents):
    """Block specifications of the inputs: a program sees all parameters, and of other arrays the row of its atom."""
    mine = jax.tree.map(lambda a: _of_atom(a.shape[1:]), (edges, weights, *cotangents))
    return (*mine[:2], tuple(pl.BlockSpec(p.shape, lambda i: (0,)) for p in params), *mine[2:])


def _of_atom(shape):
    return pl.BlockSpec((None, *shape), lambda i: (i, *(0 for _ in shape)))


def _forward_kernel(radial, parts, filled, edges, weights, params, *results):
    """Forward program of one atom: the sums over its neighbours."""
    tile = max(1, WARP // max(part.padded for part in parts))
    columns = [[_entries(p, part) for p in params] for part in parts]
    none_yet = [
        [jnp.zeros((tile, part.padded), edges[0].dtype) for _ in components(rank)]
        for part in parts
        for rank in part.ranks
    ]
    sums = none_yet
    for group, q in zip(edges, filled, strict=True):
        factors = [None if weights is None else _entries(weights, part, q) for part in parts]
        add = partial(_add_neighbours, radial, parts, columns, factors, group, tile)
        sums = lax.fori_loop(*_range(-(-group.shape[0] // tile)), add, sums if weights is not None else none_yet)
        if weights is None:
            _store_sums(parts, sums, results, q)
    if weights is not None:
        _store_sums(parts, sums, results, 0)


def _range(stop):
    return np.int32(0), np.int32(stop)  # also where the caller's default is int64


def _entries(ref, part, *row):
    """Entries of a part in a vector, or in a row of a matrix, (1, padded); 0 where padded."""
    index = jnp.arange(part.padded, dtype=np.int32)[None]
    rows = [jnp.full_like(index, q) for q in row]
    return triton.load(ref.at[(*rows, part.start + index)], mask=index < part.count, other=0)


def _add_neighbours(radial, parts, columns, factors, edges, tile, step, sums):
    """Sums with `tile` more neighbours, each of shape (tile, padded)."""
    r, unit = polar(*_load_edges(edges, *_neighbours(edges, step, tile)))
    more = []
    for part, params, factor in zip(parts, columns, factors, strict=True):
        g = radial.value(r, *params)
        g = g if factor is None else g * factor
        more += [[t * g for t in monomials(unit, rank)] for rank in part.ranks]
    return jax.tree.map(jnp.add, sums, more)


def _neighbours(edges, step, tile):
    """Indices (tile, 1) of the neighbours of a step, and which of them exist."""
    index = step * tile + jnp.arange(tile, dtype=np.int32)[:, None]
    return index, index < edges.shape[0]


def _load_edges(edges, index, exists):
    """Components x, y, z of the pair vectors of some neighbours, each (tile, 1); far away where none exists."""
    far = (FAR, 0, 0)
    return [triton.load(edges.at[index, jnp.full_like(index, axis)], mask=exists, other=far[axis]) for axis in range(3)]


def _store_sums(parts, sums, results, q):
    """Write the sums of one atom into the rows of group q."""
    parts = [part for part in parts for _ in part.ranks]
    for part, tensor, result in zip(parts, sums, results, strict=True):
        index = jnp.arange(part.padded, dtype=np.int32)[None]
        for c, total in enumerate(tensor):
            row = jnp.full_like(index, q * len(tensor) + c)
            total = total if total.shape[0] == 1 else jnp.sum(total, axis=0)[None]
            triton.store(result.at[row, index], total, mask=index < part.count)


def _adjoint_kernel(radial, parts, filled, edges, weights, params, cotangents, *gradients):
    """Adjoint program of one atom: the gradients of its neighbours."""
    for group, gradient, q in zip(edges, gradients, filled, strict=True):
        tile = min(NEIGHBOURS_AT_ONCE, pl.next_power_of_2(group.shape[0]))
        write = partial(_write_gradients, radial, parts, group, weights, params, cotangents, gradient, q, tile)
        lax.fori_loop(*_range(-(-group.shape[0] // tile)), write, None)


def _write_gradients(radial, parts, edges, weights, params, cotangents, gradient, q, tile, step, _):
    """Write the gradients of `tile` neighbours of group q: H and G in the docstring of the package."""
    index, exists = _neighbours(edges, step, tile)
    r, unit = polar(*_load_edges(edges, index, exists))
    along_r: Any = jnp.zeros_like(r)
    along_unit: list[Any] = [0.0, 0.0, 0.0]
    cotangents = iter(cotangents)
    for part in parts:
        tensors = [monomials(unit, rank) for rank in part.ranks]
        tables = [next(cotangents) for _ in part.ranks]

        def add(u, carry, part=part, tensors=tensors, tables=tables):
            along_r, sums = carry
            own = [p[part.start + u] for p in params]
            g, slope = radial.value(r, *own), radial.slope(r, *own)
            if weights is not None:
                factor = weights[q, part.start + u]
                g, slope = g * factor, slope * factor
            first = 0 if weights is not None else q  # moments by group have rows for each group
            m_bar = [[m[first * len(t) + c, u] for c in range(len(t))] for m, t in zip(tables, tensors, strict=True)]
            terms = [m * t for ms, ts in zip(m_bar, tensors, strict=True) for m, t in zip(ms, ts, strict=True)]
            return along_r + slope * sum(terms), jax.tree.map(lambda s, m: s + m * g, sums, m_bar)

        nothing = jax.tree.map(jnp.zeros_like, tensors)
        along_r, sums = lax.fori_loop(*_range(part.count), add, (along_r, nothing))
        for rank, g_sums in zip(part.ranks, sums, strict=True):
            slopes = slope_along_unit(unit, g_sums, rank)
            along_unit = [a + b for a, b in zip(along_unit, slopes, strict=True)]
    for axis, values in enumerate(cartesian(r, unit, along_r, along_unit)):
        triton.store(gradient.at[index, jnp.full_like(index, axis)], values, mask=exists)
