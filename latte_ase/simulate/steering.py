"""Dynamics whose conditions change while it runs: constant energy, temperature or pressure, or relaxation, all as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ase import units

from latte_ase.simulate.ensembles import Ensemble, Langevin
from latte_ase.simulate.ensembles.cell_rescaling import rescale_cell
from latte_ase.simulate.state import State, System, kick


class Fire(NamedTuple):
    """Constants of FIRE, those of `ase.optimize.FIRE` (Bitzek et al., Phys. Rev. Lett. 97, 170201 (2006)).

    Attributes:
        start: first time step, in the unit of a mass of 1: Angstrom / sqrt(eV).
        longest: longest time step.
        mixing: first share of the force's direction in the velocity.
        patience: steps downhill before the time step grows.
        farthest: largest displacement of an atom in a step, Angstrom.
    """

    start: float = 0.1
    longest: float = 1.0
    mixing: float = 0.1
    patience: int = 5
    farthest: float = 0.1


FIRE = Fire()


def relax(state: State, system: System) -> State:
    """One step of FIRE from a state with its forces; `own` has the time step, the mixing and the steps downhill.

    With P = F . v of the mobile atoms, v = (1 - a) v + a |v| F/|F| where P > 0, else v = 0; then v += dt F, r += dt v.
    """
    forces = jnp.where(system.inverse_mass > 0, state.forces, 0)
    velocities, dt, mixing, downhill = state.velocities, *(state.own[k] for k in ("step", "mixing", "downhill"))
    descends = jnp.sum(forces * velocities) > 0
    size, strength = jnp.sqrt(jnp.sum(velocities**2)), jnp.sqrt(jnp.sum(forces**2))
    mixed = (1 - mixing) * velocities + mixing * size / jnp.maximum(strength, 1e-12) * forces
    patient = descends & (downhill > FIRE.patience)
    at_rest = size == 0  # the first step, which must not shorten the next one
    dt = jnp.where(patient, jnp.minimum(dt * 1.1, FIRE.longest), jnp.where(descends | at_rest, dt, dt * 0.5))
    mixing = jnp.where(patient, mixing * 0.99, jnp.where(descends, mixing, FIRE.mixing))
    velocities = jnp.where(descends, mixed, 0) + dt * forces
    moves = dt * velocities
    longest = jnp.sqrt(jnp.max(jnp.sum(moves**2, axis=1)))
    moves = moves * jnp.minimum(1, FIRE.farthest / jnp.maximum(longest, 1e-12))
    own = {"step": dt, "mixing": mixing, "downhill": jnp.where(descends, downhill + 1, 0)}
    return state._replace(displacements=state.displacements + moves, velocities=velocities, own=own)


@dataclass(frozen=True)
class Steered(Ensemble):
    """Dynamics that a person steers: one compiled step for all modes.

    Langevin dynamics (BAOAB), which without friction is velocity Verlet, with stochastic cell rescaling where `cell_rate` is not 0;
    or steps of FIRE.  All degrees of freedom count, three for each mobile atom: a pull changes the momentum.

    Attributes:
        temperature_K: temperature in Kelvin.
        friction: in inverse units of ASE's time; 0 for constant energy.
        pressure_au: external pressure in eV/Angstrom^3.
        cell_rate: compressibility / taup, see `CellRescaling`; 0 for a constant cell.
        relaxes: whether steps of FIRE are taken.

    Raises:
        ValueError: temperature, friction or rate are below 0, or a field is not finite.
    """

    temperature_K: float = 300.0
    friction: float = 0.0
    pressure_au: float = 0.0
    cell_rate: float = 0.0
    relaxes: bool = False
    conserves_momentum: ClassVar = False

    def __post_init__(self):
        super().__post_init__()
        for name in ("temperature_K", "friction", "cell_rate"):
            if getattr(self, name) < 0:
                raise ValueError(f"Steered: {name} is {getattr(self, name)}; it must be 0 or larger.")

    def parameters(self, *, freedom: int, mobile: int) -> dict[str, Any]:
        """Thermal energy in eV, friction, pressure, rate of the cell, and whether to relax."""
        return {
            "kT": units.kB * self.temperature_K,
            "friction": self.friction,
            "pressure": self.pressure_au,
            "rate": self.cell_rate,
            "conserved": 3 * mobile - freedom,
            "relaxes": float(self.relaxes),
        }

    def own(self) -> dict[str, np.ndarray]:
        """Initial variables of FIRE."""
        return {"step": np.array(FIRE.start), "mixing": np.array(FIRE.mixing), "downhill": np.zeros(())}

    @staticmethod
    def advance(state: State, system: System, p: dict[str, Any], key: jax.Array) -> State:
        """Langevin dynamics and scaling of the cell, or a step of FIRE."""
        thermal, volume = jax.random.split(key)
        moved = Langevin.advance(state, system, p, thermal)
        # without a cell the volume is 0, and the rate too
        moved = rescale_cell(moved, system._replace(volume=jnp.where(system.volume > 0, system.volume, 1)), p, volume)
        return jax.tree.map(lambda a, b: jnp.where(p["relaxes"] > 0, a, b), relax(state, system), moved)

    @staticmethod
    def finish(state: State, system: System, p: dict[str, Any]) -> State:
        """Half a kick; nothing in a relaxation."""
        return kick(state, system, jnp.where(p["relaxes"] > 0, 0, p["timestep"] / 2))
