"""The least time that a step can take: counted operations and bytes over the rates of this machine.

Counted for the sum over pairs of one atom with n pairs inside the cutoff (no skin, no padding), with
C_p = (p + 1)(p + 2) / 2 components and U_p columns of rank p (`reduced`: U_p = n_radial):

    products   M[c, u] = SUM_k T_c(k) g_u(k)      2 n SUM_p C_p U_p
               H[c, k] = SUM_u Mbar[c, u] g'_u(k) 2 n SUM_p C_p U_p        with derivatives
               G[c, k] = SUM_u Mbar[c, u] g_u(k)  2 n SUM_(p>0) C_p U_p    with derivatives
               mixing and network                 per atom, see `per_atom_products`
    other      radial functions, monomials, contraction with H and G, vectors: see `per_pair_other`
    bytes      n (12 + 4), with derivatives n (12 + 4 + 12 + 12) more: edge vector and index read; gradient
               written, the index of the reverse pair, both gradients read again for the force

    floor = max(products / R_products + other / R_other, bytes / R_copy)

R_products is the rate of batched products of just these shapes in cache, R_other that of a chain of
multiplications and additions on an array in cache, R_copy that of a copy of a large array; all of them
with one thread on each core in use.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from machine import cores

from latte_ase.model.contractions import packed_terms
from latte_ase.model.descriptors import Reduced
from latte_ase.model.moments import components
from latte_ase.model.potential import Architecture

ATOMS, NEIGHBOURS, COMPONENTS, COLUMNS = 16, 48, 6, 16
"""Shape of the products that are timed: a block of atoms, neighbours of one species, rank 2."""
PASSES, CHAIN = 500, 3000
"""Long enough for threads to start."""
REPEATS = 11


class Counts(NamedTuple):
    """Work for one atom: operations in products, other operations, bytes to and from memory."""

    products: float
    other: float
    bytes: float


class Rates(NamedTuple):
    """Of all cores in use together: operations per second twice, bytes per second."""

    products: float
    other: float
    copy: float


def count(architecture: Architecture, pairs: float, *, groups: int = 2, derivatives: bool = True) -> Counts:
    """Work for one atom; see the head of this file.

    Args:
        architecture: of the potential.
        pairs: neighbours of an atom inside the cutoff, on average.
        groups: species among the neighbours of an atom.
        derivatives: forces and virial as well as the energy.
    """
    columns = _radial_columns(architecture)
    moments = sum(2 * len(components(p)) * u for p, u in columns.items())
    angular = sum(2 * len(components(p)) * u for p, u in columns.items() if p)
    products = pairs * (moments + (moments + angular if derivatives else 0))
    products += per_atom_products(architecture, groups, derivatives)
    other = pairs * per_pair_other(architecture, derivatives) + _contraction(architecture, derivatives)
    moved = pairs * (16 + (40 if derivatives else 0)) + 12 + 4 + (12 if derivatives else 0)
    return Counts(products, other, moved)


def per_atom_products(architecture: Architecture, groups: int, derivatives: bool) -> float:
    """Mixing of the groups' moments into columns, and the network; derivatives double both.

    Weights per group 2 q SUM_p C_p U_p, in `reduced` 2 q SUM_p C_p n_radial U_p; network 2 SUM_l n_l n_(l+1).
    """
    kind: object = architecture.descriptor
    wide = {p: u for p, u in enumerate(architecture.descriptor.plan.columns) if u}  # type: ignore[attr-defined]
    each = kind.n_radial if isinstance(kind, Reduced) else 1
    mixing = sum(2 * groups * len(components(p)) * each * u for p, u in wide.items())
    layers = (architecture.descriptor.n_features, *architecture.hidden, 1)
    network = sum(2 * a * b for a, b in pairwise(layers))
    return (mixing + network) * (2 if derivatives else 1)


def per_pair_other(architecture: Architecture, derivatives: bool) -> float:
    """Operations of a pair outside the products; a division or a root counts as one.

    Edge vector D0 @ F + u_j - u_i 21, distance and unit vector 9, one for each monomial of rank 2 and 3.
    A bump 7, its slope 2 more.  Bessel functions 3 each by the recurrence of sines, their slopes 5 more, the
    envelope 10 and 8 more.  Gradient: 2 for each component in SUM_c T_c H_c, 2 for each monomial of each slope,
    16 to go to Cartesian, 6 for the force, 18 for the virial.  Repulsion acts on no pair of a usual structure: 0.
    """
    columns = _radial_columns(architecture)
    if isinstance(architecture.descriptor, Reduced):
        n = architecture.descriptor.n_radial
        radial = 3 * n + 10 + (5 * n + 8 if derivatives else 0)
    else:
        radial = sum(columns.values()) * (7 + (2 if derivatives else 0))
    monomials = sum(len(components(p)) for p in columns if p > 1)
    forward = 21 + 9 + monomials + radial
    if not derivatives:
        return forward
    along_r = sum(2 * len(components(p)) for p in columns)
    along_unit = sum(2 * sum(e > 0 for e in exponents) for p in columns for exponents in components(p))
    return forward + along_r + along_unit + 16 + 6 + 18


def seconds_per_atom(work: Counts, rates: Rates) -> float:
    """The floor; see the head of this file."""
    return max(work.products / rates.products + work.other / rates.other, work.bytes / rates.copy)


def measure() -> Rates:
    """Best of some runs of each rate, with one thread on each core."""
    threads = cores()
    products = 2 * PASSES * 2 * ATOMS * NEIGHBOURS * COMPONENTS * COLUMNS
    chain = CHAIN * 7 * 4096
    size = 32 * 1024 * 1024
    return Rates(
        threads * products / _best(partial(_product_call, threads), threads),
        threads * chain / _best(partial(_chain_call, threads), threads),
        threads * 2 * size / _best(partial(_copy_call, threads, size), threads),
    )


def _radial_columns(architecture) -> dict[int, int]:
    """Radial functions in the sum over pairs, by rank."""
    kind = architecture.descriptor
    each = kind.n_radial if isinstance(kind, Reduced) else None
    return {rank: each or n for rank, n in enumerate(kind.plan.columns) if n}


def _contraction(architecture, derivatives) -> float:
    """k operations for a product of k factors, k^2 more for its derivatives."""
    total = 0
    for block in architecture.descriptor.plan.blocks:
        factors = len(block.factors)
        total += block.count * len(packed_terms(block.factors)) * (factors + (factors**2 if derivatives else 0))
    return total


def _best(make: Callable, threads: int) -> float:
    """Shortest wall time in which every thread has done its call once."""
    calls = make()
    with ThreadPoolExecutor(threads) as pool:
        times = []
        for _ in range(REPEATS):
            start = time.perf_counter()
            for future in [pool.submit(call) for call in calls]:
                future.result()
            times.append(time.perf_counter() - start)
    return min(times)


@jax.jit
def _products(tensors, radial):
    def once(_, t):
        m = jnp.einsum("bck,buk->bcu", t, radial, precision=lax.Precision.HIGHEST)
        return jnp.einsum("bcu,buk->bck", m, radial, precision=lax.Precision.HIGHEST)

    return lax.fori_loop(0, PASSES, once, tensors)


@jax.jit
def _chain(x):
    def once(_, x):
        y = x * 1.5 - 0.5
        inside = jnp.maximum(1 - y * y, 0)
        return inside * inside * inside

    return lax.fori_loop(0, CHAIN, once, x)


def _product_call(threads) -> list[Callable]:
    tensors = np.full((ATOMS, COMPONENTS, NEIGHBOURS), 1e-3, np.float32)
    radial = np.full((ATOMS, COLUMNS, NEIGHBOURS), 1 / np.sqrt(NEIGHBOURS * COLUMNS), np.float32)
    return _compiled_calls(_products, threads, tensors, radial)


def _chain_call(threads) -> list[Callable]:
    return _compiled_calls(_chain, threads, np.linspace(0, 1, 4096, dtype=np.float32))


def _compiled_calls(function, threads, *arrays) -> list[Callable]:
    cpu = jax.devices("cpu")[0]
    placed = jax.device_put(arrays, cpu)
    jax.block_until_ready(function(*placed))
    return [lambda: jax.block_until_ready(function(*placed))] * threads


def _copy_call(threads, size) -> list[Callable]:
    pairs = [(np.ones(size, np.uint8), np.empty(size, np.uint8)) for _ in range(threads)]
    return [partial(np.copyto, target, source) for source, target in pairs]


if __name__ == "__main__":
    found = measure()
    print(f"{cores()} cores: products {found.products / 1e9:.1f} Gflop/s, other {found.other / 1e9:.1f} Gflop/s, "
          f"copy {found.copy / 1e9:.1f} GB/s")  # fmt: skip
