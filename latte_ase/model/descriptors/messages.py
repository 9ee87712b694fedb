"""Tensor-reduced LATTE with message passing: two rounds, in the second of which messages weight the pairs.

The first round is that of `reduced`, with columns A and invariants B.  Every atom then sends scalars h, vectors v and
tensors t of rank 2, which are bounded by N(x) = x / sqrt(1 + mean(x^2)),

    h[m] = SUM_f H[s][f, m] N(B)[f]        v = N(columns of rank 1)        t = N(columns of rank 2)

and in the second round the pairs have weights q, the messages of the neighbour projected onto the direction to it:

    g[ij, l] = SUM_n S[s_i, s_j][n, l] R_n(r_ij),    l = 1..shells
    q[ij] = 1,  h_j + c[s_i, s_j],  rhat.v_j + c[s_i, s_j],  rhat.t_j.rhat + c[s_i, s_j]
    A'[i, u]^{a1..ap} = SUM_l SUM_m W'[s_i][l, m, u] SUM_j g[ij, l] X_m^{a1..ap}
    X of any rank p: q rhat^a1 .. rhat^ap;  of rank 1 also v_j and t_j.rhat;  of rank 2 also t_j and v_j rhat, symmetrised

A few functions g for every pair of elements give the accuracy of all R_n in half the time, see docs/accuracy.md.

The invariants of A', with terms of their own, are appended to B.  The terms with v_j, t_j.rhat, t_j and v_j rhat carry
the components of the messages perpendicular to the pair, which rhat.v and rhat.t.rhat do not contain; equivariant
networks (NequIP, arXiv:2101.03164; MACE, arXiv:2206.07697) have both.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from latte_ase.geometry.graph import Grouping
from latte_ase.model import contractions
from latte_ase.model.moments import mixed_moments
from latte_ase.model.moments.tensors import components, dot, polar_edges
from latte_ase.model.moments.weighted import tensor_moments, weighted_moments
from latte_ase.model.moments.xla import ranks_of
from latte_ase.model.radial import bessel, prior
from latte_ase.settings import Count, Length, NonNegative, check_fields

PACKED = components(2)
PLACES = [[PACKED.index(tuple((a == axis) + (b == axis) for axis in range(3))) for b in range(3)] for a in range(3)]
"""Index of component ab in a packed tensor of rank 2."""
TIMES = np.array([[2.0 if 1 in exponents else 1.0] for exponents in PACKED])
"""Multiplicity of each packed component of a tensor of rank 2, (6, 1)."""


class SentTensors(NamedTuple):
    """Message of an atom after the first round.

    Attributes:
        numbers: scalars h (block, scalars).
        vectors: vectors v (block, 3, vectors).
        tensors: packed tensors t (block, 6, tensors).
    """

    numbers: Any
    vectors: Any
    tensors: Any


@dataclass(frozen=True, kw_only=True)
class Messages:
    """Hyper-parameters of tensor-reduced LATTE with message passing.

    Attributes:
        contractions: terms of the first round in LATTE's notation, see `latte_ase.model.contractions`.
        second: terms of the second round in LATTE's notation.
        cutoff: cutoff radius of each round in Angstrom.
        n_radial: number of radial functions R.
        sent: numbers of scalars, vectors and tensors in a message.
        shells: number of radial functions g of the second round.
        smoothness: exponent p of `reduced`, for both rounds.
    """

    contractions: str
    second: str
    cutoff: Length
    n_radial: Count = 8
    sent: tuple[Count, Count, Count] = (16, 8, 8)
    shells: Count = 4
    smoothness: NonNegative = 0.0

    def __post_init__(self):
        check_fields(self)
        contractions.parse(self.contractions)
        contractions.parse(self.second)

    @cached_property
    def first_plan(self) -> contractions.Plan:
        """Assignment of columns to the factors of the terms of the first round."""
        return contractions.plan(self.contractions)

    @cached_property
    def second_plan(self) -> contractions.Plan:
        """Assignment of columns to the factors of the terms of the second round."""
        return contractions.plan(self.second)

    @property
    def n_features(self) -> int:
        """Number of invariants of an atom over both rounds."""
        return self.first_plan.n_features + self.second_plan.n_features

    @property
    def n_rounds(self) -> int:
        """Number of rounds, 2."""
        return 2

    def grouping(self, n_species: int) -> Grouping:
        """Blocks and neighbour groups of one species each, for any number of species."""
        return Grouping.SPECIES

    @cached_property
    def _columns(self) -> tuple[int, ...]:
        """Numbers of columns of the first round: those of its terms, followed by those of the message."""
        _, vectors, tensors = self.sent
        scalar, vector, tensor, *rest = self.first_plan.columns
        return (scalar, vector + vectors, tensor + tensors, *rest)

    @property
    def _inputs(self) -> tuple[int, ...]:
        """Numbers of X of rank 0, 1, 2, 3."""
        weights, carried = 1 + sum(self.sent), sum(self.sent[1:])
        return (weights, weights + carried, weights + carried, weights)

    def init(self, key, n_species: int):
        """Random parameters W, S and W' such that columns are of order 1, H such that h is of order 1, and c = 0."""
        k_first, k_kernel, k_shells, k_second = jax.random.split(key, 4)
        kernel = jax.random.normal(k_kernel, (n_species, self.first_plan.n_features, self.sent[0]))
        second = {
            str(rank): {"mixing": _mixing(jax.random.fold_in(k_second, rank), n_species, self.shells * inputs, columns)}
            for rank, (inputs, columns) in enumerate(zip(self._inputs, self.second_plan.columns, strict=True))
            if columns
        }
        pairs = n_species, n_species, self.n_radial
        return {
            "mixing": _mixing(k_first, *pairs, sum(self._columns)),
            "message": {"kernel": self.first_plan.n_features**-0.5 * kernel},
            "offset": jnp.zeros((n_species, n_species, sum(self.sent))),
            "shells": {"mixing": _mixing(k_shells, *pairs, self.shells)},
            "second": second,
        }

    def tables(self, params):
        """Parameters W / n^p, H, c, S / n^p, and W' by rank, with a leading axis of species."""
        faded = prior(self.n_radial, self.smoothness).astype(params["mixing"].dtype)[:, None]
        return {
            "mixing": params["mixing"] * faded,
            "kernel": params["message"]["kernel"],
            "offset": params["offset"],
            "shells": params["shells"]["mixing"] * faded,
            "second": {rank: matrix["mixing"] for rank, matrix in params["second"].items()},
        }

    def update(self, step: int, table, edges, neighbour_species, own, received):
        """One round for a block of atoms, see `Descriptor.update`; the state is B."""
        if step == 0:
            return self._first(table, edges, neighbour_species)
        messages = SentTensors(*(jnp.concatenate(parts, axis=1) for parts in zip(*received, strict=True)))
        sums = self._sums(table, edges, neighbour_species, messages)
        mixed = [dot("bcm,mu->bcu", sums[rank], table["second"][str(rank)]) for rank in sums]
        return jnp.concatenate([own, contractions.contract(self.second_plan, mixed)], axis=-1), None

    def project(self, params):
        """Parameters unchanged: their range is not limited."""
        return params

    def _first(self, table, edges, neighbour_species):
        """Invariants B and the message of the first round."""
        radial = bessel(self.n_radial, self.cutoff)
        mixed = dict(
            zip(
                _ranks(self._columns),
                mixed_moments(radial, self._columns, table["mixing"], edges, neighbour_species),
                strict=True,
            )
        )
        _, vector, tensor, *_ = self.first_plan.columns
        # the columns of the message follow those of the terms, which `contract` counts from the first
        features = contractions.contract(self.first_plan, [mixed[rank] for rank in _ranks(self.first_plan.columns)])
        numbers = dot("bf,fm->bm", _bounded(features), table["kernel"])
        return features, SentTensors(numbers, _bounded(mixed[1][..., vector:]), _bounded(mixed[2][..., tensor:], TIMES))

    def _sums(self, table, edges, neighbour_species, messages: SentTensors):
        """Sums SUM_j g_l X_m for every rank in use, {rank: (block, components, l m)}."""
        g = self._shells(table, edges, neighbour_species)
        offsets = [
            jnp.repeat(table["offset"][q][:, None], e.shape[1], axis=1)
            for q, e in zip(neighbour_species, edges, strict=True)
        ]
        _, unit = polar_edges(jnp.concatenate(edges, axis=1))
        along = _tensor_along(messages.tensors, unit)
        seen = [messages.numbers, _along(messages.vectors, unit), _along(along, unit)]
        seen = jnp.concatenate(seen, axis=-1) + jnp.concatenate(offsets, axis=1)
        weights = jnp.concatenate([jnp.ones_like(seen[..., :1]), seen], axis=-1)
        across = {
            1: jnp.concatenate([messages.vectors, along], axis=-1),
            2: jnp.concatenate([messages.tensors, _symmetrised(messages.vectors, unit)], axis=-1),
        }
        ranks = _ranks(self.second_plan.columns)
        sums = weighted_moments(g, unit, [weights] * (max(ranks) + 1))
        parts = {p: [sums[p], tensor_moments(g, across[p])] if p in across else [sums[p]] for p in ranks}
        joined = {p: jnp.concatenate(found, axis=-1) for p, found in parts.items()}
        return {p: found.reshape(*found.shape[:2], -1) for p, found in joined.items()}

    def _shells(self, table, edges, neighbour_species):
        """Radial functions g (block, l, k) of the pairs of all groups."""
        radial, found = bessel(self.n_radial, self.cutoff), []
        for group, kind in zip(edges, neighbour_species, strict=True):
            r, _ = polar_edges(group)
            found.append(dot("bnk,bnl->blk", radial.value(r[..., None, :]), table["shells"][kind]))
        return jnp.concatenate(found, axis=-1)


