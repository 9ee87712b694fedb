"""LATTE, the Local Atomic Tensors Trainable Expansion (arXiv:2405.08137).

    A[i, u]^{a1..ap} = SUM_j sigma_u(s_i, s_j) f_u(r_ij; s_i) rhat^a1 .. rhat^ap
    f_u(r; s) = max(0, 1 - ((r - c_u(s)) / w_u(s))^2)^3 / c_u(s)^2
    B[i, t]   = SUM_{a b ..} PRODUCT_k A[i, u_k(t)]^{indices of factor k}

Every factor of every term has its own column u.  Weights sigma, centres c and widths w are trained, with
the constraints w_min <= w <= w_max and w <= c <= cutoff - w, so that each bump vanishes at r = 0 and at
the cutoff.

Their dependence on the species is set by `species_mode`:

    specific   sigma[s_i, s_j, u],                         c[s_i, u], w[s_i, u]
    common     sigma[s_j, u],                              c[u],      w[u]
    embedded   sigma = (e[s_i] . P[:, u]) (e[s_j] . Q[:, u])   c[u],  w[u]   with trained e
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp

from latte_ase.geometry.graph import Grouping
from latte_ase.model import contractions
from latte_ase.model.descriptors.base import Local
from latte_ase.model.moments import moments, weighted
from latte_ase.model.radial import BUMP
from latte_ase.settings import Count, Length, Natural, OneOf, check_fields

SPECIES_MODES = ("specific", "common", "embedded")
MOST_GROUPS = 4
"""Largest number of species in a structure for which neighbours are grouped by species; with more, weights are looked
up for every pair."""


class LatteTable(NamedTuple):
    """Parameters of LATTE by species, the same for all species modes.

    Attributes:
        weights: sigma (species of centre, species of neighbour, columns).
        centres: c (species of centre, columns) in Angstrom.
        widths: w (species of centre, columns) in Angstrom.
    """

    weights: jax.Array
    centres: jax.Array
    widths: jax.Array


@dataclass(frozen=True, kw_only=True)
class Latte(Local):
    """Hyper-parameters of the LATTE descriptor.

    Attributes:
        contractions: terms in LATTE's notation, see `latte_ase.model.contractions`.
        cutoff: cutoff radius in Angstrom.
        species_mode: "specific", "common" or "embedded".
        min_width: smallest width of a bump in Angstrom.
        max_width: largest width of a bump in Angstrom.
        embedding: length of the element vectors in mode "embedded".
        pair_cutoffs: shorter cutoffs for pairs of species, ((species index, species index, Angstrom), ...); in
            mode "specific" a column whose bump reaches beyond has weight 0 for that pair, in both directions.
    """

    contractions: str
    cutoff: Length
    species_mode: Annotated[str, OneOf(SPECIES_MODES)] = "specific"
    min_width: Length = 0.5
    max_width: Length = 2.0
    embedding: Count = 8
    pair_cutoffs: tuple[tuple[Natural, Natural, Length], ...] = ()

    def __post_init__(self):
        check_fields(self)
        contractions.parse(self.contractions)
        if not 0 < self.min_width <= self.max_width <= self.cutoff / 2:
            raise ValueError(
                f"Widths {self.min_width} to {self.max_width} Angstrom do not fit a cutoff of {self.cutoff}: "
                "0 < min_width <= max_width <= cutoff / 2 is needed, since a bump spans two widths."
            )
        if self.pair_cutoffs and self.species_mode != "specific":
            raise ValueError(
                f"pair_cutoffs need species_mode 'specific', not {self.species_mode!r}: only there has a "
                "pair of species weights of its own."
            )

    @cached_property
    def plan(self) -> contractions.Plan:
        """Assignment of columns to the factors of the terms."""
        return contractions.plan(self.contractions)

    @property
    def n_columns(self) -> int:
        """Number of columns u over all ranks."""
        return sum(self.plan.columns)

    @property
    def n_features(self) -> int:
        """Number of invariants of an atom."""
        return self.plan.n_features

    def grouping(self, n_species: int) -> Grouping:
        """Neighbour groups of one species each where the species are few."""
        return Grouping.SPECIES if n_species <= MOST_GROUPS else Grouping.BLOCKS

    def init(self, key, n_species: int):
        """Random parameters: sigma ~ Normal(0, 1), w uniform in its range, c uniform in [w, cutoff - w]."""
        k_weight, k_centre, k_width, k_embed = jax.random.split(key, 4)
        u = self.n_columns
        rows = (n_species,) if self.species_mode == "specific" else ()
        low, high = self.min_width, self.max_width
        widths = jax.random.uniform(k_width, (*rows, u), minval=low, maxval=high)
        share = jax.random.uniform(k_centre, (*rows, u))
        params = {"centres": widths + share * (self.cutoff - 2 * widths), "widths": widths}
        if self.species_mode == "embedded":
            k_left, k_right = jax.random.split(k_weight)
            scale = self.embedding**-0.5
            params["elements"] = jax.random.normal(k_embed, (n_species, self.embedding))
            params["centre_weights"] = scale * jax.random.normal(k_left, (self.embedding, u))
            params["neighbour_weights"] = scale * jax.random.normal(k_right, (self.embedding, u))
        else:
            params["weights"] = jax.random.normal(k_weight, (*rows, n_species, u))
        return self.project(params)

    def tables(self, params) -> LatteTable:
        """Weights, centres and widths by central species, see the docstring of the module."""
        if self.species_mode == "specific":
            return LatteTable(params["weights"], params["centres"], params["widths"])
        if self.species_mode == "common":
            weights = params["weights"]
            weights = jnp.broadcast_to(weights, (weights.shape[0], *weights.shape))
        else:
            left = params["elements"] @ params["centre_weights"]
            right = params["elements"] @ params["neighbour_weights"]
            weights = left[:, None] * right[None]
        rows = (weights.shape[0], self.n_columns)
        return LatteTable(weights, jnp.broadcast_to(params["centres"], rows), jnp.broadcast_to(params["widths"], rows))

    def features(self, table: LatteTable, edges, neighbour_species):
        """Invariants (block, n_features); arguments as in `base.Descriptor`."""
        weights = table.weights / table.centres**2
        bumps = (1 / table.widths, table.centres / table.widths)
        if neighbour_species[0].ndim == 1:
            weights = jnp.stack([weights[kind] for kind in neighbour_species], axis=1)
            sums = moments(BUMP, self.plan.columns, edges, weights, bumps)
        else:
            sums = weighted.moments(BUMP, self.plan.columns, edges[0], weights[neighbour_species[0]], bumps)
        return contractions.contract(self.plan, sums)

    def project(self, params):
        """Parameters with widths in their range, centres in [w, cutoff - w], and pair cutoffs applied to sigma."""
        widths = jnp.clip(params["widths"], self.min_width, self.max_width)
        centres = jnp.clip(params["centres"], widths, self.cutoff - widths)
        projected = {**params, "widths": widths, "centres": centres}
        if self.pair_cutoffs:
            weights = jnp.asarray(params["weights"])
            for a, b, reach in self.pair_cutoffs:
                for i, j in {(a, b), (b, a)}:
                    inside = centres[i] + widths[i] <= reach
                    weights = weights.at[i, j].set(jnp.where(inside, weights[i, j], 0))
            projected["weights"] = weights
        return projected
