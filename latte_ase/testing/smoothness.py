"""Checks that energy, force and its derivative are continuous functions of the distance of two atoms.

A scan in coarse steps finds intervals that are rougher than their surroundings.  There the step is halved repeatedly:
with each halving the third differences of a smooth function decrease by a factor of eight, those of a function with
a kink by two, and those of a function with a jump not at all.  The size of a jump is therefore taken as the smallest
estimate over all steps, which also excludes rounding errors.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii

from latte_ase.testing.subject import Deviation, Subject
from latte_ase.testing.tolerances import Tolerances

SHORTEST_DISTANCE = 0.9
"""Distance at which a scan begins, in units of the sum of two covalent radii."""
LONGEST = 12.0
"""Distance in Angstrom at which a scan ends, beyond the cutoffs in use."""
STEP = 0.05
HALVINGS = 20
"""Number of halvings, to 5e-8 Angstrom, where a jump of the third derivative, which is allowed, has a small effect."""
MUCH_SMALLER = 0.1
SUSPECTS = 4
"""Number of intervals that are examined, for the energy and for the force."""


def energy_jump(subject: Subject) -> list[Deviation]:
    """The energy is continuous from contact to 12 Angstrom."""
    return _all_pairs(subject, "energy", lambda s: s.energy_jump, "eV")


def forces_jump(subject: Subject) -> list[Deviation]:
    """The force is continuous from contact to 12 Angstrom."""
    return _all_pairs(subject, "force", lambda s: s.forces_jump, "eV/Å")


def slope_jump(subject: Subject) -> list[Deviation]:
    """The derivative of the force, on which phonons depend, is continuous from contact to 12 Angstrom."""
    return _all_pairs(subject, "slope", lambda s: s.slope_jump, "eV/Å²")


def _all_pairs(subject, quantity, tolerance, unit):
    found = []
    for pair in subject.samples.pairs:
        if pair not in subject.scans:  # three properties share one scan
            subject.scans[pair] = jumps(_dimer(subject, pair), _start(pair), subject.tolerances)
        value, distance = subject.scans[pair][quantity]
        where = f"{'-'.join(pair)} at {distance:.3f} Å"
        found.append(Deviation(value, tolerance(subject.tolerances), unit, where))
    return found


def _start(pair):
    return SHORTEST_DISTANCE * float(sum(covalent_radii[atomic_numbers[symbol]] for symbol in pair))


def _dimer(subject, pair):
    """Function of the distance that returns the energy and the force on the second atom along the axis."""
    atoms = Atoms(pair, np.zeros((2, 3)))

    @cache
    def at(r: float):
        atoms.positions[1, 0] = r
        answer = subject.answer(atoms)
        return answer.energy, answer.forces[1, 0]

    return at


def jumps(at: Callable, start: float, tolerances: Tolerances) -> dict[str, tuple[float, float]]:
    """Largest jumps of a curve, and their positions.

    Args:
        at: function of the distance in Angstrom that returns energy and force.
        start: start of the scan in Angstrom.
        tolerances: the search in an interval ends when its jump is known to be much smaller than the tolerance.

    Returns:
        For "energy", "force" and "slope" an upper bound of the largest jump, and its distance in Angstrom.
    """
    grid = start + STEP * np.arange(int((LONGEST - start) / STEP))
    curve = np.array([at(float(r)) for r in grid])
    worst = {name: (0.0, LONGEST) for name in ("energy", "force", "slope")}
    wanted = (
        {"energy": tolerances.energy_jump},
        {"force": tolerances.forces_jump, "slope": tolerances.slope_jump},
    )
    for column, limits in enumerate(wanted):
        enough = [MUCH_SMALLER * limit for limit in limits.values()]
        for k in _suspects(curve[:, column]):
            sizes, distance = _follow(lambda r, c=column: at(r)[c], float(grid[k]), enough)
            for name, size in zip(limits, sizes, strict=False):
                if not size <= worst[name][0]:  # so that NaN counts
                    worst[name] = size, distance
    return worst


def _third(values):
    """Absolute third differences of equidistant values; entry k belongs to the interval from k + 1 to k + 2."""
    return np.abs(np.diff(values, n=3))


def _suspects(values):
    """Intervals, by the index of their left end, whose third differences exceed those around them most."""
    rough = _third(values)
    if not np.isfinite(rough).all():
        return [int(np.flatnonzero(~np.isfinite(rough))[0]) + 1]
    floor = 1e-15 * np.abs(values).max() + 1e-300
    ratio = np.empty(len(rough))
    for k in range(len(rough)):
        # at a cutoff the function is rough on one side and zero on the other: the smoother side counts
        sides = rough[max(k - 8, 0) : max(k - 2, 0)], rough[k + 3 : k + 9]
        ratio[k] = rough[k] / (min(np.median(side) for side in sides if len(side)) + floor)
    chosen: list[int] = []
    for k in np.argsort(-ratio):
        if all(abs(k - other) > 2 for other in chosen):  # a jump contributes to three adjacent differences
            chosen.append(int(k))
        if len(chosen) == SUSPECTS:
            break
    return [k + 1 for k in chosen]


def _follow(value, left, enough):
    """Upper bounds of a jump and of a jump of the slope in the interval from `left`, and its position.

    Each round halves the step and continues with the roughest of the intervals around the last one, until the
    bounds (one or both) are below `enough`.
    """
    jump = slope = np.inf
    step = STEP
    for _ in range(HALVINGS):
        step /= 2
        places = left + step * np.arange(-3, 6)
        rough = _third(np.array([value(float(r)) for r in places]))
        k = int(np.argmax(rough))
        left = float(places[k + 1])
        jump = min(jump, rough[k] / 3)  # a jump contributes three times its size
        slope = min(slope, rough[k] / step)  # a kink contributes up to its size times the step
        if all(bound <= limit for bound, limit in zip((jump, slope), enough, strict=False)):
            break
    return (float(jump), float(slope)), left
