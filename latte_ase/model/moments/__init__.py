"""Moments of the neighbour density: the sum over the neighbours of every atom, and its adjoint.

    M[i, c, u] = SUM_q W[i, q, u] SUM_{j in group q of i} T_c(D_ij / r_ij) g_u(r_ij)

g is a radial function, q numbers the groups of neighbours of one species, W holds a weight for each group,
and T_c are the monomials x^a y^b z^d of the unit vector with a + b + d = p, the rank of column u:
the packed form of the symmetric tensor rhat^(x)p, with 1, 3, 6 or 10 components instead of 3^p.

The adjoint is written by hand.  With Wbar = Mbar * W, for each group,

    H[c, j] = SUM_u Wbar[c, u] g'_u(r_j)       dE/dr_j    = SUM_c T_c H[c, j]
    G[c, j] = SUM_u Wbar[c, u] g_u(r_j)        dE/drhat_j = SUM_c (dT_c / drhat) G[c, j]

so that the sum over columns comes first, and no array over [pair, column, component] is formed.  The
backward pass can be differentiated again, as training on forces requires.

There are two kernels: `xla`, in plain JAX, for every device, and `pallas`, fused, for GPUs.  The context
variable `kernel` selects one; descriptors are the same for both.
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
"""Names of the kernels; "interpreted" is "pallas" run by JAX's interpreter on any device, for tests."""

kernel = jax.make_user_context("xla")
"""Context variable that selects the kernel in this thread, as in `with kernel("pallas"):`; the default is "xla".

It is part of the key of JAX's compiled functions: a function compiled for one kernel is compiled again for another."""

__all__ = ["KERNELS", "MAX_RANK", "components", "group_moments", "kernel", "mixed_moments", "moments", "pair_sum"]


def _chosen():
    """Module of the selected kernel, and its further arguments."""
    name = kernel.value
    if name not in KERNELS:
        raise ValueError(f"The kernel is {name!r}; allowed are {', '.join(KERNELS)}.")
    if name == "xla":
        return xla, ()
    # imported late: the import takes a second, and CPUs do not need it
    return import_module("latte_ase.model.moments.fused"), (name == "interpreted",)


def moments(radial: Radial, columns: tuple[int, ...], edges, weights, radial_params):
    """Moments of one block of atoms, see the docstring of the package.

    Args:
        radial: radial function.
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
    """Moments of each neighbour group separately, of a few radial functions without trained parameters.

        m[i, q, c, n] = SUM_{j in group q of i} T_c(D_ij / r_ij) R_n(r_ij)

    Args:
        radial: radial functions R, (..., 1, k) -> (..., n, k).
        ranks: ranks to compute, increasing.
        edges: one array (block, k, 3) per group, D in Angstrom.

    Returns:
        One array (block, groups, components(rank), n) for each rank.

    Raises:
        ValueError: as `moments`.
    """
    module, options = _chosen()
    return module.group_moments(radial, ranks, *options, edges)


def mixed_moments(radial: Radial, columns: Sequence[int], mixing, edges, neighbour_species):
    """Moments of the groups, mixed into columns.

        M[i, c, u] = SUM_q SUM_n W[s_q, n, u] m[i, q, c, n]     with m of `group_moments`

    Args:
        radial: as in `group_moments`.
        columns: number of columns u of rank 0, 1, 2, 3; they are sorted by rank.
        mixing: (species of neighbours, n, columns), W.
        edges: one array (block, k, 3) per group, D in Angstrom.
        neighbour_species: species s_q of the neighbours, one array (block,) per group.

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
    """Sum of a pair function over the neighbours of every atom, SUM_j phi(r_ij).

    Args:
        function: phi, from distances (block, all k) in Angstrom to (block, all k); the groups are concatenated.
        edges: one array (block, k, 3) per group, D in Angstrom.

    Returns:
        (block,).
    """
    return xla.pair_sum(function, edges)
