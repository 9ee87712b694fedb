"""Velocity Verlet: the microcanonical ensemble."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax

from latte_ase.simulate.ensembles.base import Ensemble
from latte_ase.simulate.state import State, System, drift, kick


@dataclass(frozen=True)
class NVE(Ensemble):
    """Velocity Verlet, as `ase.md.verlet.VelocityVerlet`: the microcanonical ensemble.

        v += dt/2 F/m,  r += dt v,  v += dt/2 F(r)/m

    (Swope et al., J. Chem. Phys. 76, 637 (1982)).
    """

    def parameters(self, *, freedom: int, mobile: int) -> dict[str, Any]:
        """No parameters."""
        return {}

    @staticmethod
    def advance(state: State, system: System, p: dict[str, Any], key: jax.Array) -> State:
        """Half a kick, drift."""
        return drift(kick(state, system, p["timestep"] / 2), p["timestep"])

    @staticmethod
    def finish(state: State, system: System, p: dict[str, Any]) -> State:
        """Half a kick."""
        return kick(state, system, p["timestep"] / 2)
