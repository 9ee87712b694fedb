"""Radial functions and their slopes.  Pure functions of the distance; one pair per basis."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp


class Radial(NamedTuple):
    """A radial function and its derivative with respect to the distance.

    Both map distances (..., 1) in Angstrom and parameter arrays that broadcast against
    (..., columns) to (..., columns).  A radial function is exactly 0, with its slope, at and
    beyond the cutoff.
    """

    value: Callable
    slope: Callable


def bump(r, slant, offset):
    """The bump of LATTE without its prefactor, h(r) = max(0, 1 - y^2)^3 with y = (r - c)/w.

    Zero outside (c - w, c + w), where its first and second derivative vanish too
    (arXiv:2405.08137; the prefactor 1/c^2 does not depend on the distance and is applied after
    the sum over neighbours).  Written as y = slant * r - offset: a division per pair and column
    costs more than all the rest.

    Args:
        r: (..., 1) distance in Angstrom.
        slant: (columns,) 1/w in 1/Angstrom.
        offset: (columns,) c/w.

    Returns:
        (..., columns), dimensionless.
    """
    y = r * slant - offset
    inside = jnp.maximum(1 - y * y, 0)
    return inside * inside * inside


def bump_slope(r, slant, offset):
    """dh/dr = -6 y (1 - y^2)^2 / w inside the bump, else 0.

    Arguments as `bump`; returns (..., columns) in 1/Angstrom.
    """
    y = r * slant - offset
    inside = jnp.maximum(1 - y * y, 0)
    return (-6 * slant) * (y * (inside * inside))


BUMP = Radial(bump, bump_slope)
