"""Moments of the neighbour density: the only loop over pairs in the package, and its adjoint.

    M[i, c, u] = SUM_q W[i, q, u] SUM_{j in group q of i} T_c(D_ij / r_ij) g_u(r_ij)

g is a radial function, q counts the groups of neighbours of one species, W weighs the groups,
and T_c are the monomials x^a y^b z^d of the unit vector with a + b + d = p, the rank of column u:
the packed form of the symmetric tensor rhat^(x)p, 1, 3, 6 or 10 components instead of 3^p.

The adjoint is written by hand.  With Wbar = Mbar * W, per group,

    H[c, j] = SUM_u Wbar[c, u] g'_u(r_j)       dE/dr_j    = SUM_c T_c H[c, j]
    G[c, j] = SUM_u Wbar[c, u] g_u(r_j)        dE/drhat_j = SUM_c (dT_c / drhat) G[c, j]

so that the sum over columns comes first, and no array over [pair, column, component] is ever
formed.  The backward pass can be differentiated again, which training on forces needs.

Two kernels compute this, and `kernel` says which: `xla` in plain JAX, for every device, and
`pallas`, fused for GPUs.  Descriptors do not know which one runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module

import jax
import jax.numpy as jnp

from latte_ase.model.moments import xla
from latte_ase.model.moments.tensors import MAX_RANK, components, dot
from latte_ase.model.radial import Radial

KERNELS = ("xla", "pallas", "interpreted")
"""Names of kernels; "interpreted" is "pallas" run by JAX's interpreter, on any device, for tests."""

kernel = jax.make_user_context("xla")
"""Which kernel is used inside `with kernel("pallas"):`, in this thread.  It is part of JAX's key of compiled
functions, so that a function compiled for one kernel is compiled again for another; outside, it is "xla"."""

__all__ = ["KERNELS", "MAX_RANK", "components", "group_moments", "kernel", "mixed_moments", "moments", "pair_sum"]


def _chosen():
    """The module with the kernel, and its further arguments."""
    name = kernel.value
    if name not in KERNELS:
        raise ValueError(f"The kernel is {name!r}; allowed are {', '.join(KERNELS)}.")
    if name == "xla":
        return xla, ()
    # imported late: it takes a second, and a CPU has no use for it
    return import_module("latte_ase.model.moments.fused"), (name == "interpreted",)


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

    Raises:
        ValueError: `kernel` was set to a name that is not in `KERNELS`.
    """
    module, options = _chosen()
    return module.moments(radial, columns, *options, edges, weights, radial_params)


def group_moments(radial: Radial, ranks: tuple[int, ...], edges):
    """Moments of each neighbour group by itself, of a few radial functions without trained parameters.

    m[i, q, c, n] = SUM_{j in group q of i} T_c(D_ij / r_ij) R_n(r_ij)

    Args:
        radial: radial functions (..., 1, k) -> (..., n, k).
        ranks: the ranks wanted, increasing.
        edges: one array (block, k, 3) per group, D in Angstrom.

    Returns:
        One array (block, groups, components(rank), n) for each rank.

    Raises:
        ValueError: as `moments`.
    """
    module, options = _chosen()
    return module.group_moments(radial, ranks, *options, edges)


def mixed_moments(radial: Radial, columns: Sequence[int], mixing, edges, neighbour_species):
    """Moments of each group, mixed into columns: M[i, c, u] = SUM_q SUM_n W[s_q, n, u] m[i, q, c, n].

    Args:
        radial: as in `group_moments`.
        columns: number of columns u of rank 0, 1, 2, 3; they are sorted by rank.
        mixing: (species of neighbours, n, columns), W.
        edges: one array (block, k, 3) per group, D in Angstrom.
        neighbour_species: per group (block,) the species s_q of its neighbours.

    Returns:
        One array (block, components(rank), columns of that rank) for each rank with columns.

    Raises:
        ValueError: as `moments`.
    """
    parts = list(xla.ranks_of(columns))
    sums = group_moments(radial, tuple(rank for rank, _ in parts), edges)
    weights = jnp.stack([mixing[kind] for kind in neighbour_species], axis=1)
    return [dot("bqcn,bqnu->bcu", m, weights[..., part]) for m, (_, part) in zip(sums, parts, strict=True)]


def pair_sum(function: Callable, edges):
    """SUM_j phi(r_ij) over the neighbours of every atom, for a pair potential.

    Args:
        function: maps distances (block, all k) to (block, all k); groups stand one after the other.
        edges: one array (block, k, 3) per group.

    Returns:
        (block,).
    """
    return xla.pair_sum(function, edges)
