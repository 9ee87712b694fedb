"""Constant energy: velocity Verlet."""

from __future__ import annotations

from dataclasses import dataclass

from latte_ase.simulate.ensembles.base import Ensemble
from latte_ase.simulate.state import drift, kick


@dataclass(frozen=True)
class NVE(Ensemble):
    """Velocity Verlet, as `ase.md.verlet.VelocityVerlet`.

    v += dt/2 F/m,  r += dt v,  v += dt/2 F(r)/m       (Swope et al., J. Chem. Phys. 76, 637 (1982))
    """

    def parameters(self, *, freedom, mobile):
        """None."""
        return {}

    @staticmethod
    def advance(state, system, p, key):
        """First half of the kick, then the drift."""
        return drift(kick(state, system, p["timestep"] / 2), p["timestep"])

    @staticmethod
    def finish(state, system, p):
        """Second half of the kick."""
        return kick(state, system, p["timestep"] / 2)
