"""Lists and buckets of a run."""

from __future__ import annotations

import numpy as np
import pytest
from ase import units

from latte_ase.simulate import NVE
from latte_ase.simulate.run import Run


@pytest.fixture
def begun(silicon, calculator):
    """Function (shapes known to the engine) -> Run that has its first list."""

    def begin(shapes):
        engine = calculator().engine
        engine.lists.buckets.known = shapes
        run = Run(silicon, engine, NVE(), timestep=units.fs)
        run._build_list()
        return run

    return begin


def test_a_larger_bucket_is_taken_early_once_and_then_the_smallest_that_fits(begun):
    roomy = begun([])._shape
    need = begun([]).engine.lists.present.packed.layout.need
    tight = roomy._replace(neighbours=need.neighbours)
    run = begun([tight])
    larger = run._shape
    assert larger.neighbours[0] >= 1.05 * need.neighbours[0]
    assert run._reference.graph.groups[0].edges.shape[2] == larger.neighbours[0]
    run._build_list()
    assert run._shape == tight
    assert run.engine.lists.buckets.known == run._shapes == [tight, larger]
    assert begun([roomy])._shapes == [roomy]


def test_the_last_step_has_the_positions_of_the_atoms_to_the_last_bit(silicon, calculator):
    """Nothing is wrapped or shifted: 1e5 Angstrom away float32 would see nothing else."""
    silicon.positions += 1e5
    run = Run(silicon, calculator(dtype="float32").engine, NVE(), timestep=units.fs)
    run.begin()
    np.testing.assert_array_equal(run.snapshot.positions, silicon.positions)
    run.advance(1)
    moved = run.snapshot.positions - silicon.positions
    np.testing.assert_allclose(moved, units.fs * silicon.get_velocities(), atol=1e-4)
    assert np.abs(moved).max() > 0.005


@pytest.mark.parametrize("steps", [0, 30])
def test_members_give_the_forces_of_the_last_step(silicon, calculator, ensembles, steps):
    """In the middle of a run, whose numbers stay what they are."""
    silicon.rattle(0.05, seed=1)
    calc, other = calculator(), calculator()
    runs = [
        Run(silicon, engine, ensembles["CellRescaling"], timestep=units.fs) for engine in (calc.engine, other.engine)
    ]
    for one in runs:
        one.begin(seed=0)
        while one.snapshot.step < steps:
            one.advance(steps)
    atoms = silicon.copy()
    atoms.set_cell(runs[0].snapshot.cell)
    atoms.positions[:] = runs[0].snapshot.positions
    expected = calculator().engine.evaluate_members(atoms, 3)[1]
    np.testing.assert_allclose(runs[0].member_forces(3), expected, rtol=0, atol=1e-10)
    assert np.ptp(expected, axis=0).max() > 1e-6
    for one in runs:
        while one.snapshot.step < steps + 10:
            one.advance(steps + 10)
    np.testing.assert_array_equal(runs[0].snapshot.positions, runs[1].snapshot.positions)
