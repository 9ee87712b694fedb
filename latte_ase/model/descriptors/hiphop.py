"""HIP-HOP-NN: a message-passing network with optimal tensor invariants (arXiv:2503.23515; hippynn, LANL).

Atoms have features z, in the beginning their species as a one-hot vector.  An interaction maps them to new ones,

    s_nu(r)        = exp(-(1/r - 1/mu_nu)^2 sigma_nu^2 / 2) f(r / cutoff)
    M[i, L, a]     = SUM_j STF(rhat_ij ^ L) SUM_nu s_nu(r_ij) SUM_b V[b, nu, a] z[j, b]        rank L <= l_max
    I[i, a, k]     = k-th contraction of M[i, :, a], see `contractions.optimal`
    x[i, a]        = SUM_a'k G[a', k, a] N(I)[i, a', k] + SUM_b W[b, a] z[i, b] + w[a]
    z'             = U z + R softplus(x) + u                U = 1 but in the first interaction

with N(I) = g (I - mean) / sqrt(variance + 1e-5) + h over the a of one atom and one k, and is followed by layers

    z'             = z + R softplus(W z + w) + u.

The published energy is a sum of linear functions of the z after each interaction.  The features here are therefore
all those z less the z of an isolated atom of the same species; with a linear network (no hidden layer) they give the
published model.  The computation is in terms of the difference d from the isolated atom,

    d' = d + R (softplus(x0 + W d) - softplus(x0)),

where x0 is that of the isolated atom, which depends on its species only, so d is exactly 0 for an isolated atom.

Differences from the publication: f is the envelope with power 3, 1 - 10 x^3 + 15 x^4 - 6 x^5, instead of
cos^2(pi x / 2), which differs from it by less than 0.05 but has a discontinuous second derivative at the cutoff; 1/mu
is trained instead of mu, so that nothing diverges; U is used also where there are as many elements as features; and
the random weights of one-hot vectors do not decrease with the number of elements.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from latte_ase.geometry.graph import Grouping
from latte_ase.model import contractions
from latte_ase.model.descriptors.base import Shared
from latte_ase.model.moments.tensors import dot, polar_edges
from latte_ase.model.moments.weighted import product_moments
from latte_ase.model.radial import envelope, fraction
from latte_ase.settings import Allowed, Count, Length, NonNegative, Unit, check_fields, whole

MAX_INTERACTIONS = 16
POWER = 3
"""Exponent of the envelope; of all integers the one closest to the published cos^2."""
SMALLEST_VARIANCE = 1e-5
"""Number added to the variance of the invariants before they are divided by its square root, as published."""


class Isolated(NamedTuple):
    """Values of isolated atoms in one interaction.

    Attributes:
        before: (species, layers, width), argument x0 of every softplus: of the interaction, then of the layers.
        after: (species, width), z after the last layer.
    """

    before: Any
    after: Any


class HipHopTable(NamedTuple):
    """Parameters of HIP-HOP-NN by species.

    Attributes:
        isolated: values of an isolated atom of the species, for every interaction.
        shared: parameters of every interaction.
    """

    isolated: tuple[Isolated, ...]
    shared: tuple[dict, ...]


@dataclass(frozen=True, kw_only=True)
class HipHop:
    """Hyper-parameters of HIP-HOP-NN.

    Attributes:
        cutoff: cutoff radius of each interaction in Angstrom.
        width: number of features of an atom after each interaction.
        n_sensitivities: number of radial functions s.
        l_max: highest rank.
        n_max: largest number of tensors in an invariant; see `contractions.optimal` for the pairs (l_max, n_max).
        n_interactions: number of interactions, which are rounds of message passing.
        n_atom_layers: number of layers after each interaction.
        soft_min: initial mu of the innermost radial function, in Angstrom.
        margin: initial distance of mu of the outermost radial function from the cutoff, in Angstrom.
    """

    cutoff: Length
    width: Annotated[int, Allowed("a whole number of 2 or more", lambda n: 2 <= n < 2**31)] = 20
    n_sensitivities: Count = 20
    l_max: Annotated[int, whole(0, 3)] = 3
    n_max: Annotated[int, whole(2, 4)] = 4
    n_interactions: Annotated[int, whole(1, MAX_INTERACTIONS)] = 1
    n_atom_layers: Count = 3
    soft_min: Length = 0.75
    margin: Annotated[NonNegative, Unit("Å")] = 1.0

    def __post_init__(self):
        check_fields(self)
        _ = self.contractions
        if not self.soft_min < self.cutoff - self.margin:
            raise ValueError(
                f"Sensitivities from {self.soft_min} to {self.margin} Angstrom inside a cutoff of {self.cutoff}: "
                "soft_min < cutoff - margin is needed."
            )

    @cached_property
    def contractions(self):
        """Table of contractions of one feature."""
        return contractions.optimal(self.l_max, self.n_max)

    @property
    def n_rounds(self) -> int:
        """Number of interactions."""
        return self.n_interactions

    @property
    def n_features(self) -> int:
        """Number of features of an atom over all interactions."""
        return self.n_interactions * self.width

    def grouping(self, n_species: int) -> Grouping:
        """No grouping by species: parameters depend on elements only through the features z."""
        return Grouping.MIXED

    def init(self, key, n_species: int):
        """Random parameters as in hippynn: V, G, W Glorot-normal; R, U, w, u uniform within (number of inputs)^(-1/2).

        A one-hot vector counts as one input.  1/mu are equidistant, sigma = 2 n_sensitivities soft_min, g = 1, h = 0.
        """
        keys = jax.random.split(key, self.n_interactions)
        params = {_name(t): self._init_interaction(k, self.width, self.width) for t, k in enumerate(keys)}
        k_first, k_lift = jax.random.split(keys[0])
        first = self._init_interaction(k_first, n_species, 1)
        return params | {_name(0): first | {"lift": _uniform(k_lift, (n_species, self.width), 1)}}

    def _init_interaction(self, key, rows: int, inputs: int):
        """Parameters of one interaction and its layers, for z of length `rows` with `inputs` entries that are not 0."""
        width, n, terms, layers = self.width, self.n_sensitivities, len(self.contractions), self.n_atom_layers
        k = iter(jax.random.split(key, 10))
        return {
            "inverse_distances": jnp.linspace(1 / (self.cutoff - self.margin), 1 / self.soft_min, n),
            "sharpness": jnp.full(n, 2 * n * self.soft_min),
            "mixing": _normal(next(k), (rows, n, width), inputs * (width + n)),
            "norm_scale": jnp.ones((width, terms)),
            "norm_shift": jnp.zeros((width, terms)),
            "invariants": _normal(next(k), (width, terms, width), width * (width + terms)),
            "weights": _normal(next(k), (rows, width), inputs + width),
            "bias": _uniform(next(k), (width,), inputs),
            "residual": _uniform(next(k), (width, width), width),
            "residual_bias": _uniform(next(k), (width,), width),
            "layers": {
                "weights": _normal(next(k), (layers, width, width), 2 * width),
                "bias": _uniform(next(k), (layers, width), width),
                "residual": _uniform(next(k), (layers, width, width), width),
                "residual_bias": _uniform(next(k), (layers, width), width),
            },
        }

    def tables(self, params) -> HipHopTable:
        """Values of isolated atoms by species, and the parameters."""
        ordered = [params[_name(t)] for t in range(self.n_interactions)]
        return HipHopTable(
            self._isolated(ordered), tuple(jax.tree.map(lambda a: Shared(jnp.asarray(a)), p) for p in ordered)
        )

    def _isolated(self, params) -> tuple[Isolated, ...]:
        """Values of isolated atoms in all interactions."""
        found, z = [], jnp.eye(len(params[0]["weights"]), dtype=params[0]["weights"].dtype)
        for p in params:
            before = [
                dot("sb,ba->sa", z, p["weights"]) + p["bias"] + dot("bk,bka->a", p["norm_shift"], p["invariants"])
            ]
            z = dot("sb,ba->sa", z, p["lift"]) if "lift" in p else z
            z = z + dot("sb,ba->sa", jax.nn.softplus(before[0]), p["residual"]) + p["residual_bias"]
            for layer in _layers(p):
                before.append(dot("sb,ba->sa", z, layer["weights"]) + layer["bias"])
                z = z + dot("sb,ba->sa", jax.nn.softplus(before[-1]), layer["residual"]) + layer["residual_bias"]
            found.append(Isolated(jnp.stack(before, axis=1), z))
        return tuple(found)

    def update(self, step: int, table: HipHopTable, edges, neighbour_species, own, received):
        """One round, see `Descriptor.update`; the state is d after all interactions so far, the message is z."""
        isolated, p = table.isolated[step], table.shared[step]
        s = _sensitivities(p, edges[0])
        if step == 0:
            weights = dot("ikn,ikna->ika", s, p["mixing"][neighbour_species[0]])
        else:
            weights = dot("iknb,bna->ika", s[..., None] * received[0][..., None, :], p["mixing"])
        x = dot("iak,akb->ib", p["norm_scale"] * _normalised(self._invariants(edges[0], weights)), p["invariants"])
        if step == 0:
            d = jnp.zeros_like(x)
        else:
            d = own[:, -self.width :]
            x = x + dot("ib,ba->ia", d, p["weights"])
        d = d + dot("ib,ba->ia", _activated(isolated.before[:, 0], x), p["residual"])
        for k, layer in enumerate(_layers(p), start=1):
            x = dot("ib,ba->ia", d, layer["weights"])
            d = d + dot("ib,ba->ia", _activated(isolated.before[:, k], x), layer["residual"])
        kept = d if step == 0 else jnp.concatenate([own, d], axis=-1)
        return kept, None if step == self.n_rounds - 1 else isolated.after + d

    def project(self, params):
        """Parameters unchanged: their range is not limited."""
        return params

    def _invariants(self, edges, weights):
        """Invariants I (block, a, k) for weights (block, k, a) of the neighbours before the envelope."""
        sums = product_moments(lambda r: envelope(fraction(r, self.cutoff), POWER), edges, [weights] * (self.l_max + 1))
        return contractions.contract_table(self.contractions, contractions.trace_free([m[:, :, 0] for m in sums]))


def _name(interaction: int) -> str:
    return f"interaction{interaction}"


def _layers(p):
    """Parameters of each of the layers after an interaction."""
    return [{name: a[k] for name, a in p["layers"].items()} for k in range(len(p["layers"]["bias"]))]


def _sensitivities(p, edges):
    """Radial functions s without the envelope, (block, k, n)."""
    r, _ = polar_edges(edges)
    y = (1 / r[..., None] - p["inverse_distances"]) * p["sharpness"]
    return jnp.exp(-0.5 * y * y)


def _normalised(invariants):
    """Normalised invariants (I - mean) / sqrt(variance + 1e-5) over the features of each atom, (block, a, k)."""
    centred = invariants - jnp.mean(invariants, axis=1, keepdims=True)
    return centred * lax.rsqrt(jnp.mean(centred * centred, axis=1, keepdims=True) + SMALLEST_VARIANCE)


def _activated(isolated, x):
    return jax.nn.softplus(isolated + x) - jax.nn.softplus(isolated)


def _normal(key, shape, inputs_and_outputs: int):
    """Glorot-normal array: standard deviation sqrt(2 / (inputs + outputs)) (Glorot and Bengio 2010)."""
    return (2 / inputs_and_outputs) ** 0.5 * jax.random.normal(key, shape)


def _uniform(key, shape, inputs: int):
    """Array uniform in +- inputs^(-1/2)."""
    return jax.random.uniform(key, shape, minval=-(inputs**-0.5), maxval=inputs**-0.5)
