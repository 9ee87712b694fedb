"""Energy, forces and their slope have no jumps along the distance of two atoms.

A scan in coarse steps finds places that are rougher than their surroundings.  There the step is
halved again and again: third differences of a smooth function fall eightfold each time, those of
a function with a kink twofold, those of a function with a jump not at all.  The size of a jump is
therefore taken as the smallest estimate over all steps, which also keeps rounding out of it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii

from latte_ase.testing.subject import Deviation, Subject
from latte_ase.testing.tolerances import Tolerances

SHORTEST = 0.9
"""Where a scan begins, in sums of two covalent radii."""
LONGEST = 12.0
"""Where it ends, in Angstrom: beyond the cutoffs in use."""
STEP = 0.05
HALVINGS = 20
"""To 5e-8 Angstrom: a jump of the third derivative of the energy, which is allowed, has shrunk by then."""
MUCH_SMALLER = 0.1
SUSPECTS = 4
"""Places that are looked at in the energy, and as many in the force."""


def energy_jump(subject: Subject) -> list[Deviation]:
    """The energy has no jump between contact and 12 Angstrom."""
    return _all_pairs(subject, "energy", lambda s: s.energy_jump, "eV")


def forces_jump(subject: Subject) -> list[Deviation]:
    """The force has no jump: the energy has no kink."""
    return _all_pairs(subject, "force", lambda s: s.forces_jump, "eV/Å")


def slope_jump(subject: Subject) -> list[Deviation]:
    """The derivative of the force has no jump: second derivatives, hence phonons, are continuous."""
    return _all_pairs(subject, "slope", lambda s: s.slope_jump, "eV/Å²")


def _all_pairs(subject, quantity, tolerance, unit):
    found = []
    for pair in subject.samples.pairs:
        if pair not in subject.scans:  # three properties look at one scan
            subject.scans[pair] = jumps(_dimer(subject, pair), _start(pair), subject.tolerances)
        value, distance = subject.scans[pair][quantity]
        where = f"{'-'.join(pair)} at {distance:.3f} Å"
        found.append(Deviation(value, tolerance(subject.tolerances), unit, where))
    return found


def _start(pair):
    return SHORTEST * float(sum(covalent_radii[atomic_numbers[symbol]] for symbol in pair))


def _dimer(subject, pair):
    """Function r -> (energy, force along the axis on the second atom)."""
    atoms = Atoms(pair, np.zeros((2, 3)))

    @cache
    def at(r: float):
        atoms.positions[1, 0] = r
        answer = subject.answer(atoms)
        return answer.energy, answer.forces[1, 0]

    return at


def jumps(at: Callable, start: float, tolerances: Tolerances) -> dict[str, tuple[float, float]]:
    """Largest jumps of a curve and where they are.

    Args:
        at: function r -> (energy, force).
        start: where the scan begins, in Angstrom.
        tolerances: a place is left when what it has is known to be much smaller.

    Returns:
        {"energy", "force", "slope": (upper bound of the size, distance in Angstrom)}.
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
    """Third differences of equidistant values; entry k belongs to the interval from k + 1 to k + 2."""
    return np.abs(np.diff(values, n=3))


def _suspects(values):
    """Intervals (index of the left end) whose third difference stands out most from those around it."""
    rough = _third(values)
    if not np.isfinite(rough).all():
        return [int(np.flatnonzero(~np.isfinite(rough))[0]) + 1]
    floor = 1e-15 * np.abs(values).max() + 1e-300
    ratio = np.empty(len(rough))
    for k in range(len(rough)):
        # a cutoff has rough places on one side and nothing on the other: the calmer side counts
        sides = rough[max(k - 8, 0) : max(k - 2, 0)], rough[k + 3 : k + 9]
        ratio[k] = rough[k] / (min(np.median(side) for side in sides if len(side)) + floor)
    chosen: list[int] = []
    for k in np.argsort(-ratio):
        if all(abs(k - other) > 2 for other in chosen):  # one jump shows in three neighbouring differences
            chosen.append(int(k))
        if len(chosen) == SUSPECTS:
            break
    return [k + 1 for k in chosen]


def _follow(value, left, enough):
    """Bounds of a jump, and of a jump of the slope, in the interval from `left`, and where it ends up.

    Each round halves the step and goes on with the roughest interval of those about the last one,
    until the bounds are as small as `enough` (one or both).
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
