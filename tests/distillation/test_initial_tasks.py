"""Tasks of the first round."""

import numpy as np
import pytest
from ase.build import bulk, fcc111, molecule
from ase.constraints import FixAtoms
from hypothesis import given, settings
from hypothesis import strategies as st

from latte_ase.distillation.initial_tasks import LARGEST_STRAIN, initial_tasks
from latte_ase.distillation.plan import DistillationPlan


@settings(max_examples=30, deadline=None)
@given(labels=st.integers(20, 400), count=st.integers(1, 30), seed=st.integers(0, 9))
def test_they_give_as_many_labels_as_planned(labels, count, seed):
    plan = DistillationPlan(labels=labels, seed=seed)
    seeds = [molecule("H2O") for _ in range(count)]
    tasks = initial_tasks(seeds, plan)
    assert sum(task.labels for task in tasks) == plan.first_labels
    again = initial_tasks(seeds, plan)
    assert [t.origin for t in tasks] == [t.origin for t in again]
    for one, other in zip(tasks, again, strict=True):
        np.testing.assert_array_equal(one.task.atoms.positions, other.task.atoms.positions)
        assert one.task.run == other.task.run


def test_all_seeds_are_used_and_fixed_atoms_stay():
    slab = fcc111("Cu", (2, 2, 3), vacuum=8.0)
    slab.set_constraint(FixAtoms(mask=slab.positions[:, 2] < slab.positions[:, 2].mean() - 1))
    crystal, water = bulk("Cu", cubic=True), molecule("H2O")
    tasks = initial_tasks([slab, crystal, water], DistillationPlan(labels=120))
    rattled = [t.task.atoms for t in tasks if t.origin == "rattled"]
    assert {a.get_chemical_formula() for a in rattled} == {"Cu12", "Cu4", "H2O"}
    for atoms in rattled:
        if len(atoms) == 12:
            fixed = slab.constraints[0].index
            np.testing.assert_array_equal(atoms.positions[fixed], slab.positions[fixed])
            np.testing.assert_array_equal(atoms.cell.array, slab.cell.array)
            assert not np.allclose(atoms.positions, slab.positions)
        if len(atoms) == 4:
            strain = np.linalg.solve(crystal.cell.array, atoms.cell.array) - np.eye(3)
            np.testing.assert_allclose(strain, strain.T, atol=1e-12)
            assert 0 < np.abs(strain).max() <= LARGEST_STRAIN


@pytest.mark.parametrize(("name", "femtoseconds"), [("H2O", 0.5), ("O2", 1.512), ("Cl2", 2.0)])
def test_the_time_step_fits_the_lightest_atom(name, femtoseconds):
    from ase import units

    from latte_ase.distillation.plan import timestep

    assert timestep(molecule(name)) / units.fs == pytest.approx(femtoseconds, rel=1e-3)