def _mixing(key, *shape: int):
    """Normal random array with which sums over the last axis but one are of order 1."""
    return shape[-2] ** -0.5 * jax.random.normal(key, shape)


def _ranks(columns):
    return [rank for rank, _ in ranks_of(columns)]


def _bounded(x, times: Any = 1.0):
    """Bounded values N(x), with the mean over all axes but the first; `times` is the multiplicity of components."""
    times = np.broadcast_to(times, x.shape[1:]).astype(x.dtype)
    total = jnp.sum(times * x * x, axis=tuple(range(1, x.ndim)), keepdims=True)
    return x * lax.rsqrt(1 + total / times.sum())


def _along(vectors, unit):
    """Projections rhat.v (block, k, m) of vectors (block, k, 3, m)."""
    return sum(unit[a][..., None] * vectors[:, :, a] for a in range(3))


def _tensor_along(tensors, unit):
    """Products t.rhat (block, k, 3, m) of packed tensors (block, k, 6, m)."""
    rows = [sum(tensors[:, :, PLACES[a][b]] * unit[b][..., None] for b in range(3)) for a in range(3)]
    return jnp.stack(rows, axis=2)


def _symmetrised(vectors, unit):
    """Symmetric products (v rhat + rhat v) / 2, packed (block, k, 6, m)."""
    pairs = [(a, b) for a in range(3) for b in range(a, 3)]
    return jnp.stack(
        [0.5 * (vectors[:, :, a] * unit[b][..., None] + vectors[:, :, b] * unit[a][..., None]) for a, b in pairs],
        axis=2,
    )
