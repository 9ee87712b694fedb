"""What an ensemble is: a few numbers, and two pure functions around one evaluation of forces.

A step is advance - forces - finish.  `advance` ends with the positions at which forces are needed,
so that the loop (`simulate.chunk`) can look whether the pair list still serves there before it
computes anything.  Adding an ensemble means one file here that fills in this class.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from latte_ase.simulate.state import State, System


@dataclass(frozen=True)
class Ensemble(ABC):
    """Common to all ensembles.

    Attributes:
        positive: names of the fields that must be larger than 0.
        changes_cell: the cell is scaled, which needs periodic boundaries.
        conserves_momentum: a total momentum of 0 stays 0, and is no degree of freedom.
        scales_velocities: the thermostat only scales velocities, so there must be some.
    """

    positive: ClassVar[tuple[str, ...]] = ()
    changes_cell: ClassVar[bool] = False
    conserves_momentum: ClassVar[bool] = True
    scales_velocities: ClassVar[bool] = False

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.generic):  # a checkpoint writes them as JSON
                value = value.item()
                object.__setattr__(self, field.name, value)
            if not np.isfinite(value):
                raise ValueError(f"{type(self).__name__}: {field.name} is {value}; a finite number is needed.")
            if field.name in self.positive and not value > 0:
                raise ValueError(f"{type(self).__name__}: {field.name} is {value}; it must be larger than 0.")

    @abstractmethod
    def parameters(self, *, freedom: int, mobile: int) -> dict[str, Any]:
        """Numbers that the step functions take, beside the time step; other values compile nothing.

        Args:
            freedom: degrees of freedom.
            mobile: atoms that are not fixed.
        """

    def own(self) -> dict[str, np.ndarray]:
        """Own variables at the start."""
        return {}

    @staticmethod
    @abstractmethod
    def advance(state: State, system: System, p: dict[str, Any], key) -> State:
        """All of a step before the forces.

        Args:
            state: a finished step.
            system: masses, volume.
            p: `parameters`, and "timestep".
            key: random key of this step.
        """

    @staticmethod
    @abstractmethod
    def finish(state: State, system: System, p: dict[str, Any]) -> State:
        """All of a step after the forces; the caller counts the step."""
