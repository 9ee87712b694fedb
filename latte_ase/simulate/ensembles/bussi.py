"""Constant temperature: stochastic rescaling of all velocities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from ase import units

from latte_ase.simulate.ensembles.base import Ensemble
from latte_ase.simulate.state import State, System, drift, kick, kinetic_energy


def rescale_velocities(state: State, system: System, p, key) -> State:
    """One step of the thermostat: Bussi, Donadio & Parrinello, J. Chem. Phys. 126, 014101 (2007), eq. A7.

    alpha^2 = c + (1 - c) kT / 2K (R_1^2 + SUM_{i=2}^f R_i^2) + 2 R_1 sqrt(c (1 - c) kT / 2K),  c = exp(-dt / taut)

    Args:
        state: with velocities v; alpha v come back.
        system: masses.
        p: "kT" in eV, "taut", "timestep", and "freedom", f.
        key: random key.
    """
    first, rest = jax.random.split(key)
    dtype, kept = state.velocities.dtype, jnp.exp(-p["timestep"] / p["taut"])
    normal = jax.random.normal(first, (), dtype)
    others = p["freedom"] - 1
    # a chi^2 distributed sum of `others` squares; with one degree of freedom there are none
    squares = jnp.where(others > 0, 2 * jax.random.gamma(rest, jnp.maximum(others / 2, 0.5), (), dtype), 0)
    share = -jnp.expm1(-p["timestep"] / p["taut"]) * p["kT"] / (2 * kinetic_energy(state, system))
    squared = kept + share * (normal**2 + squares) + 2 * normal * jnp.sqrt(kept * share)
    return state._replace(velocities=jnp.sqrt(jnp.maximum(squared, 0)) * state.velocities)


@dataclass(frozen=True)
class Bussi(Ensemble):
    """Stochastic velocity rescaling, as `ase.md.bussi.Bussi`; disturbs dynamics and diffusion little.

    Before each step of velocity Verlet all velocities are scaled by one random factor, see
    `rescale_velocities`.

    Attributes:
        temperature_K: in Kelvin.
        taut: relaxation time of the kinetic energy in ASE's unit, such as 100 * units.fs.
    """

    temperature_K: float
    taut: float
    positive: ClassVar = ("temperature_K", "taut")
    scales_velocities: ClassVar = True

    def parameters(self, *, freedom, mobile):
        """Thermal energy in eV, relaxation time, degrees of freedom."""
        return {"kT": units.kB * self.temperature_K, "taut": self.taut, "freedom": freedom}

    @staticmethod
    def advance(state, system, p, key):
        """Scaling, half a kick, drift."""
        state = rescale_velocities(state, system, p, key)
        return drift(kick(state, system, p["timestep"] / 2), p["timestep"])

    @staticmethod
    def finish(state, system, p):
        """Half a kick."""
        return kick(state, system, p["timestep"] / 2)
