"""DistillationPlan of a distillation: what is sampled, how much is labelled, and how the pupil is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from ase import Atoms, units

from latte_ase.settings import Allowed, Natural, OneOf, Positive, check_fields
from latte_ase.training.config import PRESETS

Pressure = Annotated[float, Allowed("a finite number", lambda p: abs(p) < 1e4)]

FIRST_SHARE = 1 / 3
"""Of the labels: rattled and strained seeds, and dynamics of the teacher."""
ROUNDS = 5
"""Further rounds at most, each with the same share of the other labels, of which there are at least `FEWEST_LABELS`."""
FEWEST_LABELS = 10
FASTEST_MASS = 28.0
"""Atomic mass units: with a lightest atom of this mass the time step is 2 fs."""


@dataclass(frozen=True, kw_only=True)
class DistillationPlan:
    """DistillationPlan of a distillation.

    Attributes:
        temperatures_K: of the pupil's dynamics.
        pressures_GPa: of its dynamics, for seeds with periodic boundaries in three directions if the teacher has stress; empty
            for constant volume.
        labels: labels of the teacher at most, without those for the report.
        hours: no round begins after this time.
        size: preset of the pupil, `training.config.PRESETS`.
        seed: of all random numbers.
    """

    temperatures_K: tuple[Positive, ...] = (300.0, 600.0, 1000.0)
    pressures_GPa: tuple[Pressure, ...] = (0.0,)
    labels: Annotated[int, Allowed("a whole number of 20 or more", lambda n: 20 <= n < 2**31)] = 600
    hours: Annotated[float, Allowed("a number larger than 0, or inf", lambda x: x > 0)] = float("inf")
    size: Annotated[str, OneOf(PRESETS)] = "medium"
    seed: Natural = 0

    def __post_init__(self):
        check_fields(self)
        if not self.temperatures_K:
            raise ValueError("temperatures_K is empty; one temperature or more is needed.")

    @property
    def first_labels(self) -> int:
        """Labels of round 0."""
        return max(10, round(FIRST_SHARE * self.labels))

    @property
    def further_labels(self) -> int:
        """Labels of each further round."""
        return (self.labels - self.first_labels) // self.rounds

    @property
    def rounds(self) -> int:
        """Number of further rounds at most."""
        return max(1, min(ROUNDS, (self.labels - self.first_labels) // FEWEST_LABELS))


def timestep(atoms: Atoms) -> float:
    """Time step of dynamics in ASE's unit: 2 fs sqrt(m / 28 u) of the lightest atom, from 0.5 to 2 fs."""
    return float(np.clip(2 * np.sqrt(atoms.get_masses().min() / FASTEST_MASS), 0.5, 2.0)) * units.fs
