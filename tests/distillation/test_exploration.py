"""Dynamics of the pupil."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.constraints import FixAtoms

from latte_ase.distillation import exploration
from latte_ase.distillation.exploration import explore, is_possible
from latte_ase.distillation.plan import DistillationPlan
from latte_ase.model.committee import Committee


@pytest.mark.parametrize(
    ("atoms", "possible"),
    [
        (molecule("H2O"), True),
        (bulk("Cu"), True),
        (Atoms("H2", [[0, 0, 0], [0, 0, 0.74]]), True),
        (Atoms("H2", [[0, 0, 0], [0, 0, 0.2]]), False),
        (Atoms("HCu", [[0, 0, 0], [0, 0, 0.7]]), False),  # half of 0.31 + 1.32
        (Atoms("HCu", [[0, 0, 0], [0, 0, 0.9]]), True),
        (Atoms("Cu", cell=[1.0, 9, 9], pbc=True), False),  # its own image
        (Atoms("H", [[np.nan, 0, 0]]), False),
    ],
)
def test_atoms_on_top_of_each_other_are_not_labelled(atoms, possible):
    assert is_possible(atoms) is possible


@pytest.fixture
def pupil(tiny_potential):
    """A potential that lets everything pass: no domain, and a committee without a limit."""
    potential = tiny_potential("latte", ("H", "Cu"), reach=0.0)
    members = jax.tree.map(lambda x: np.stack([x, 1.01 * x]), {"network": potential.params["network"]})
    return replace(potential, committee=Committee(members))


@pytest.mark.parametrize("under_pressure", [False, True])
def test_cells_move_under_pressure_alone_and_fixed_atoms_never(pupil, monkeypatch, under_pressure):
    monkeypatch.setattr(exploration, "RUNS", 2)
    monkeypatch.setattr(exploration, "SEGMENT", 5)
    monkeypatch.setattr(exploration, "SEGMENTS", 3)
    crystal, dimer = bulk("Cu", cubic=True), Atoms("HCu", [[0, 0, 0], [0, 0, 1.5]])
    dimer.set_constraint(FixAtoms([0]))
    plan = DistillationPlan(temperatures_K=(300.0,), pressures_GPa=(0.0,))
    found = explore(pupil, [crystal, dimer], plan, round=1, under_pressure=under_pressure)
    assert found.runs == 2 and found.stopped == 0 and len(found.frames) == 6
    for atoms in found.frames:
        start = crystal if len(atoms) == 4 else dimer
        assert (atoms.cell.array != start.cell.array).any() == (under_pressure and len(atoms) == 4)
        assert not np.allclose(atoms.positions, start.positions)
        if len(atoms) == 2:
            np.testing.assert_array_equal(atoms.positions[0], dimer.positions[0])
    again = explore(pupil, [crystal, dimer], plan, round=1, under_pressure=under_pressure)
    for one, other in zip(found.frames, again.frames, strict=True):
        np.testing.assert_array_equal(one.positions, other.positions)
