"""Base class of ensembles: parameters, and two pure functions around one evaluation of forces.

A step is advance - forces - finish.  `advance` ends with the positions at which forces are needed, so that
the loop (`latte_ase.simulate.device_loop`) can test whether the neighbour list is still valid there before it
computes forces.  A new ensemble is one module here with a subclass of `Ensemble`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import jax
import numpy as np

from latte_ase.simulate.state import State, System


@dataclass(frozen=True)
class Ensemble(ABC):
    """Base class of ensembles: a frozen dataclass of parameters with the functions of a step.

    Attributes:
        positive: names of the fields that must be larger than 0.
        changes_cell: whether the cell is scaled, which requires periodic boundaries.
        conserves_momentum: whether a total momentum of 0 is conserved, and so is not a degree of freedom.
        scales_velocities: whether the thermostat only scales velocities, which must then not be zero.

    Raises:
        ValueError: a field is not finite, or one of `positive` is not larger than 0.
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
        """Numbers that the step functions need, in addition to the time step; new values need no compilation.

        Args:
            freedom: number of degrees of freedom.
            mobile: number of atoms that are not fixed.
        """

    def own(self) -> dict[str, np.ndarray]:
        """Initial values of the variables of the thermostat, {name: array}."""
        return {}

    @staticmethod
    @abstractmethod
    def advance(state: State, system: System, p: dict[str, Any], key: jax.Array) -> State:
        """First part of a step, before the forces are computed.

        Args:
            state: state after the last step.
            system: masses and volume.
            p: `parameters`, and "timestep".
            key: random key of this step.

        Returns:
            State with the positions at which forces are needed.
        """

    @staticmethod
    @abstractmethod
    def finish(state: State, system: System, p: dict[str, Any]) -> State:
        """Second part of a step, after the forces have been computed.

        Args:
            state: state with the forces at the positions of `advance`.
            system: masses and volume.
            p: `parameters`, and "timestep".

        Returns:
            State after the step; the caller increments the number of steps.
        """
