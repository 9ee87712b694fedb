"""A descriptor like the embedded-atom method's: densities of exponentials, and their logarithms.

    rho[i, u] = SUM_j exp(a[s_i, s_j, u] - k[s_j, u] (r_ij - 2.5 Angstrom)) w(r_ij)
    features  = rho[i, u], log(1 + 1000 rho[i, u])

EMT (Jacobsen, Stoltze, Norskov, Surf. Sci. 366, 394 (1996)) is a function of such sums; w is its smooth step in front
of the fourth neighbours of silver, times an envelope that makes it end at the cutoff.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from latte_ase.descriptors import DESCRIPTORS
from latte_ase.descriptors.base import Local
from latte_ase.radial import envelope, fraction

STEP, STEEPNESS = 5.376, 23.8  # Angstrom and 1/Angstrom, as ase.calculators.emt has them


@dataclass(frozen=True, kw_only=True)
class EmbeddedAtom(Local):
    """Hyper-parameters: cutoff in Angstrom and number of densities."""

    cutoff: float
    densities: int = 3

    @property
    def n_features(self) -> int:
        """Each density and its logarithm."""
        return 2 * self.densities

    def init(self, key, n_species: int):
        """k about 3 / Angstrom, a about 0."""
        amplitude, decay = jax.random.split(key)
        shape = (n_species, self.densities)
        return {
            "log_amplitudes": 0.1 * jax.random.normal(amplitude, (n_species, *shape)),
            "decays": 3 + 0.3 * jax.random.normal(decay, shape),
        }

    def tables(self, params):
        """a, and for every species of the centre all k."""
        k = params["decays"]
        return {"log_amplitudes": params["log_amplitudes"], "decays": jnp.broadcast_to(k, (len(k), *k.shape))}

    def features(self, table, edges, kinds):
        """(block, n_features)."""
        total = jnp.zeros((len(edges[0]), self.densities), edges[0].dtype)
        for group, kind in zip(edges, kinds, strict=True):
            r = jnp.sqrt(jnp.maximum(jnp.sum(group * group, axis=-1), 1e-6))[..., None]
            inside = jnp.minimum(r, self.cutoff)  # padded neighbours: keep exp in range
            w = envelope(fraction(r, self.cutoff), 50) / (1 + jnp.exp(STEEPNESS * (inside - STEP)))
            a, k = (table[name][kind][:, None] for name in ("log_amplitudes", "decays"))
            total = total + jnp.sum(jnp.exp(a - k * (inside - 2.5)) * w, axis=1)
        return jnp.concatenate([total, jnp.log1p(1000 * total)], axis=-1)


DESCRIPTORS["embedded-atom"] = EmbeddedAtom
