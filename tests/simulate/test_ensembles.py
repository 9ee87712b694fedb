"""Ensembles without a potential, where the distribution is known: many replicas of springs and of an ideal gas."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase import units
from scipy import stats

from latte_ase.simulate import NVE, Bussi, CellRescaling, Langevin, NoseHooverChain
from latte_ase.simulate.ensembles import ENSEMBLES
from latte_ase.simulate.state import State, System, kinetic_energy

REPLICAS, ATOMS, SPRING = 800, 3, 2.0
MASSES = np.array([[1.0], [4.0], [9.0]])
TEMPERATURE = 300.0
KT = units.kB * TEMPERATURE
FASTEST = 2 * np.pi * np.sqrt(1.0 / SPRING)
"""Period of the lightest atom on its spring."""

pytestmark = pytest.mark.usefixtures("float64")


def start_velocities(replicas, seed=0):
    """Those of twice the temperature."""
    return np.random.default_rng(seed).normal(size=(replicas, ATOMS, 3)) * np.sqrt(2 * KT / MASSES)


def start_energies(replicas):
    """Kinetic; springs are relaxed."""
    return (MASSES * start_velocities(replicas) ** 2).sum(axis=(1, 2)) / 2


def follow(ensemble, steps, *, timestep, spring=SPRING, seed=0, replicas=REPLICAS, centre=False, volume=0.0):
    """Final states of independent replicas, and kinetic plus spring energy (steps, replicas)."""
    velocities, freedom = start_velocities(replicas, seed), 3 * ATOMS - 3 * centre
    if centre:
        velocities -= (MASSES * velocities).sum(axis=1, keepdims=True) / MASSES.sum()
    zero = np.zeros((replicas, ATOMS, 3))
    own = {k: np.tile(v, (replicas, 1)) for k, v in ensemble.own().items()}
    start = State(
        np.zeros(replicas, int),
        zero,
        np.zeros(replicas),
        velocities,
        zero,
        zero[..., 0],
        np.zeros((replicas, 3, 3)),
        own,
    )
    system = System(MASSES, 1 / MASSES, volume)
    p = ensemble.parameters(freedom=freedom, mobile=ATOMS) | {"timestep": timestep}

    def one(state, key):
        moved = type(ensemble).advance(state, system, p, key)
        done = type(ensemble).finish(moved._replace(forces=-spring * moved.displacements), system, p)
        return done, kinetic_energy(done, system) + 0.5 * spring * jnp.sum(done.displacements**2)

    @jax.jit
    def everything(states, keys):
        return jax.lax.scan(lambda s, k: jax.vmap(one)(s, jax.random.split(k, replicas)), states, keys)

    return everything(start, jax.random.split(jax.random.key(seed), steps))


def assert_distributed(values, distribution):
    """Kolmogorov and Smirnov: with 800 values a scale that is 10 % off has p < 1e-2 as a rule."""
    assert stats.kstest(np.ravel(values), distribution.cdf).pvalue > 0.01


def test_all_ensembles_are_tested_here():
    assert set(ENSEMBLES) == {"NVE", "Langevin", "Bussi", "NoseHooverChain", "CellRescaling"}


def test_velocity_verlet_keeps_the_energy_to_second_order():
    errors = []
    for cut in (40, 80):
        _, energies = follow(NVE(), 4 * cut, timestep=FASTEST / cut, replicas=20)
        errors.append(np.abs(energies / energies[:1] - 1).max())
    assert 3.5 < errors[0] / errors[1] < 4.5 and errors[1] < 2e-3


def test_langevin_has_the_canonical_distribution_of_positions_even_at_a_large_step():
    state, _ = follow(Langevin(TEMPERATURE, friction=1.0 / FASTEST), 400, timestep=FASTEST / 6)
    assert_distributed(SPRING * state.displacements**2 / KT, stats.chi2(1))


def test_langevin_has_the_canonical_distribution_of_velocities_at_a_small_step():
    state, _ = follow(Langevin(TEMPERATURE, friction=1.0 / FASTEST), 800, timestep=FASTEST / 40)
    assert_distributed(MASSES * state.velocities**2 / KT, stats.chi2(1))


def test_bussi_has_the_canonical_distribution_of_the_energy():
    """2 E / kT of 9 springs is distributed as chi^2 with 18 degrees of freedom."""
    _, energies = follow(Bussi(TEMPERATURE, taut=FASTEST), 800, timestep=FASTEST / 40)
    assert_distributed(2 * energies[-1] / KT, stats.chi2(2 * 3 * ATOMS))


def test_bussi_has_the_canonical_kinetic_energy_where_the_momentum_is_conserved():
    state, _ = follow(Bussi(TEMPERATURE, taut=FASTEST), 400, timestep=FASTEST / 40, spring=0.0, centre=True)
    assert_distributed((MASSES * state.velocities**2).sum(axis=(1, 2)) / KT, stats.chi2(3 * ATOMS - 3))
    np.testing.assert_allclose((MASSES * state.velocities).sum(axis=1), 0, atol=1e-12)


def test_bussi_serves_a_single_degree_of_freedom():
    """Two atoms that fly apart on a line have one; there is no other square to draw."""
    ensemble, key = Bussi(TEMPERATURE, taut=1e-3), jax.random.key(0)
    system = System(np.ones((1, 1)), np.ones((1, 1)), 0.0)
    p = ensemble.parameters(freedom=1, mobile=1) | {"timestep": 1.0}
    zero = np.zeros((1, 3))
    state = State(0, zero, 0.0, np.array([[0.1, 0, 0]]), zero, zero[:, 0], np.zeros((3, 3)), {})
    keys = jax.random.split(key, 1000)
    scaled = jax.jit(jax.vmap(lambda k: kinetic_energy(Bussi.advance(state, system, p, k), system)))(keys)
    assert_distributed(2 * scaled / KT, stats.chi2(1))


def test_nose_hoover_chain_conserves_its_energy_to_second_order():
    """K + U + kT (f eta_1 + eta_2 + ...) + SUM p^2 / 2 Q is constant."""
    ensemble, drifts, replicas = NoseHooverChain(TEMPERATURE, tdamp=FASTEST), [], 50
    quanta = KT * np.array([3 * ATOMS, 1, 1])
    for cut in (30, 60):
        state, energies = follow(ensemble, 5 * cut, timestep=FASTEST / cut, replicas=replicas)
        bath = state.own["bath"] @ quanta + (state.own["momentum"] ** 2 / (2 * quanta * FASTEST**2)).sum(axis=1)
        assert np.abs(bath).mean() > 0.1 * np.mean(energies)  # it took part
        drifts.append(np.abs(energies[-1] + bath - start_energies(replicas)).max())
    assert 3.5 < drifts[0] / drifts[1] < 4.5


def test_nose_hoover_chain_has_the_temperature():
    _, energies = follow(NoseHooverChain(TEMPERATURE, tdamp=FASTEST), 3000, timestep=FASTEST / 30, replicas=100)
    assert np.mean(energies[1500:]) / (3 * ATOMS * KT) == pytest.approx(1, abs=0.02)


def test_cell_rescaling_has_the_volumes_of_an_ideal_gas():
    """P(V) ~ V^n exp(-P V / kT): a gamma distribution with n + 1, whatever is conserved."""
    pressure, volume = 0.01, ATOMS * KT / 0.01
    ensemble = CellRescaling(TEMPERATURE, pressure, taut=0.3, taup=1.0, compressibility_au=1 / pressure)
    for centre in (False, True):
        state, _ = follow(ensemble, 1200, timestep=0.01, spring=0.0, centre=centre, volume=volume)
        volumes = volume * (1 + state.strain) ** 3
        assert_distributed(pressure * volumes / KT, stats.gamma(ATOMS + 1))
        freedom = 3 * ATOMS - 3 * centre
        assert_distributed((MASSES * state.velocities**2).sum(axis=(1, 2)) / KT, stats.chi2(freedom))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Langevin(-1.0, 0.1), "Langevin: temperature_K is -1.0; it must be larger than 0"),
        (lambda: Langevin(300, 0.0), "Langevin: friction is 0.0; it must be larger than 0"),
        (lambda: Bussi(300, np.nan), "Bussi: taut is nan; a finite number is needed"),
        (lambda: NoseHooverChain(300, 10, tchain=0), "NoseHooverChain: tchain is 0; it must be larger than 0"),
        (lambda: CellRescaling(300, np.inf, 1, 1), "CellRescaling: pressure_au is inf; a finite number is needed"),
    ],
)
def test_impossible_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
