from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latte_ase.geometry.graph import FAR
from latte_ase.model import repulsion
from latte_ase.model.repulsion import tables

pytestmark = pytest.mark.usefixtures("float64")

NUMBERS, RANGES = (1, 14), np.array([[0.6, 1.5], [1.5, 0.0]])
zbl, site_energies = jax.jit(repulsion.zbl), jax.jit(repulsion.site_energies)
COULOMB = 14.3996454785  # eV Angstrom


@pytest.fixture(scope="module")
def pair(float64):
    """Constants of the pair H-Si, whose range is 1.5 Angstrom."""
    return tables(NUMBERS, RANGES)[0, 1]


def universal(r, z_i, z_j):
    """Ziegler, Biersack, Littmark (1985), in eV; its fade is left out."""
    x = r * (z_i**0.23 + z_j**0.23) / 0.46850
    screening = 0.18175 * np.exp(-3.1998 * x) + 0.50986 * np.exp(-0.94229 * x)
    screening += 0.28022 * np.exp(-0.4029 * x) + 0.02817 * np.exp(-0.20162 * x)
    return COULOMB * z_i * z_j / r * screening


def test_equals_zbl_inside_up_to_the_fade(pair):
    r = np.linspace(0.05, 1.49, 30)
    fade = (1 - (r / 1.5) ** 2) ** 3
    np.testing.assert_allclose(zbl(r, *pair), universal(r, 1, 14) * fade, rtol=1e-6)
    assert (fade[r < 0.2 * 1.5] > 0.88).all()


def test_tends_to_bare_nuclei(pair):
    """An oracle without the constants: the screening starts at 1."""
    assert zbl(1e-3, *pair) * 1e-3 == pytest.approx(COULOMB * 14, rel=0.02)


def test_exactly_zero_beyond_its_range_with_two_derivatives_and_finite_at_zero(pair):
    def energy(r):
        return zbl(r, *pair)

    slope = jax.grad(energy)
    jet = jax.jit(jax.vmap(lambda r: jnp.stack([energy(r), slope(r), jax.grad(slope)(r)])))
    beyond, near, nearer, zero = np.split(
        jet(jnp.array([1.5 + 1e-9, 2.0, FAR, 1.5 - 1e-3, 1.5 - 1e-4, 0.0])), [3, 4, 5]
    )
    np.testing.assert_array_equal(beyond, 0)
    assert (np.abs(near) > 9 * np.abs(nearer)).all()
    assert (np.abs(nearer) > 0).all()
    assert np.isfinite(zero).all()


def test_range_zero_switches_a_pair_off():
    r = jnp.array([0.0, 0.1, 1.0, FAR])
    np.testing.assert_array_equal(zbl(r, *tables(NUMBERS, RANGES)[1, 1]), 0)


def test_half_of_every_pair_and_each_with_its_own_constants():
    """One block of two Si atoms: the first group is H for one of them and Si for the other."""
    edges = np.zeros((2, 2, 3)), np.zeros((2, 1, 3))
    edges[0][:, :, 0] = [[0.4, FAR], [0.5, 0.6]]
    edges[1][:, :, 0] = [[0.7], [0.8]]
    kinds = np.array([0, 1]), np.array([1, 0])
    ranges = np.array([[0.6, 1.5], [1.5, 1.2]])
    found = site_energies(tables(NUMBERS, ranges)[1], edges, kinds)

    def faded(r, z):
        return universal(r, 14, z) * (1 - (r / ranges[1, int(z == 14)]) ** 2) ** 3

    expected = [faded(0.4, 1) + faded(0.7, 14), faded(0.5, 14) + faded(0.6, 14) + faded(0.8, 1)]
    np.testing.assert_allclose(found, 0.5 * np.array(expected), rtol=1e-6)
