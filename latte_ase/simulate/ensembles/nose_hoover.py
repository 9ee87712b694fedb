"""Nose-Hoover chain: the canonical ensemble by deterministic dynamics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from ase import units

from latte_ase.simulate.ensembles.base import Ensemble
from latte_ase.simulate.state import State, System, drift, kick, kinetic_energy

_CUBE_ROOT = 2 ** (1 / 3)
FOURTH_ORDER = (1 / (2 - _CUBE_ROOT), -_CUBE_ROOT / (2 - _CUBE_ROOT), 1 / (2 - _CUBE_ROOT))
"""Weights of a symmetric splitting of fourth order (Yoshida, Phys. Lett. A 150, 262 (1990))."""


def _chain(scale, bath, momentum, kinetic, time, p):
    """Scale factor of the velocities, and variables of the chain, after `time`: one symmetric pass over the chain."""
    inertia, last = p["inertia"], momentum.shape[0] - 1

    def push(momentum, k):
        damping = jnp.exp(-time / 4 * momentum[k + 1] / inertia[k + 1]) if k < last else 1.0
        if k == 0:
            force = 2 * kinetic * scale**2 - p["freedom"] * p["kT"]
        else:
            force = momentum[k - 1] ** 2 / inertia[k - 1] - p["kT"]
        return momentum.at[k].set((momentum[k] * damping + time / 2 * force) * damping)

    for k in range(last, -1, -1):
        momentum = push(momentum, k)
    bath = bath + time * momentum / inertia
    scale = scale * jnp.exp(-time * momentum[0] / inertia[0])
    for k in range(last + 1):
        momentum = push(momentum, k)
    return scale, bath, momentum


def couple(state: State, system: System, p) -> State:
    """State after the thermostat has acted for half a time step (Tuckerman et al., J. Phys. A 39, 5629 (2006))."""
    kinetic, scale = kinetic_energy(state, system), jnp.ones((), state.velocities.dtype)
    bath, momentum = state.own["bath"], state.own["momentum"]
    for weight in FOURTH_ORDER:
        scale, bath, momentum = _chain(scale, bath, momentum, kinetic, weight * p["timestep"] / 2, p)
    return state._replace(velocities=scale * state.velocities, own={"bath": bath, "momentum": momentum})


@dataclass(frozen=True)
class NoseHooverChain(Ensemble):
    """Nose-Hoover chain, as `ase.md.nose_hoover_chain.NoseHooverChainNVT`: the canonical ensemble, deterministic.

    (Martyna, Klein & Tuckerman, J. Chem. Phys. 97, 2635 (1992)).  Harmonic and very small systems can remain correlated
    with their initial state for a long time; use `Langevin` for them.

    Attributes:
        temperature_K: temperature in Kelvin.
        tdamp: characteristic time of the thermostat in ASE's unit, such as 100 time steps.
        tchain: number of thermostats in the chain.
    """

    temperature_K: float
    tdamp: float
    tchain: int = 3
    positive: ClassVar = ("temperature_K", "tdamp", "tchain")

    def parameters(self, *, freedom: int, mobile: int) -> dict[str, Any]:
        """Thermal energy in eV, degrees of freedom, and inertia of each thermostat."""
        kT = units.kB * self.temperature_K
        inertia = np.full(self.tchain, kT * self.tdamp**2)
        inertia[0] *= freedom
        return {"kT": kT, "freedom": freedom, "inertia": inertia}

    def own(self):
        """Initial coordinates and momenta of the thermostats, which are 0."""
        return {"bath": np.zeros(self.tchain), "momentum": np.zeros(self.tchain)}

    @staticmethod
    def advance(state: State, system: System, p: dict[str, Any], key: jax.Array) -> State:
        """Thermostat, half a kick, drift."""
        return drift(kick(couple(state, system, p), system, p["timestep"] / 2), p["timestep"])

    @staticmethod
    def finish(state: State, system: System, p: dict[str, Any]) -> State:
        """Half a kick, thermostat."""
        return couple(kick(state, system, p["timestep"] / 2), system, p)
