"""LATTE's contractions on tensor-reduced radial functions.

    A[i, u]^{a1..ap} = SUM_j SUM_n W[s_i, s_j][n, u] R_n(r_ij) rhat^a1 .. rhat^ap
    B[i, t]          = SUM_{a b ..} PRODUCT_k A[i, u_k(t)]^{indices of factor k}

A few fixed radial functions R_n (Bessel functions, `radial.bessel`) are summed over the
neighbours of each species and mixed into the columns u afterwards, by learned weights W: the
mixing over elements and radial functions of Darby et al., PRL 131, 028001 (2023),
arXiv:2210.01705, in its form with independent weights per factor.  The sum over pairs then has
`n_radial` columns instead of hundreds, which is what makes this the fast member of the family.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from latte_ase import contractions
from latte_ase.descriptors.base import Local
from latte_ase.moments import group_moments
from latte_ase.radial import bessel


@dataclass(frozen=True, kw_only=True)
class Reduced(Local):
    """Hyper-parameters of the tensor-reduced LATTE descriptor.

    Attributes:
        contractions: terms in LATTE's notation, see `latte_ase.contractions`.
        cutoff: in Angstrom.
        n_radial: number of radial functions.
    """

    contractions: str
    cutoff: float
    n_radial: int = 8

    def __post_init__(self):
        contractions.parse(self.contractions)
        if self.cutoff <= 0 or self.n_radial < 1:
            raise ValueError(
                f"cutoff is {self.cutoff} Angstrom and n_radial {self.n_radial}; a positive length and at least "
                "one radial function are needed."
            )

    @cached_property
    def plan(self) -> contractions.Plan:
        """Columns and contractions."""
        return contractions.plan(self.contractions)

    @property
    def n_features(self) -> int:
        """Number of invariants of an atom."""
        return self.plan.n_features

    def init(self, key, n_species: int):
        """W ~ Normal(0, 1/n_radial)."""
        shape = (n_species, n_species, self.n_radial, sum(self.plan.columns))
        return {"mixing": self.n_radial**-0.5 * jax.random.normal(key, shape)}

    def tables(self, params):
        """W, (species of centre, species of neighbour, n_radial, columns)."""
        return params["mixing"]

    def features(self, table, edges, kinds):
        """Invariants (block, n_features); arguments as in `base.Descriptor`."""
        ranks = tuple(rank for rank, n in enumerate(self.plan.columns) if n)
        sums: Any = group_moments(bessel(self.n_radial, self.cutoff), ranks, edges)
        weights = jnp.stack([table[kind] for kind in kinds], axis=1)
        ends = np.cumsum(self.plan.columns)
        mixed = [
            # On GPUs the default precision would round the operands to TF32.
            jnp.einsum(
                "bqcn,bqnu->bcu",
                m,
                weights[..., ends[rank] - self.plan.columns[rank] : ends[rank]],
                precision=lax.Precision.HIGHEST,
            )
            for rank, m in zip(ranks, sums, strict=True)
        ]
        return contractions.contract(self.plan, mixed)
