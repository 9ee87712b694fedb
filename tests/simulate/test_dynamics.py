"""Runs as a whole: ASE's own loop is the oracle."""

from __future__ import annotations

import numpy as np
import pytest
from ase import units
from ase.md.verlet import VelocityVerlet

from latte_ase.simulate import md

FS = units.fs


def run(atoms, calc, steps, **options):
    """`md` without a bar."""
    return md(atoms, calc, steps, **{"timestep": FS, "progress": False, **options})


def assert_same_motion(a, b, tolerance=0.0):
    """Equal positions, cell and momenta."""
    for name in ("positions", "cell", "momenta"):
        np.testing.assert_allclose(*(getattr(x, "get_" + name)() for x in (a, b)), rtol=0, atol=tolerance)


def test_constant_energy_is_ases_velocity_verlet_step_by_step(silicon, calculator):
    """Each step rounds positions by 2e-16 * 10 A; 100 steps let such a difference grow 10^2 to 10^3 times."""
    ase_atoms, calc = silicon.copy(), calculator()
    ase_atoms.calc = calculator()
    loop = VelocityVerlet(ase_atoms, FS)
    for step in range(1, 101):
        run(silicon, calc, 1)
        loop.run(1)
        assert_same_motion(silicon, ase_atoms, 1e-11)
        assert silicon.get_potential_energy() == pytest.approx(ase_atoms.get_potential_energy(), abs=1e-11), step
    assert calc.stats.compilations <= 1


def test_a_hundred_steps_in_one_call_are_those_of_ase_and_lists_are_built_as_often(silicon, calculator):
    ase_atoms, calc = silicon.copy(), calculator()
    ase_atoms.calc = calculator()
    summary = run(silicon, calc, 100)
    VelocityVerlet(ase_atoms, FS).run(100)
    assert_same_motion(silicon, ase_atoms, 1e-11)
    for name in ("energy", "forces", "stress", "energies"):
        values = (a.calc.get_property(name, a) for a in (silicon, ase_atoms))
        np.testing.assert_allclose(*values, rtol=0, atol=1e-11)
    assert summary.steps == 100
    assert calc.stats.list_builds == ase_atoms.calc.stats.list_builds > 2
    assert calc.stats.calls == 101  # asking for results did not compute them again
    assert silicon.calc is calc
