"""Runs that are steered: energy, constraints, compilations."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms, units
from ase.constraints import FixAtoms

from latte_ase.engine.jit import traces
from latte_ase.simulate import BlewUp
from latte_ase.simulate.pull import Pull
from latte_ase.simulate.steered_run import SteeredRun
from latte_ase.simulate.steering import Steered

STEP = 0.5 * units.fs


@pytest.fixture
def begun(silicon, calculator):
    """Function (conditions, atoms=silicon, **options of the calculator) -> SteeredRun that has begun."""

    def begin(conditions, atoms=silicon, **options):
        run = SteeredRun(atoms, calculator(**options).engine, conditions, timestep=STEP)
        run.begin(seed=3)
        return run

    return begin


def advance(run, steps):
    until = run.snapshot.step + steps
    while run.snapshot.step < until:
        run.advance(until)


def total_energy(run):
    last = run.snapshot
    return last.energies.sum() + run.pull_energy + (last.momenta**2 / (2 * run.masses)).sum()


def fluctuation(run):
    energies = []
    for _ in range(40):
        advance(run, 5)
        energies.append(total_energy(run))
    return np.std(energies)


def test_a_held_pull_conserves_the_energy_as_well_as_no_pull(begun):
    """With a soft spring: its period is not shorter than those of the crystal.  The pull moves energy of the size of 1 eV."""
    free, pulled = begun(Steered()), begun(Steered())
    pulled.hold([Pull(0, pulled.snapshot.positions[0] + [1.0, 0.5, 0.0], 1.0, 1.5), Pull(5, [2.0, 2.0, 2.0], 0.5, 1.0)])
    advance(pulled, 1)
    first = pulled.pull_energy
    advance(free, 1)
    assert fluctuation(pulled) < 2 * fluctuation(free) < 0.01
    assert abs(pulled.pull_energy - first) > 0.2


def test_an_atom_pulled_around_the_cell_conserves_the_energy(begun):
    """It passes the place where another image of the target becomes the nearest."""
    atoms = Atoms("Si", cell=[20, 20, 20], pbc=True)
    atoms.set_momenta([[1.6 * 28, 0, 0]])
    run = begun(Steered(), atoms, skin=0.7)
    run.hold([Pull(0, np.zeros(3), 0.5, 1.0)])
    advance(run, 1)
    energies, pulls = [], []
    for _ in range(90):
        advance(run, 5)
        energies.append(total_energy(run))
        pulls.append(run.pull_energy)
    assert run.snapshot.positions[0, 0] > 20
    assert np.diff(np.sign(np.diff(pulls))).tolist().count(-2) >= 1  # over the top
    # the force turns round in the middle of a step: at most force x velocity x time step
    assert np.ptp(energies) < 0.1 < 5 < np.ptp(pulls)


def test_forces_of_a_step_are_those_of_the_potential(begun, calculator):
    run = begun(Steered())
    run.hold([Pull(2, [9, 9, 9], 1.0, 1.5)])
    advance(run, 7)
    last = run.snapshot
    atoms = Atoms(run.numbers, last.positions, cell=last.cell, pbc=True, calculator=calculator())
    np.testing.assert_allclose(last.forces, atoms.get_forces(), atol=1e-10)
    assert np.linalg.norm(run.pull_forces) > 0.5


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_nothing_is_compiled_while_conditions_pulls_and_fixed_atoms_change(silicon, calculator, dtype):
    calc = calculator(dtype=dtype)
    engine, before = calc.engine, None
    for fixed in ([], [3], [0, 1]):
        silicon.set_constraint(FixAtoms(fixed))
        run = SteeredRun(silicon, engine, Steered(), timestep=STEP)
        run.begin(seed=1)
        for conditions in (Steered(300, 0.01), Steered(700, 0.02), Steered(0, 0.5), Steered(relaxes=True), Steered()):
            for pulls in ([], [Pull(4, [1, 2, 3])], [Pull(k, [k, 0, 0], 1 + k, 2.0) for k in range(8)]):
                run.hold(pulls)
                run.steer(conditions, timestep=0.2 * units.fs)
                advance(run, 2)
                before = before or (traces.count, calc.stats.compilations)
    assert (traces.count, calc.stats.compilations) == before


def test_fixed_atoms_stay_though_they_are_pulled(silicon, begun):
    silicon.set_constraint(FixAtoms([2]))
    for conditions in (Steered(600, 0.05), Steered(relaxes=True)):
        run = begun(conditions, silicon)
        run.hold([Pull(2, [9, 9, 9]), Pull(3, [9, 9, 9])])
        advance(run, 20)
        np.testing.assert_array_equal(run.snapshot.positions[2], silicon.positions[2])
        assert np.linalg.norm(run.snapshot.positions[3] - silicon.positions[3]) > 0.01


def test_a_relaxation_finds_the_minimum_that_ase_finds(silicon, begun, calculator):
    from ase.optimize import BFGS

    silicon.rattle(0.1, seed=1)
    silicon.set_momenta(np.zeros((8, 3)))
    run = begun(Steered(relaxes=True))
    advance(run, 300)
    silicon.calc = calculator()
    BFGS(silicon, logfile=None).run(fmax=1e-5)
    assert run.snapshot.energies.sum() == pytest.approx(silicon.get_potential_energy(), abs=1e-6)
    assert abs(run.snapshot.forces).max() < 1e-3


def test_constant_pressure_compresses(begun):
    run = begun(Steered(300, 0.02 / units.fs, 20 * units.GPa, 20 / (200 * units.fs)))
    before = run.snapshot.cell
    advance(run, 150)
    np.testing.assert_allclose(run.snapshot.cell / run.snapshot.cell[0, 0], before / before[0, 0], atol=1e-12)
    assert run.snapshot.cell[0, 0] < 0.99 * before[0, 0]


def test_threads_that_share_the_forces_pull_too(calculator):
    from ase.build import bulk

    atoms = bulk("Si", a=5.469, cubic=True).repeat((2, 2, 4))
    runs = []
    for threads in (1, 2):
        run = SteeredRun(atoms, calculator(threads=threads).engine, Steered(), timestep=STEP)
        run.begin(seed=1)
        run.hold([Pull(7, atoms.positions[7] + [2.0, 0.0, 0.0])])
        advance(run, 5)
        runs.append(run)
    assert [run._by_threads for run in runs] == [False, True]
    np.testing.assert_allclose(runs[1].snapshot.positions, runs[0].snapshot.positions, atol=1e-10)
    assert runs[0].snapshot.positions[7, 0] > atoms.positions[7, 0] + 1e-3


def test_a_pull_that_tears_is_named(begun):
    run = begun(Steered())
    run.hold([Pull(0, [1, 1, 1], 1e6, 1e7)])
    with pytest.raises(BlewUp, match=r"atom 0 \(Si\) would move by up to"):
        advance(run, 20)
    assert np.isfinite(run.snapshot.positions).all()
