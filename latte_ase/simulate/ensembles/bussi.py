"""Stochastic velocity rescaling (Bussi thermostat): the canonical ensemble."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from ase import units

from latte_ase.simulate.ensembles.base import Ensemble
from latte_ase.simulate.state import State, System, drift, kick, kinetic_energy


def rescale_velocities(state: State, system: System, p, key) -> State:
    """Velocities scaled by alpha in one step of the thermostat.

        alpha^2 = c + (1 - c) kT / 2K (R_1^2 + SUM_{i=2}^f R_i^2) + 2 R_1 sqrt(c (1 - c) kT / 2K),  c = exp(-dt / taut)

    with normal random numbers R_i (Bussi, Donadio & Parrinello, J. Chem. Phys. 126, 014101 (2007), eq. A7).

    Args:
        state: state with velocities v.
        system: masses.
        p: "kT" in eV, "taut" and "timestep" in ASE's unit of time, and the degrees of freedom f, "freedom".
        key: random key.

    Returns:
        State with velocities alpha v.
    """
    first, rest = jax.random.split(key)
    dtype, kept = state.velocities.dtype, jnp.exp(-p["timestep"] / p["taut"])
    normal = jax.random.normal(first, (), dtype)
    others = p["freedom"] - 1
    # a sum of `others` squares has a chi^2 distribution; with one degree of freedom it is empty
    squares = jnp.where(others > 0, 2 * jax.random.gamma(rest, jnp.maximum(others / 2, 0.5), (), dtype), 0)
    share = -jnp.expm1(-p["timestep"] / p["taut"]) * p["kT"] / (2 * kinetic_energy(state, system))
    squared = kept + share * (normal**2 + squares) + 2 * normal * jnp.sqrt(kept * share)
    return state._replace(velocities=jnp.sqrt(jnp.maximum(squared, 0)) * state.velocities)


@dataclass(frozen=True)
class Bussi(Ensemble):
    """Stochastic velocity rescaling, as `ase.md.bussi.Bussi`: the canonical ensemble.

    Before each step of velocity Verlet all velocities are scaled by one random factor, see `rescale_velocities`.
    The thermostat has little effect on dynamical properties such as diffusion.

    Attributes:
        temperature_K: temperature in Kelvin.
        taut: relaxation time of the kinetic energy in ASE's unit, such as 100 * units.fs.
    """

    temperature_K: float
    taut: float
    positive: ClassVar = ("temperature_K", "taut")
    scales_velocities: ClassVar = True

    def parameters(self, *, freedom: int, mobile: int) -> dict[str, Any]:
        """Thermal energy in eV, relaxation time and degrees of freedom."""
        return {"kT": units.kB * self.temperature_K, "taut": self.taut, "freedom": freedom}

    @staticmethod
    def advance(state: State, system: System, p: dict[str, Any], key: jax.Array) -> State:
        """Scaling of the velocities, half a kick, drift."""
        state = rescale_velocities(state, system, p, key)
        return drift(kick(state, system, p["timestep"] / 2), p["timestep"])

    @staticmethod
    def finish(state: State, system: System, p: dict[str, Any]) -> State:
        """Half a kick."""
        return kick(state, system, p["timestep"] / 2)
