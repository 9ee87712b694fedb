"""Radial functions and their slopes.  Pure functions of the distance; one pair per basis."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np


class Radial(NamedTuple):
    """A radial function and its derivative with respect to the distance.

    Both map distances (..., 1, k) in Angstrom and parameter arrays (columns, 1) to
    (..., columns, k), element by element, so that other shapes that broadcast serve as well.  A
    radial function is exactly 0, with its slope, at and beyond the cutoff.

    Attributes:
        value, slope: the function and its derivative.
        constants: parameters that belong to the basis, one number per column each; where they are
            not passed, `value` and `slope` take them as arrays (columns, 1).
    """

    value: Callable
    slope: Callable
    constants: tuple[tuple[float, ...], ...] = ()


def bump(r, slant, offset):
    """The bump of LATTE without its prefactor, h(r) = max(0, 1 - y^2)^3 with y = (r - c)/w.

    Zero outside (c - w, c + w), where its first and second derivative vanish too
    (arXiv:2405.08137; the prefactor 1/c^2 does not depend on the distance and is applied after
    the sum over neighbours).  Written as y = slant * r - offset: a division per pair and column
    costs more than all the rest.

    Args:
        r: (..., 1, k) distance in Angstrom.
        slant: (columns, 1) 1/w in 1/Angstrom.
        offset: (columns, 1) c/w.

    Returns:
        (..., columns, k), dimensionless.
    """
    y = r * slant - offset
    inside = jnp.maximum(1 - y * y, 0)
    return inside * inside * inside


def bump_slope(r, slant, offset):
    """dh/dr = -6 y (1 - y^2)^2 / w inside the bump, else 0.

    Arguments as `bump`; returns (..., columns, k) in 1/Angstrom.
    """
    y = r * slant - offset
    inside = jnp.maximum(1 - y * y, 0)
    return (-6 * slant) * (y * (inside * inside))


BUMP = Radial(bump, bump_slope)


def envelope(x, power: int = 6):
    """Smooth step from 1 at x = 0 to 0 at x = 1 with two vanishing derivatives there.

    f(x) = 1 - (p + 1)(p + 2)/2 x^p + p (p + 2) x^(p+1) - p (p + 1)/2 x^(p+2) for x < 1, else 0
    (Gasteiger, Gross, Guennemann, arXiv:2003.03123); for p = 6 the factors are 28, 48 and 21.

    Args:
        x: any shape.
        power: p from 1 on; the larger, the later f falls.
    """
    x, p = jnp.minimum(x, 1), power
    return 1 - x**p * ((p + 1) * (p + 2) // 2 - x * (p * (p + 2) - p * (p + 1) // 2 * x))


def envelope_slope(x, power: int = 6):
    """df/dx = -p (p + 1)(p + 2)/2 x^(p-1) (1 - x)^2 for x < 1, else 0."""
    x, p = jnp.minimum(x, 1), power
    return -(p * (p + 1) * (p + 2) // 2) * x ** (p - 1) * (1 - x) ** 2


def fraction(r, cutoff: float):
    """r / cutoff, and exactly 1 from the cutoff on: compiled, cutoff / cutoff may round to below 1."""
    return jnp.where(r < cutoff, r / cutoff, 1)


@cache
def bessel(count: int, cutoff: float, power: int = 6) -> Radial:
    """Spherical Bessel functions of order 0 that vanish at the cutoff, with a smooth envelope.

    R_n(r) = sqrt(2 / c) sin(k_n r) / r * envelope(r / c),   k_n = n pi / c,   n = 1..count

    (arXiv:2003.03123); Angstrom^(-3/2).  The wave numbers k may also be given, and trained.

    Args:
        count: number of functions.
        cutoff: c in Angstrom.
        power: of the envelope.
    """
    waves = np.arange(1, count + 1)[:, None] * (math.pi / cutoff)
    norm = math.sqrt(2 / cutoff)

    def value(r, wave=waves):
        r = jnp.minimum(r, cutoff)  # beyond, the envelope is 0
        return jnp.sin(r * wave.astype(r.dtype)) * (norm * envelope(fraction(r, cutoff), power) / r)

    def slope(r, wave=waves):
        r = jnp.minimum(r, cutoff)
        k = wave.astype(r.dtype)
        x = fraction(r, cutoff)
        f, df = envelope(x, power), envelope_slope(x, power) / cutoff
        return jnp.sin(r * k) * (norm * (df - f / r) / r) + jnp.cos(r * k) * (k * (norm * f / r))

    return Radial(value, slope, (tuple(waves[:, 0].tolist()),))


def prior(count: int, smoothness: float) -> np.ndarray:
    """n^(-p) for n = 1..count, (count,): factors that let training find smooth sums of Bessel functions first."""
    return np.arange(1, count + 1) ** -float(smoothness)
