"""State of molecular dynamics on the device, in the order of the atoms.

Positions are r = r0 * (1 + strain) + u.  The positions r0 at which the neighbour list was built are kept in
float64 on the host, so that float32 is used only for displacements of less than an Angstrom, and rebuilding a
list loses no precision.  The cell is C0 * (1 + strain), to a relative precision of 1e-9 also in float32.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class State(NamedTuple):
    """Variables that change from step to step.

    Attributes:
        step: () int32, number of finished steps; -1 before the first forces.
        displacements: u (atoms, 3) in Angstrom.
        strain: () isotropic strain of the cell since the neighbour list was built.
        velocities: (atoms, 3) in ASE's unit, sqrt(eV / u).
        forces: (atoms, 3) in eV/Angstrom.
        energies: site energies (atoms,) in eV, without E0.
        virial: SUM g (x) D (3, 3) in eV.
        own: variables of the thermostat, {name: array}.
    """

    step: Any
    displacements: Any
    strain: Any
    velocities: Any
    forces: Any
    energies: Any
    virial: Any
    own: dict[str, Any]


class System(NamedTuple):
    """Constants of the dynamics between two builds of the neighbour list.

    Attributes:
        mass: (atoms, 1) in atomic mass units u.
        inverse_mass: (atoms, 1) in 1/u; 0 for a fixed atom, so that forces do not move it.
        volume: () volume in Angstrom^3 at which the neighbour list was built; 0 without a cell.
    """

    mass: Any
    inverse_mass: Any
    volume: Any


def kick(state: State, system: System, time) -> State:
    """State with the velocities after the forces have acted for `time`."""
    return state._replace(velocities=state.velocities + time * system.inverse_mass * state.forces)


def drift(state: State, time) -> State:
    """State with the positions after motion at constant velocity for `time`."""
    return state._replace(displacements=state.displacements + time * state.velocities)


def kinetic_energy(state: State, system: System) -> jax.Array:
    """Kinetic energy SUM m v^2 / 2 in eV; the velocities of fixed atoms are 0."""
    return 0.5 * jnp.sum(system.mass * state.velocities**2)
