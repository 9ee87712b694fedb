"""Tensor-reduced LATTE: the contractions of LATTE, with radial functions that are mixed after the sum over pairs.

    A[i, u]^{a1..ap} = SUM_j SUM_n W[s_i, s_j][n, u] R_n(r_ij) rhat^a1 .. rhat^ap
    B[i, t]          = SUM_{a b ..} PRODUCT_k A[i, u_k(t)]^{indices of factor k}

A few fixed radial functions R_n (Bessel functions, `radial.bessel`) are summed over the neighbours and mixed
into the columns u afterwards: the mixing over elements and radial functions of Darby et al., PRL 131, 028001
(2023), arXiv:2210.01705, in its form with independent weights for each factor.  The sum over pairs then has few
columns instead of hundreds, which makes this descriptor the fastest.

Without element vectors W is a separate table for every pair of elements, and every element has its own network.
With `embedding` = K > 0, elements have trained vectors e, and the size of all other parameters does not depend on
the number of elements:

    W[s_i, s_j][n, u] = (e[s_i] . P[:, u]) SUM_k e[s_j, k] M[n, k, u]

With smoothness p > 0, R_n is divided by n^p, so that training finds smooth radial weights before rough ones.  This is
the prior of linear ACE (J. Chem. Phys. 159, 164101 (2023)), as a scale of the parameters instead of a penalty.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import jax
from jax import lax

from latte_ase.geometry.graph import Grouping
from latte_ase.model import contractions
from latte_ase.model.descriptors.base import Local, Shared
from latte_ase.model.moments import mixed_moments
from latte_ase.model.moments.tensors import dot
from latte_ase.model.moments.weighted import product_moments
from latte_ase.model.moments.xla import ranks_of
from latte_ase.model.radial import bessel, prior
from latte_ase.settings import Count, Length, Natural, NonNegative, OneOf, check_fields

MIXINGS = ("learned", "random")


@dataclass(frozen=True, kw_only=True)
class Reduced(Local):
    """Hyper-parameters of the tensor-reduced LATTE descriptor.

    Attributes:
        contractions: terms in LATTE's notation, see `latte_ase.model.contractions`.
        cutoff: cutoff radius in Angstrom.
        n_radial: number of radial functions R.
        embedding: length K of the element vectors; 0 for independent weights for every pair of elements.
        mixing: "learned", or "random" to keep the initial W or M.
        smoothness: exponent p, 0 or larger.
    """

    contractions: str
    cutoff: Length
    n_radial: Count = 8
    embedding: Natural = 0
    mixing: Annotated[str, OneOf(MIXINGS)] = "learned"
    smoothness: NonNegative = 0.0

    def __post_init__(self):
        check_fields(self)
        contractions.parse(self.contractions)

    @cached_property
    def plan(self) -> contractions.Plan:
        """Assignment of columns to the factors of the terms."""
        return contractions.plan(self.contractions)

    @property
    def n_features(self) -> int:
        """Number of invariants of an atom."""
        return self.plan.n_features

    def grouping(self, n_species: int) -> Grouping:
        """Blocks and neighbour groups of one species each; no grouping with element vectors."""
        return Grouping.MIXED if self.embedding else Grouping.SPECIES

    def init(self, key, n_species: int):
        """Random parameters: W or M such that columns are of order 1, element vectors and P ~ Normal(0, 1)."""
        k_mixing, k_neighbour, k_centre, k_columns = jax.random.split(key, 4)
        columns = sum(self.plan.columns)
        if not self.embedding:
            shape = (n_species, n_species, self.n_radial, columns)
            return {"mixing": self.n_radial**-0.5 * jax.random.normal(key, shape)}
        shape = (self.n_radial, self.embedding, columns)
        return {
            "mixing": (self.n_radial * self.embedding) ** -0.5 * jax.random.normal(k_mixing, shape),
            "neighbours": jax.random.normal(k_neighbour, (n_species, self.embedding)),
            "centres": jax.random.normal(k_centre, (n_species, self.embedding)),
            "columns": self.embedding**-0.5 * jax.random.normal(k_columns, (self.embedding, columns)),
        }

    def tables(self, params):
        """Weights W / n^p (species of centre, species of neighbour, n_radial, columns), or their factors."""
        mixing = params["mixing"] if self.mixing == "learned" else lax.stop_gradient(params["mixing"])
        faded = prior(self.n_radial, self.smoothness).astype(mixing.dtype)
        mixing = mixing * faded.reshape(-1, *(1,) * (2 if self.embedding else 1))
        if not self.embedding:
            return mixing
        return {
            "mixing": Shared(mixing),
            "neighbours": Shared(params["neighbours"]),
            "columns": params["centres"] @ params["columns"],
        }

    def features(self, table, edges, neighbour_species):
        """Invariants (block, n_features); arguments as in `base.Descriptor`."""
        radial = bessel(self.n_radial, self.cutoff)
        if self.embedding:
            ranks = [rank for rank, _ in ranks_of(self.plan.columns)]
            vectors = table["neighbours"][neighbour_species[0]]
            sums = product_moments(radial.value, edges[0], [vectors] * (max(ranks) + 1))
            mixed = [
                dot("bcnk,nku->bcu", sums[rank], table["mixing"][..., part]) * table["columns"][:, None, part]
                for rank, part in ranks_of(self.plan.columns)
            ]
        else:
            mixed = mixed_moments(radial, self.plan.columns, table, edges, neighbour_species)
        return contractions.contract(self.plan, mixed)
