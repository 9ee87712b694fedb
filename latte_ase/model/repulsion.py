"""Ziegler-Biersack-Littmark (ZBL) screened nuclear repulsion, switched off at the distances of the training set.

    V(r) = k Z_i Z_j / r * SUM_m a_m exp(-b_m r / a),   a = 0.46850 Angstrom / (Z_i^0.23 + Z_j^0.23)
    E_i  = 1/2 SUM_j V(r_ij) s(r_ij / R),   s(x) = (1 - x^2)^3 for x < 1, else 0

(Ziegler, Biersack, Littmark, The Stopping and Range of Ions in Solids, 1985).  R is the closest
approach of the two elements in the training set (`latte_ase.training.dataset.closest_approaches`), so
the term is exactly 0 for every structure of the training set.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import lax

from latte_ase.model.moments import pair_sum

COULOMB = 14.399645  # e^2 / (4 pi epsilon_0) in eV Angstrom
WEIGHTS = (0.18175, 0.50986, 0.28022, 0.02817)
EXPONENTS = (3.19980, 0.94229, 0.40290, 0.20162)


def tables(numbers, ranges):
    """Constants of the potential for every pair of species.

    Args:
        numbers: (species,) atomic numbers.
        ranges: (species, species) R in Angstrom; 0 switches the repulsion of a pair off.

    Returns:
        (species, species, 3): k Z_i Z_j in eV Angstrom, screening length a in Angstrom, R in Angstrom.
    """
    z = np.asarray(numbers, float)
    product = COULOMB * z[:, None] * z[None, :]
    screening = 0.46850 / (z[:, None] ** 0.23 + z[None, :] ** 0.23)
    return np.stack([product, screening, np.asarray(ranges, float)], axis=-1)


def zbl(r, product, screening, reach):
    """Switched pair potential V(r) s(r / R) in eV.

    Args:
        r: distance in Angstrom.
        product: k Z_i Z_j in eV Angstrom.
        screening: a in Angstrom.
        reach: R in Angstrom.
    """
    r = jnp.maximum(r, 1e-3)  # keeps two atoms on one point finite
    x = r / jnp.where(reach > 0, reach, 1.0)
    fade = jnp.where(reach > 0, jnp.maximum(1 - x * x, 0) ** 3, 0.0)
    near = jnp.minimum(r, 10.0)  # padded neighbours: keep exp in range
    screened = sum(a * jnp.exp(-b * near / screening) for a, b in zip(WEIGHTS, EXPONENTS, strict=True))
    return product / r * screened * fade


def site_energies(table, edges, neighbour_species):
    """Repulsion energies E_i of a block of atoms.

    Args:
        table: (species, 3), the row of `tables` of the central species; or one row per atom, (block, species, 3).
        edges: one array (block, k, 3) of pair vectors per neighbour group, Angstrom.
        neighbour_species: one array per neighbour group: (block,) species of its neighbours, or (block, k) where a
            group holds neighbours of several species.

    Returns:
        (block,) in eV.
    """
    constants = jnp.concatenate(
        [_of_pairs(table, group, kind) for group, kind in zip(edges, neighbour_species, strict=True)], 1
    )
    product, screening, reach = (constants[..., part] for part in range(3))
    squares = jnp.concatenate([jnp.sum(group * group, axis=-1) for group in edges], axis=1)

    def repelled(edges):
        return 0.5 * pair_sum(lambda r: zbl(r, product, screening, reach), edges)

    def nothing(edges):
        return jnp.zeros(edges[0].shape[0], edges[0].dtype)

    # Four exponentials per pair would be a quarter of a small model's time, and atoms are hardly ever this close.
    # (Where blocks are computed together, both sides are, and this is a selection.)
    return lax.cond(jnp.any(squares < reach * reach), repelled, nothing, tuple(edges))


def _of_pairs(table, group, kind):
    """Constants of the pairs of a neighbour group, (block, k, 3)."""
    if kind.ndim == 1:
        return jnp.broadcast_to(table[kind][:, None], (*group.shape[:2], table.shape[-1]))
    if table.ndim == 2:
        return table[kind]
    return jnp.take_along_axis(table, kind[..., None], axis=1)
