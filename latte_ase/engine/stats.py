"""Counters of an engine."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass
class Stats:
    """Counters of an engine.

    Attributes:
        calls: evaluations.
        compilations: functions compiled because of this engine.
        list_builds: neighbour lists built.
        padding_waste: share of the places for pairs that the last list left empty, in blocks that are in use.
    """

    calls: int = 0
    compilations: int = 0
    list_builds: int = 0
    padding_waste: float = 0.0

    def __str__(self):
        return ", ".join(f"{k} {v:.3g}" for k, v in asdict(self).items())
