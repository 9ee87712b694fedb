"""A descriptor like the embedded-atom method's: two logarithms of densities of exponentials.

    rho[i, u] = SUM_j exp(a[s_i, s_j, u] - k[s_j, u] (r_ij - d[s_j])) w(r_ij)
    L[i, u]   = log(1 + 1e8 rho[i, u]),   features  = L[i, 0], 20 (L[i, 1] - L[i, 0] k[s_i, 1] / k[s_i, 0])

EMT (Jacobsen, Stoltze, Norskov, Surf. Sci. 366, 394 (1996)) is a function of such sums; d and k are those of its
table, a starts there and is trained, and what function it is, is left to the network.  w is EMT's step in front of the fourth
neighbours of silver, times an envelope that makes it end at the cutoff.  The two densities are nearly powers of each
other, and what matters is how far they are not: a network on the two logarithms does not learn that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from ase.calculators.emt import beta, parameters
from ase.data import atomic_numbers
from ase.units import Bohr

from latte_ase.model.descriptors import DESCRIPTORS
from latte_ase.model.descriptors.base import Local
from latte_ase.model.radial import envelope, fraction

STEP, STEEPNESS = 5.376, 23.8  # Angstrom and 1/Angstrom, as ase.calculators.emt has them


def table(elements) -> dict[str, list]:
    """d in Angstrom, k in 1/Angstrom and strengths of these elements, hyper-parameters of the descriptor."""
    rows = [parameters[e] for e in sorted(elements, key=atomic_numbers.__getitem__)]
    return {
        "distances": [beta * row[1] * Bohr for row in rows],
        "decays": [[row[3] / Bohr, row[4] / Bohr / beta] for row in rows],
        "strengths": [math.log(row[6]) for row in rows],
    }


@dataclass(frozen=True, kw_only=True)
class EmbeddedAtom(Local):
    """Hyper-parameters: cutoff in Angstrom; d, k and strength of every element, see `table`."""

    cutoff: float
    distances: tuple[float, ...]
    decays: tuple[tuple[float, ...], ...]
    strengths: tuple[float, ...]

    @property
    def n_features(self) -> int:
        """A logarithm, and how another one differs."""
        return 2

    def init(self, key, n_species: int):
        """a about the difference of two strengths."""
        start = jnp.asarray(self.strengths)[None] - jnp.asarray(self.strengths)[:, None]
        return {"log_amplitudes": start[..., None] + 0.01 * jax.random.normal(key, (n_species, n_species, 2))}

    def tables(self, params):
        """a, and the power of the first density that the second is nearly."""
        k = jnp.asarray(self.decays)
        return {"log_amplitudes": params["log_amplitudes"], "power": k[:, 1] / k[:, 0]}

    def features(self, table, edges, kinds):
        """(block, n_features)."""
        amplitudes, power = table["log_amplitudes"], table["power"]
        d, k = jnp.asarray(self.distances, amplitudes.dtype), jnp.asarray(self.decays, amplitudes.dtype)
        total = jnp.zeros((len(edges[0]), 2), amplitudes.dtype)
        for group, kind in zip(edges, kinds, strict=True):
            r = jnp.sqrt(jnp.maximum(jnp.sum(group * group, axis=-1), 1e-6))[..., None]
            inside = jnp.minimum(r, self.cutoff)  # padded neighbours: keep exp in range
            w = envelope(fraction(r, self.cutoff), 50) / (1 + jnp.exp(STEEPNESS * (inside - STEP)))
            exponent = amplitudes[kind][:, None] - k[kind][:, None] * (inside - d[kind][:, None, None])
            total = total + jnp.sum(jnp.exp(exponent) * w, axis=1)
        # log(1 + x) as log(x + small) - log(small): of numbers near 1, so that the difference is not all rounding
        first, second = jnp.moveaxis(jnp.log(total + 1e-8), -1, 0)
        nothing = jnp.log(jnp.asarray(1e-8, total.dtype))
        difference = second - power * first - (1 - power) * nothing
        features = jnp.stack([first - nothing, 20 * difference], axis=-1)
        return jnp.where(total > 0, features, 0)


DESCRIPTORS["embedded-atom"] = EmbeddedAtom
