"""Stochastic cell rescaling: the isothermal-isobaric ensemble."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from ase import units

from latte_ase.simulate.ensembles.base import Ensemble
from latte_ase.simulate.ensembles.bussi import rescale_velocities
from latte_ase.simulate.state import State, System, drift, kick, kinetic_energy


def rescale_cell(state: State, system: System, p, key) -> State:
    """Positions, velocities and cell scaled in one step of the barostat.

    With lambda = sqrt(V), for which the noise has constant strength, and b = compressibility / taup,

        d lambda = -(b lambda / 2) (P_ext - P - kT / 2V) dt + sqrt(b kT / 2) dW
        P = (2 K + (3 n - f) kT - tr W) / 3V

    (Bernetti & Bussi, J. Chem. Phys. 153, 114107 (2020)); then positions and cell are scaled by
    s = (V' / V)^(1/3) and velocities by 1 / s.  The term (3 n - f) kT of P is the contribution of momenta of the
    n atoms that are conserved at 0, and so are neither in K nor scaled.  With it the volume has the
    isothermal-isobaric distribution for any n, P(V) ~ V^n exp(-P_ext V / kT) for an ideal gas.

    Args:
        state: state with a virial that is at most one time step old.
        system: masses, and the volume at which the neighbour list was built.
        p: "kT" in eV, "pressure" in eV/Angstrom^3, "rate" b, "timestep", and "conserved" 3 n - f.
        key: random key.

    Returns:
        Scaled state.
    """
    volume = system.volume * (1 + state.strain) ** 3
    inner = (2 * kinetic_energy(state, system) + p["conserved"] * p["kT"] - jnp.trace(state.virial)) / (3 * volume)
    rate, dt = p["rate"], p["timestep"]
    noise = jnp.sqrt(rate * p["kT"] * dt / (2 * volume)) * jax.random.normal(key, (), volume.dtype)
    relative = -rate / 2 * (p["pressure"] - inner - p["kT"] / (2 * volume)) * dt + noise  # d lambda / lambda
    growth = jnp.expm1(2 / 3 * jnp.log1p(relative))  # s - 1 without cancellation
    return state._replace(
        displacements=state.displacements * (1 + growth),
        velocities=state.velocities / (1 + growth),
        strain=state.strain + growth + state.strain * growth,
    )


@dataclass(frozen=True)
class CellRescaling(Ensemble):
    """Isotropic stochastic cell rescaling with stochastic velocity rescaling: the isothermal-isobaric (NPT) ensemble.

    The shape of the cell is kept.  The volume and its fluctuations are those of the ensemble, in contrast to
    Berendsen's barostat, and the volume relaxes without oscillations, in contrast to barostats with a piston.
    Only compressibility_au / taup enters, so the compressibility need not be accurate.

    Attributes:
        temperature_K: temperature in Kelvin.
        pressure_au: external pressure in eV/Angstrom^3, such as 1 * units.bar.
        taut: relaxation time of the kinetic energy in ASE's unit, such as 100 * units.fs.
        taup: relaxation time of the volume in ASE's unit, such as 1000 * units.fs.
        compressibility_au: isothermal compressibility in Angstrom^3/eV; the default is that of water, 4.57e-5 / bar.
    """

    temperature_K: float
    pressure_au: float
    taut: float
    taup: float
    compressibility_au: float = 4.57e-5 / units.bar
    positive: ClassVar = ("temperature_K", "taut", "taup", "compressibility_au")
    changes_cell: ClassVar = True
    scales_velocities: ClassVar = True

    def parameters(self, *, freedom: int, mobile: int) -> dict[str, Any]:
        """Thermal energy, pressure, relaxation times and degrees of freedom."""
        return {
            "kT": units.kB * self.temperature_K,
            "pressure": self.pressure_au,
            "taut": self.taut,
            "rate": self.compressibility_au / self.taup,
            "freedom": freedom,
            "conserved": 3 * mobile - freedom,
        }

    @staticmethod
    def advance(state: State, system: System, p: dict[str, Any], key: jax.Array) -> State:
        """Scaling of the velocities, half a kick, drift, scaling of the cell."""
        thermal, volume = jax.random.split(key)
        state = rescale_velocities(state, system, p, thermal)
        state = drift(kick(state, system, p["timestep"] / 2), p["timestep"])
        return rescale_cell(state, system, p, volume)

    @staticmethod
    def finish(state: State, system: System, p: dict[str, Any]) -> State:
        """Half a kick."""
        return kick(state, system, p["timestep"] / 2)
