"""Conditions of a live simulation: what a person may change while it runs."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from ase import units

MODES = ("nve", "langevin", "npt", "relax")
"""Constant energy, constant temperature, constant temperature and pressure, relaxation."""

SOFTNESS = 3.0
"""Angstrom^3/eV, assumed compressibility: it decides only how fast a volume relaxes, in 0.3 (water) to 3 ps (metals)."""

TAUP = 1000 * units.fs
"""Relaxation time of a volume with that compressibility."""

LIMITS = {"temperature_K": (0.0, 3000.0), "friction": (0.0, 0.1)}
"""Ranges of the page's sliders: Kelvin, 1/fs."""


@dataclass(frozen=True)
class Conditions:
    """Conditions of the dynamics, in ASE's units.

    Attributes:
        mode: one of `MODES`.
        temperature_K: of the thermostat in Kelvin; in the modes "langevin" and "npt".
        friction: of the thermostat in inverse units of ASE's time; in the modes "langevin" and "npt".
        pressure_au: in eV/Angstrom^3; in the mode "npt".
        timestep: in ASE's unit.

    Raises:
        ValueError: the mode is unknown, or a number is not finite or not possible.
    """

    mode: str = "langevin"
    temperature_K: float = 300.0
    friction: float = 0.01 / units.fs
    pressure_au: float = 0.0
    timestep: float = 1.0 * units.fs

    def __post_init__(self):
        if self.mode not in MODES:
            raise ValueError(f"mode is {self.mode!r}; allowed are {', '.join(map(repr, MODES))}.")
        for name in (f.name for f in fields(self) if f.name != "mode"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not np.isfinite(value):
                raise ValueError(f"{name} is {value!r}; a finite number is needed.")
            object.__setattr__(self, name, float(value))
        for name in ("temperature_K", "friction"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name):g}; it must be 0 or larger.")
        if not self.timestep > 0:
            raise ValueError(f"timestep is {self.timestep:g}; it must be larger than 0, such as 1 * ase.units.fs.")
