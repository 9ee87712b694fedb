"""What dynamics carries from step to step on the device, in the order of the atoms.

Positions are r = r0 * (1 + strain) + u with r0, the positions when the pair list was built, kept
in float64 on the host: float32 acts on displacements of less than an Angstrom, and a list rebuild
loses nothing.  The cell is C0 * (1 + strain) likewise, to a relative 1e-9 also in float32.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class State(NamedTuple):
    """Atoms in motion.

    Attributes:
        step: () int32, steps finished; -1 before the first forces.
        displacements: (atoms, 3) u in Angstrom.
        strain: () isotropic strain of the cell since the list was built.
        velocities: (atoms, 3) in ASE's unit, sqrt(eV / u).
        forces: (atoms, 3) eV/Angstrom.
        energies: (atoms,) eV without E0.
        virial: (3, 3) eV, SUM g (x) D.
        own: variables of the ensemble's thermostat, {name: array}.
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
    """What stays the same.

    Attributes:
        mass: (atoms, 1) u.
        inverse_mass: (atoms, 1) 1/u; 0 for a fixed atom, so that no force moves it.
        volume: () Angstrom^3 when the list was built; 0 without a cell.
    """

    mass: Any
    inverse_mass: Any
    volume: Any


def kick(state: State, system: System, time) -> State:
    """Velocities after the present forces acted for `time`."""
    return state._replace(velocities=state.velocities + time * system.inverse_mass * state.forces)


def drift(state: State, time) -> State:
    """Positions after free flight for `time`."""
    return state._replace(displacements=state.displacements + time * state.velocities)


def kinetic_energy(state: State, system: System) -> jax.Array:
    """SUM m v^2 / 2 in eV; fixed atoms have no velocity."""
    return 0.5 * jnp.sum(system.mass * state.velocities**2)
