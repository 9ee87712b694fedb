"""Steps of steered dynamics against those of the ensembles that they contain."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest
from ase import units

from latte_ase.simulate.ensembles import NVE, Langevin
from latte_ase.simulate.ensembles.cell_rescaling import rescale_cell
from latte_ase.simulate.state import State, System
from latte_ase.simulate.steering import Steered

FREEDOM = {"freedom": 12, "mobile": 4}


@pytest.fixture(autouse=True)
def _float64(float64):
    """All of this module in float64."""


@pytest.fixture
def start():
    """A state of four atoms with forces, its masses, and a key."""
    rng = np.random.default_rng(0)
    arrays = [jax.numpy.array(rng.normal(size=(4, 3))) for _ in range(3)]
    state = State(3, arrays[0], np.float64(0.01), *arrays[1:], arrays[0][:, 0], -np.eye(3), Steered().own())
    mass = rng.uniform(1, 20, (4, 1))
    return state, System(mass, 1 / mass, np.float64(80.0)), jax.random.key(1)


def parameters(ensemble):
    return ensemble.parameters(**FREEDOM) | {"timestep": units.fs}


def same(found, expected, *, atol=0.0):
    for name in ("displacements", "velocities", "strain"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=0, atol=atol, err_msg=name)


def test_langevin(start):
    state, system, key = start
    steered, plain = Steered(400, 0.02 / units.fs), Langevin(400, 0.02 / units.fs)
    found = Steered.advance(state, system, parameters(steered), key)
    same(found, Langevin.advance(state, system, parameters(plain), jax.random.split(key)[0]))
    same(Steered.finish(state, system, parameters(steered)), Langevin.finish(state, system, parameters(plain)))


def test_without_friction_it_is_velocity_verlet(start):
    state, system, key = start
    found = Steered.advance(state, system, parameters(Steered(400)), key)
    same(found, NVE.advance(state, system, parameters(NVE()), key), atol=1e-15)


def test_constant_pressure(start):
    state, system, key = start
    steered = Steered(400, 0.02 / units.fs, 0.1, 0.05)
    found, (thermal, volume) = Steered.advance(state, system, parameters(steered), key), jax.random.split(key)
    heated = Langevin.advance(state, system, parameters(Langevin(400, 0.02 / units.fs)), thermal)
    p = parameters(Langevin(400, 1.0)) | {"pressure": 0.1, "rate": 0.05, "conserved": 0}
    same(found, rescale_cell(heated, system, p, volume))
    assert found.strain != state.strain


def test_without_a_cell_there_is_no_pressure(start):
    state, system, key = start
    p = parameters(Steered(400, 0.02 / units.fs))
    found = Steered.advance(state, system._replace(volume=np.float64(0)), p, key)
    same(found, Steered.advance(state, system, p, key))


def test_a_relaxation_is_fire_of_ase(start):
    """Of a harmonic well, in which no step is as long as the limits, which differ."""
    from ase import Atoms
    from ase.calculators.harmonic import SpringCalculator
    from ase.optimize import FIRE

    state, system, key = start
    wells, start_at, p = np.zeros((4, 3)), 0.05 * np.asarray(state.displacements), parameters(Steered(relaxes=True))
    atoms = Atoms("H4", start_at)
    atoms.calc = SpringCalculator(wells, 3.0)
    fire = FIRE(atoms, logfile=None)
    moved = state._replace(displacements=start_at, velocities=np.zeros((4, 3)))
    advance = jax.jit(Steered.advance)
    for _ in range(30):
        fire.step()
        moved = advance(moved._replace(forces=-3.0 * moved.displacements), system, p, key)
        np.testing.assert_allclose(moved.displacements, atoms.positions, atol=1e-12)
        moved = Steered.finish(moved, system, p)
    assert abs(atoms.positions).max() < 0.3 * abs(start_at).max()


@pytest.mark.parametrize("name", ["temperature_K", "friction", "cell_rate"])
def test_what_is_below_zero_is_refused(name):
    with pytest.raises(ValueError, match=f"Steered: {name} is -1.0; it must be 0 or larger"):
        replace(Steered(), **{name: -1.0})
