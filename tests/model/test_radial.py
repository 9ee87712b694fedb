from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latte_ase.geometry.graph import FAR
from latte_ase.model.radial import BUMP, bessel, envelope, envelope_slope

pytestmark = pytest.mark.usefixtures("float64")

CENTRES, WIDTHS = np.array([1.0, 2.2, 3.5]), np.array([1.0, 0.5, 1.5])
CUTOFF = 5.0
BUMPS = ((1 / WIDTHS)[:, None], (CENTRES / WIDTHS)[:, None])
# radial function, its parameters, distance from which each column is 0
BASES = {
    "bump": (BUMP, BUMPS, CENTRES + WIDTHS),
    "bessel": (bessel(4, CUTOFF), (), np.full(4, CUTOFF)),
    "bessel with other waves and envelope": (
        bessel(3, CUTOFF, 2),
        (np.array([[0.5], [1.1], [2.3]]),),
        np.full(3, CUTOFF),
    ),
}
bases = pytest.mark.parametrize("radial, params, edge", BASES.values(), ids=BASES)


def test_bump_is_the_formula_of_latte():
    r = np.linspace(0, 6, 200)
    expected = np.maximum(0, 1 - ((r - CENTRES[:, None]) / WIDTHS[:, None]) ** 2) ** 3
    np.testing.assert_allclose(BUMP.value(r, *BUMPS), expected, atol=1e-14)


def test_bessel_is_its_formula():
    r = np.linspace(0.1, CUTOFF, 200)
    x, n = r / CUTOFF, np.arange(1, 5)[:, None]
    fade = (1 - x) ** 3 * (1 + 3 * x + 6 * x**2 + 10 * x**3 + 15 * x**4 + 21 * x**5)
    expected = np.sqrt(2 / CUTOFF) * np.sin(n * np.pi * x) / r * fade
    np.testing.assert_allclose(bessel(4, CUTOFF).value(r), expected, atol=1e-13)


def derivative(function):
    """Of a function that acts on each distance alone."""
    return lambda r: jax.jvp(function, (r,), (jnp.ones_like(r),))[1]


@bases
def test_slope_is_the_derivative(radial, params, edge):
    r = jnp.linspace(0.05, 6, 101)[None]
    slope, expected = jax.jit(lambda r: (radial.slope(r, *params), derivative(lambda r: radial.value(r, *params))(r)))(
        r
    )
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(slope, expected, atol=1e-12)


@pytest.mark.parametrize("power", [1, 2, 3, 6])
def test_envelope(power):
    """A polynomial is fixed by its values: here by (1 - x)^3 times a truncated series of (1 - x)^-3."""
    x = np.linspace(0, 1.2, 50)
    series = sum((k + 1) * (k + 2) / 2 * x**k for k in range(power))
    np.testing.assert_allclose(envelope(x, power), np.maximum(1 - x, 0) ** 3 * series, atol=1e-13)
    slope, expected = jax.jit(lambda x: (envelope_slope(x, power), derivative(lambda x: envelope(x, power))(x)))(x)
    np.testing.assert_allclose(slope, expected, atol=1e-13)


@bases
def test_value_and_two_derivatives_vanish_at_the_edge(radial, params, edge):
    """At a distance h inside the edge they are of order h^3, h^2, h or higher."""

    def value(r):
        return radial.value(r, *params)

    @jax.jit
    def jet(r):
        return value(r), derivative(value)(r), derivative(derivative(value))(r)

    far, near = (np.diagonal(jet(jnp.asarray(edge - h)), axis1=1, axis2=2) for h in (1e-2, 1e-3))
    assert (np.abs(far) > 1e-10).all()
    assert (np.log10(np.abs(far / near)) > np.array([3, 2, 1])[:, None] - 0.1).all()


@pytest.mark.parametrize(
    "dtype, cutoffs", [(np.float32, [2.9, 3.4, 3.9, 5.0, 5.8]), (np.float64, [3.7, 3.8, 5.0, 6.3])]
)
def test_exactly_zero_from_the_cutoff_on_when_compiled(dtype, cutoffs):
    """The compiler turns r / cutoff into a product, which rounds to below 1 for most of these cutoffs."""

    @jax.jit
    def all_of_them(distances):
        return [(bessel(3, c).value(r), bessel(3, c).slope(r)) for c, r in zip(cutoffs, distances, strict=True)]

    distances = [jnp.array([c, c + 0.01, FAR], dtype) for c in cutoffs]
    for c, both in zip(cutoffs, all_of_them(distances), strict=True):
        np.testing.assert_array_equal(both, 0, err_msg=f"cutoff {c}")


def test_bump_is_zero_beyond_and_before():
    r = np.array([0.0, FAR])
    for function in (BUMP.value, BUMP.slope):
        np.testing.assert_array_equal(function(r, *BUMPS), 0)
