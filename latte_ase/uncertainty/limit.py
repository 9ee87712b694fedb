"""Limit of the uncertainty of forces in the domain of use of a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from ase import Atoms

from latte_ase.engine.engine import Engine
from latte_ase.model.potential import Potential

QUANTILE = 0.99
"""Of the frames; the few that are odd do not open the domain."""
FACTOR = 3.0
"""Largest uncertainty in dynamics of the shipped models up to 80 % of melting, relative to the quantile: 2.1, see docs/uncertainty.md."""
FRAMES = 400
"""Number of frames that are looked at."""


def with_limit(potential: Potential, frames: Sequence[Atoms], *, progress: Callable | None = None) -> Potential:
    """Potential whose committee has a limit.

        limit = 3 * q99( max_i sigma_i ),

    q99 being the quantile over the frames, and sigma_i the standard deviation of the force vector of atom i from the first
    `Committee.asked` members.

    Args:
        potential: a potential with a calibrated committee.
        frames: frames of the training set, or like it; at most 400 of them are looked at, evenly spaced.
        progress: wrapper of the iteration over frames, for example `rich.progress.track`.
    """
    committee, engine = potential.committee, Engine(potential)
    assert committee is not None
    chosen = [frames[k] for k in np.unique(np.linspace(0, len(frames) - 1, FRAMES).astype(int))]
    worst = []
    for atoms in progress(chosen) if progress else chosen:
        forces = engine.evaluate_members(atoms, committee.asked)[1]
        worst.append(np.linalg.norm(committee.deviations(forces), axis=1).max())
    limit = FACTOR * float(np.quantile(worst, QUANTILE))
    return replace(potential, committee=replace(committee, limit=limit or None))
