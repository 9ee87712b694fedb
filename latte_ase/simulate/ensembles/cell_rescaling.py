"""Constant pressure and temperature: stochastic rescaling of the cell and of all velocities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from ase import units

from latte_ase.simulate.ensembles.base import Ensemble
from latte_ase.simulate.ensembles.bussi import rescale_velocities
from latte_ase.simulate.state import State, System, drift, kick, kinetic_energy


def rescale_cell(state: State, system: System, p, key) -> State:
    """One step of the barostat: Bernetti & Bussi, J. Chem. Phys. 153, 114107 (2020).

    With lambda = sqrt(V), in which the noise has constant strength, b = compressibility / taup,

        d lambda = -(b lambda / 2) (P_ext - P - kT / 2V) dt + sqrt(b kT / 2) dW
        P = (2 K + (3 n - f) kT - tr W) / 3V,

    then r and the cell are scaled by s = (V' / V)^(1/3), velocities by 1 / s.  The second term of P is
    the share of the n atoms' momenta that are conserved at 0 and so neither in K nor scaled: with it
    the volume has the isothermal-isobaric distribution for any n, P(V) ~ V^n exp(-P_ext V / kT) for
    an ideal gas.

    Args:
        state: with the virial of a moment ago: at most one time step old.
        system: masses, volume when the list was built.
        p: "kT" in eV, "pressure" in eV/Angstrom^3, "rate" b, "timestep", "conserved" 3 n - f.
        key: random key.
    """
    volume = system.volume * (1 + state.strain) ** 3
    inner = (2 * kinetic_energy(state, system) + p["conserved"] * p["kT"] - jnp.trace(state.virial)) / (3 * volume)
    rate, dt = p["rate"], p["timestep"]
    noise = jnp.sqrt(rate * p["kT"] * dt / (2 * volume)) * jax.random.normal(key, (), volume.dtype)
    relative = -rate / 2 * (p["pressure"] - inner - p["kT"] / (2 * volume)) * dt + noise  # d lambda / lambda
    growth = jnp.expm1(2 / 3 * jnp.log1p(relative))  # s - 1 with all its digits
    return state._replace(
        displacements=state.displacements * (1 + growth),
        velocities=state.velocities / (1 + growth),
        strain=state.strain + growth + state.strain * growth,
    )


@dataclass(frozen=True)
class CellRescaling(Ensemble):
    """Isotropic stochastic cell rescaling with stochastic velocity rescaling: the NPT ensemble.

    The cell keeps its shape.  Unlike Berendsen's barostat, volume and its fluctuations are those of
    the ensemble; unlike a piston, the volume relaxes without ringing.  Only compressibility_au / taup
    enters, so a rough compressibility does.

    Attributes:
        temperature_K: in Kelvin.
        pressure_au: external pressure in eV/Angstrom^3, such as 1 * units.bar.
        taut: relaxation time of the kinetic energy in ASE's unit, such as 100 * units.fs.
        taup: relaxation time of the volume, such as 1000 * units.fs.
        compressibility_au: of the material in Angstrom^3/eV; default: water's, 4.57e-5 / bar.
    """

    temperature_K: float
    pressure_au: float
    taut: float
    taup: float
    compressibility_au: float = 4.57e-5 / units.bar
    positive: ClassVar = ("temperature_K", "taut", "taup", "compressibility_au")
    changes_cell: ClassVar = True
    scales_velocities: ClassVar = True

    def parameters(self, *, freedom, mobile):
        """Thermal energy, pressure, rates, degrees of freedom."""
        return {
            "kT": units.kB * self.temperature_K,
            "pressure": self.pressure_au,
            "taut": self.taut,
            "rate": self.compressibility_au / self.taup,
            "freedom": freedom,
            "conserved": 3 * mobile - freedom,
        }

    @staticmethod
    def advance(state, system, p, key):
        """Velocities scaled, half a kick, drift, cell scaled: forces will be those of the scaled positions."""
        thermal, volume = jax.random.split(key)
        state = rescale_velocities(state, system, p, thermal)
        state = drift(kick(state, system, p["timestep"] / 2), p["timestep"])
        return rescale_cell(state, system, p, volume)

    @staticmethod
    def finish(state, system, p):
        """Half a kick."""
        return kick(state, system, p["timestep"] / 2)
