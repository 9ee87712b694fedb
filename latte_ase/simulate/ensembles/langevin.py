"""Langevin dynamics: the canonical ensemble."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from ase import units

from latte_ase.simulate.ensembles.base import Ensemble
from latte_ase.simulate.state import State, System, drift, kick


@dataclass(frozen=True)
class Langevin(Ensemble):
    """Langevin dynamics with the BAOAB splitting: the canonical ensemble.

        B: v += dt/2 F/m,  A: r += dt/2 v,  O: v = c v + sqrt((1 - c^2) kT/m) N(0, 1),  c = exp(-friction dt)

    (Leimkuhler & Matthews, J. Chem. Phys. 138, 174102 (2013)).  Positions of a harmonic system are sampled exactly at
    any stable time step.  Friction and noise act on each atom, so stiff and weakly coupled systems are sampled
    ergodically too; the centre of mass diffuses.

    Attributes:
        temperature_K: temperature in Kelvin.
        friction: friction coefficient in inverse units of ASE's time, such as 0.01 / units.fs.
    """

    temperature_K: float
    friction: float
    positive: ClassVar = ("temperature_K", "friction")
    conserves_momentum: ClassVar = False

    def parameters(self, *, freedom: int, mobile: int) -> dict[str, Any]:
        """Thermal energy in eV and friction."""
        return {"kT": units.kB * self.temperature_K, "friction": self.friction}

    @staticmethod
    def advance(state: State, system: System, p: dict[str, Any], key: jax.Array) -> State:
        """Substeps B A O A."""
        dt = p["timestep"]
        state = drift(kick(state, system, dt / 2), dt / 2)
        noise = jax.random.normal(key, state.velocities.shape, state.velocities.dtype)
        kept = jnp.exp(-p["friction"] * dt)
        # expm1 avoids cancellation in 1 - c^2 where friction * dt is small
        spread = jnp.sqrt(-jnp.expm1(-2 * p["friction"] * dt) * p["kT"] * system.inverse_mass)
        return drift(state._replace(velocities=kept * state.velocities + spread * noise), dt / 2)

    @staticmethod
    def finish(state: State, system: System, p: dict[str, Any]) -> State:
        """Substep B."""
        return kick(state, system, p["timestep"] / 2)
