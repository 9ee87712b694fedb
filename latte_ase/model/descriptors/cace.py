"""Cartesian atomic cluster expansion, CACE (arXiv:2402.07472; npj Comput. Mater. 10, 157 (2024)).

    A[i, m, L, a]   = SUM_j R_m(r_ij) L(rhat_ij) s_a(z_j)                      L = x^a y^b z^d, |L| = a + b + d <= l_max
    A[i, n, L, ab]  = t_b(z_i) SUM_m W[|L|, m, n, ab] A[i, m, L, a]
    B[i, n ab, k]   = k-th contraction of A[i, n, :, ab], see `contractions.cace`

Elements have two trained vectors, s of the sender and t of the receiver, and a channel ab is a product of their
entries.  R_m are Bessel functions with trained wave numbers.  The sum over pairs has n_rbf * n_embedding columns;
t and the radial mixing W are applied after it.

With messages there is a second round with densities A' of its own; its B are concatenated to those of the first:

    A'[i, n, L, ab] = M + (Ar + Bchi) / sqrt(average_neighbours)
    M    = c[|L|, n, ab] A[i, n, L, ab]
    Ar   = SUM_j A[j, n, L, ab] p[|L|, n, ab] exp(-r_ij q[|L|, n, ab]) f(r_ij)
    Bchi = t_b(z_i) SUM_m W[|L|, m, n, ab] SUM_j R_m(r_ij) L(rhat_ij) s_a(z_j) h[|L|, ab](B_j)

with the envelope f, and h linear in the B of the first round.  The messages are computed before the second sum over
pairs: for Bchi s_a(z) h[|L|, ab], which is (l_max + 1) n_embedding^2 numbers, and for Ar the densities A before t and
W, which are again applied after the sum.  Ar is the most expensive message: 840 numbers and a thousand exponentials
per pair for l_max = 4, n_rbf = 6, n_embedding = 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp

from latte_ase.geometry.graph import Grouping
from latte_ase.model import contractions
from latte_ase.model.descriptors.base import Shared
from latte_ase.model.moments.tensors import dot, polar_edges
from latte_ase.model.moments.weighted import product_moments
from latte_ase.model.radial import bessel, envelope, fraction
from latte_ase.settings import Allowed, Count, Length, Positive, check_fields, whole

MESSAGES = ("M", "Ar", "Bchi")
EACH_ONCE = Allowed(
    f"a list of any of {', '.join(MESSAGES)}, each once, or an empty one,",
    lambda names: len(set(names)) == len(names) and set(names) <= set(MESSAGES),
)
HIGHEST_L = 6
"""Largest l_max; the sums that evaluate the contractions grow like its fifth power."""
MEMORY = 0.25
"""Initial value of c of the message M, as in the published fits."""


class CaceTable(NamedTuple):
    """Parameters of CACE by species.

    Attributes:
        sender: (species, n_embedding), s of the atom itself.
        receiver: (species, n_embedding), t of the atom itself.
        senders: (all species, n_embedding), s of its neighbours.
        receivers: (all species, n_embedding), t of its neighbours.
        shared: all other parameters.
    """

    sender: Any
    receiver: Any
    senders: Any
    receivers: Any
    shared: Any


class Kept(NamedTuple):
    """State of an atom after the first of two rounds.

    Attributes:
        densities: A for the message M, one array (block, components, channels n ab) per rank; else empty.
        features: B (block, features).
    """

    densities: tuple
    features: Any


class SentMoments(NamedTuple):
    """Message of an atom after the first of two rounds.

    Attributes:
        densities: A before t and W for the message Ar, one array (block, components, m, a) per rank; else empty.
        weights: s_a h for the message Bchi, one array (block, ab) per rank; else empty.
    """

    densities: tuple
    weights: tuple


@dataclass(frozen=True, kw_only=True)
class Cace:
    """Hyper-parameters of CACE.

    Attributes:
        cutoff: cutoff radius in Angstrom.
        n_rbf: number of Bessel functions R_m.
        n_radial: number of radial channels n.
        n_embedding: length of the element vectors; channels are pairs of their entries.
        l_max: highest rank; up to 5 all invariants are independent.
        max_factors: largest number of factors of a contraction, 1 to 4.
        messages: any of "M", "Ar", "Bchi"; none for a single round.
        average_neighbours: average number of neighbours; messages are divided by its square root.
        cutoff_power: exponent of the envelope.
    """

    cutoff: Length
    n_rbf: Count = 6
    n_radial: Count = 12
    n_embedding: Count = 4
    l_max: Annotated[int, whole(1, HIGHEST_L)] = 3
    max_factors: Annotated[int, whole(1, 4)] = 3
    messages: Annotated[tuple[str, ...], EACH_ONCE] = ()
    average_neighbours: Positive = 10.0
    cutoff_power: Count = 6

    def __post_init__(self):
        check_fields(self)

    @cached_property
    def contractions(self):
        """Table of contractions of one channel."""
        return contractions.cace(self.l_max, self.max_factors)

    @property
    def n_rounds(self) -> int:
        """Number of rounds: 2 with messages, else 1."""
        return 2 if self.messages else 1

    @property
    def _invariants(self) -> int:
        """Number of invariants of one round."""
        return self.n_radial * self.n_embedding**2 * len(self.contractions)

    @property
    def n_features(self) -> int:
        """Number of invariants of an atom over all rounds."""
        return self.n_rounds * self._invariants

    def grouping(self, n_species: int) -> Grouping:
        """No grouping by species: parameters depend on elements only through their vectors."""
        return Grouping.MIXED

    def init(self, key, n_species: int):
        """Random parameters.

        As published: W, p ~ U(0, 1), q cutoff ~ U(0.5, 1.5), c = 1/4, k_m = m pi / cutoff, and Glorot-uniform weights
        of h.  Different from what was published: s, t ~ U(-1, 1), and the bias of h is 1.

        With Glorot's rule the element vectors, and with them all features, would decrease with the number of
        elements.  With h about 0 the features of the second round, which are powers of h, would be tiny when their
        scale is determined, and grow by orders of magnitude in training.
        """
        k_sender, k_receiver, k_mixing, k_message, k_strength, k_decay = jax.random.split(key, 6)
        ranks, pairs = self.l_max + 1, self.n_embedding**2
        channels = (ranks, self.n_radial * pairs)
        params = {
            "sender": jax.random.uniform(k_sender, (n_species, self.n_embedding), minval=-1),
            "receiver": jax.random.uniform(k_receiver, (n_species, self.n_embedding), minval=-1),
            "waves": jnp.arange(1, self.n_rbf + 1) * (jnp.pi / self.cutoff),
            "mixing": jax.random.uniform(
                k_mixing, (ranks, self.n_rbf, self.n_radial, self.n_embedding, self.n_embedding)
            ),
        }
        if "M" in self.messages:
            params["memory"] = jnp.full(channels, MEMORY)
        if "Ar" in self.messages:
            params["strength"] = jax.random.uniform(k_strength, channels)
            params["decay"] = jax.random.uniform(k_decay, channels, minval=0.5, maxval=1.5) / self.cutoff
        if "Bchi" in self.messages:
            bound = (6 / (self._invariants + ranks * pairs)) ** 0.5
            params["message"] = jax.random.uniform(
                k_message, (self._invariants, ranks * pairs), minval=-bound, maxval=bound
            )
            params["message_bias"] = jnp.ones(ranks * pairs)
        return params

    def tables(self, params) -> CaceTable:
        """Element vectors by species, and the parameters that do not depend on the species."""
        shared = {name: jnp.asarray(value) for name, value in params.items()}
        sender, receiver = shared.pop("sender"), shared.pop("receiver")
        return CaceTable(sender, receiver, Shared(sender), Shared(receiver), {n: Shared(p) for n, p in shared.items()})

    def update(self, step: int, table: CaceTable, edges, neighbour_species, own, received):
        """One round for a block of atoms, see `Descriptor.update`."""
        if step == 0:
            sums = self._sums(table, edges[0], [table.senders[neighbour_species[0]]] * (self.l_max + 1))
            densities = self._mixed(table, sums)
            features = self._invariants_of(densities)
            if self.n_rounds == 1:
                return features, None
            kept = Kept(densities if "M" in self.messages else (), features)
            weights = self._message(table, features) if "Bchi" in self.messages else ()
            return kept, SentMoments(sums if "Ar" in self.messages else (), weights)
        parts, norm = [], self.average_neighbours**-0.5
        if "M" in self.messages:
            parts.append([c * a for c, a in zip(table.shared["memory"], own.densities, strict=True)])
        if "Ar" in self.messages:
            vectors = table.receivers[neighbour_species[0]]
            parts.append([norm * a for a in self._carried(table.shared, edges[0], vectors, received[0].densities)])
        if "Bchi" in self.messages:
            sums = self._sums(table, edges[0], received[0].weights)
            parts.append([norm * a for a in self._mixed(table, sums)])
        densities = [sum(terms) for terms in zip(*parts, strict=True)]
        return jnp.concatenate([own.features, self._invariants_of(densities)], axis=-1), None

    def project(self, params):
        """Parameters unchanged: their range is not limited."""
        return params

    def _sums(self, table, edges, weights):
        """Densities A before t and W, (block, components, m, weights) per rank, for weights (block, k, weights)."""
        radial, waves = bessel(self.n_rbf, self.cutoff, self.cutoff_power), table.shared["waves"][:, None]
        return product_moments(lambda r: radial.value(r, waves), edges, weights)

    def _mixed(self, table, sums):
        """Densities A, (block, components, channels) per rank, from sums whose last axis is a, or ab."""
        return tuple(self._mixed_rank(table, *rank) for rank in zip(sums, table.shared["mixing"], strict=True))

    def _mixed_rank(self, table, sums, mixing):
        n = self.n_embedding
        if sums.shape[-1] == n:
            mixed = dot("icma,mnab->icnab", sums, mixing)
        else:
            mixed = dot("icmab,mnab->icnab", sums.reshape(*sums.shape[:3], n, n), mixing)
        return (mixed * table.receiver[:, None, None, None]).reshape(*sums.shape[:2], -1)

    def _invariants_of(self, densities):
        """Invariants B (block, features)."""
        found = contractions.contract_table(self.contractions, densities)
        return found.reshape(len(found), -1)

    def _carried(self, shared, edges, vectors, densities):
        """Sums over messages Ar, (block, components, channels) per rank; vectors (block, k, b) are t of neighbours."""
        r, _ = polar_edges(edges)
        x = fraction(r, self.cutoff)  # at most 1: exp(-r q) must not overflow at padded pairs if q is negative
        fade = envelope(x, self.cutoff_power)[..., None] * vectors
        shape = (self.n_radial, self.n_embedding, self.n_embedding)
        found = []
        for sums, mixing, p, q in zip(densities, shared["mixing"], shared["strength"], shared["decay"], strict=True):
            decay = jnp.exp(-self.cutoff * x[..., None] * q) * p
            weights = decay.reshape(*x.shape, *shape) * fade[:, :, None, None]
            carried = dot("iknab,ikcma->icmnab", weights, sums)
            found.append(dot("icmnab,mnab->icnab", carried, mixing).reshape(*carried.shape[:2], -1))
        return found

    def _message(self, table, features):
        """Message Bchi of these atoms, s_a h[|L|, ab] (block, ab) per rank."""
        n = self.n_embedding
        h = dot("if,fo->io", features, table.shared["message"]) + table.shared["message_bias"]
        weights = h.reshape(-1, self.l_max + 1, n, n) * table.sender[:, None, :, None]
        return tuple(weights[:, rank].reshape(-1, n * n) for rank in range(self.l_max + 1))
