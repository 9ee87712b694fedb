"""Radial functions and their derivatives: pure functions of the distance."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np


class Radial(NamedTuple):
    """A radial function and its derivative with respect to the distance.

    Both are elementwise: they map distances (..., 1, k) in Angstrom and parameter arrays (columns, 1)
    to (..., columns, k), and any other shapes that broadcast.  A radial function and its derivative
    are exactly 0 at and beyond the cutoff.

    Attributes:
        value: the function.
        slope: its derivative.
        constants: fixed parameters of the basis, one number per column each: the values of the
            further arguments of `value` and `slope` where none are passed.
    """

    value: Callable
    slope: Callable
    constants: tuple[tuple[float, ...], ...] = ()


def bump(r, slant, offset):
    """Bump function of LATTE without its prefactor, h(r) = max(0, 1 - y^2)^3 with y = (r - c)/w.

    It is zero outside (c - w, c + w) and twice continuously differentiable (arXiv:2405.08137).  The
    prefactor 1/c^2 does not depend on the distance and is applied after the sum over neighbours.
    y is computed as slant * r - offset, because a division for every pair and column would cost
    more than everything else.

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
    """Derivative of `bump`, dh/dr = -6 y (1 - y^2)^2 / w inside the bump and 0 outside.

    Args:
        r: as in `bump`.
        slant: as in `bump`.
        offset: as in `bump`.

    Returns:
        (..., columns, k) in 1/Angstrom.
    """
    y = r * slant - offset
    inside = jnp.maximum(1 - y * y, 0)
    return (-6 * slant) * (y * (inside * inside))


BUMP = Radial(bump, bump_slope)


def envelope(x, power: int = 6):
    """Polynomial cutoff function: 1 at x = 0, and 0 with two vanishing derivatives at x = 1.

        f(x) = 1 - (p + 1)(p + 2)/2 x^p + p (p + 2) x^(p+1) - p (p + 1)/2 x^(p+2)   for x < 1, else 0

    (Gasteiger, Gross, Guennemann, arXiv:2003.03123); for p = 6 the factors are 28, 48 and 21.

    Args:
        x: r / cutoff, any shape.
        power: p, 1 or larger; the larger it is, the closer to the cutoff f falls off.

    Returns:
        The shape of `x`, dimensionless.
    """
    x, p = jnp.minimum(x, 1), power
    return 1 - x**p * ((p + 1) * (p + 2) // 2 - x * (p * (p + 2) - p * (p + 1) // 2 * x))


def envelope_slope(x, power: int = 6):
    """Derivative of `envelope`, df/dx = -p (p + 1)(p + 2)/2 x^(p-1) (1 - x)^2 for x < 1, else 0."""
    x, p = jnp.minimum(x, 1), power
    return -(p * (p + 1) * (p + 2) // 2) * x ** (p - 1) * (1 - x) ** 2


def fraction(r, cutoff: float):
    """Scaled distance r / cutoff, exactly 1 at and beyond the cutoff (compiled code may round cutoff / cutoff down)."""
    return jnp.where(r < cutoff, r / cutoff, 1)


@cache
def bessel(count: int, cutoff: float, power: int = 6) -> Radial:
    """Radial Bessel basis: spherical Bessel functions of order 0 that vanish at the cutoff, times an envelope.

        R_n(r) = sqrt(2 / c) sin(k_n r) / r * envelope(r / c),   k_n = n pi / c,   n = 1..count

    in Angstrom^(-3/2) (arXiv:2003.03123).  Other wave numbers k, also trained ones, are passed as the
    further argument of `value` and `slope`.

    Args:
        count: number of functions.
        cutoff: c in Angstrom.
        power: exponent p of the envelope.
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
    """Factors n^(-p), n = 1..count, shape (count,), with which training finds smooth sums of Bessel functions first."""
    return np.arange(1, count + 1) ** -float(smoothness)
