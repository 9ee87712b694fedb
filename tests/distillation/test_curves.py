"""Curves of pupil and teacher: none differs where the pupil is its own teacher."""

from functools import partial

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator

from latte_ase import LatteCalculator, save_model
from latte_ase.distillation import curves
from latte_ase.distillation.curves import molecular_path, pair_distribution, path_of
from latte_ase.distillation.plan import DistillationPlan
from latte_ase.labelling import LabelDatabase, Workers

PLAN = DistillationPlan(temperatures_K=(100.0, 300.0))


class Failing(Calculator):
    """A teacher that labels nothing."""

    implemented_properties = ("energy", "forces")

    def calculate(self, *_, **__):
        raise RuntimeError("no")


@pytest.fixture
def pupil(tiny_potential, tmp_path):
    """A potential and a teacher that is the same."""
    potential = tiny_potential("latte", ("H", "O"), repulsion=False)
    save_model(potential, tmp_path / "model.safetensors")
    return potential, partial(LatteCalculator, str(tmp_path / "model.safetensors"))


def test_a_molecule_is_turned_about_the_bond_that_divides_it_most_evenly():
    ethanol = molecule("CH3CH2OH")  # CH3 against CH2OH
    coordinate, frames = path_of(ethanol)
    np.testing.assert_array_equal(coordinate, curves.ANGLES)
    np.testing.assert_allclose(frames[0].positions, ethanol.positions, atol=1e-12)
    first, second = np.flatnonzero(ethanol.numbers == 6)
    for angle, atoms in zip(coordinate, frames, strict=True):
        moved = np.abs(atoms.positions - ethanol.positions).max(axis=1) > 1e-6
        assert moved.sum() == (0 if angle == 0 else 3)  # three hydrogen atoms, for the carbon is on the axis
        assert atoms.get_distance(first, second) == pytest.approx(ethanol.get_distance(first, second))
    hydrogen, oxygen = np.flatnonzero(moved)[0], int(np.flatnonzero(ethanol.numbers == 8)[0])
    methyl, other = (first, second) if ethanol.get_distance(hydrogen, first) < 1.3 else (second, first)
    turned = [a.get_dihedral(hydrogen, methyl, other, oxygen) for a in frames]
    steps = np.diff(np.unwrap(turned, period=360))
    np.testing.assert_allclose(np.abs(steps), 15, atol=1e-6)


@pytest.mark.parametrize("name", ["H2O", "C6H6", "N2"])
def test_a_bond_is_stretched_where_it_leaves_an_atom_alone(name):
    atoms = molecule(name)
    lengths, frames = path_of(atoms)
    changed = [np.flatnonzero(np.abs(f.positions - atoms.positions).max(axis=1) > 1e-9) for f in frames]
    (alone,) = {int(k) for each in changed for k in each}
    nearest = np.argsort(atoms.get_distances(alone, range(len(atoms))))[1]
    np.testing.assert_allclose([f.get_distance(alone, nearest) for f in frames], lengths)
    assert lengths[0] < atoms.get_distance(alone, nearest) < lengths[-1]


def test_atoms_without_a_bond_have_no_path():
    assert path_of(Atoms("He2", positions=[[0, 0, 0], [0, 0, 4]])) is None


def test_curves_of_a_pupil_that_is_its_teacher_are_equal(pupil, tmp_path, monkeypatch):
    monkeypatch.setattr(curves, "STEPS", 20)
    potential, teacher = pupil
    seeds = [bulk("O", "sc", a=2.8) * (2, 1, 1), molecule("H2O2"), molecule("H2O")]
    judges = LabelDatabase(tmp_path / "judge.db")
    with Workers(teacher, count=1, timeout=120, retries=0) as processes:
        path = molecular_path(potential, seeds, judges, processes, title="labels")
        pairs = pair_distribution(potential, seeds, PLAN, judges, processes, title="labels")
    assert path is not None and pairs is not None
    assert len(path) == len(curves.LENGTHS)  # of water, the smaller one
    np.testing.assert_allclose(path[:, 1], path[:, 2], rtol=0, atol=1e-4)
    assert np.ptp(path[:, 1]) > 1e-3
    np.testing.assert_allclose(pairs[:, 1], pairs[:, 2], atol=0.2)  # a distance may fall into the next bin
    around = 4 * np.pi * pairs[:, 0] ** 2 * np.diff(curves.EDGES) / 2.8**3
    near = pairs[:, 0] < 3.4
    assert (around * pairs[:, 1])[near].sum() == pytest.approx(6, abs=0.5)  # neighbours in a simple cubic crystal


def test_a_teacher_that_fails_leaves_curves_out(pupil, tmp_path):
    judges = LabelDatabase(tmp_path / "judge.db")
    with Workers(Failing, count=1, timeout=120, retries=0) as processes:
        assert molecular_path(pupil[0], [molecule("H2O")], judges, processes, title="labels") is None
        assert (
            pair_distribution(pupil[0], [bulk("O", "sc", a=2.8) * 2], PLAN, judges, processes, title="labels") is None
        )
    assert len(judges.reasons(curves.PATH)) == len(curves.LENGTHS) and len(judges.reasons(curves.DYNAMICS)) == 1


def test_without_molecules_and_crystals_nothing_is_labelled(pupil, tmp_path):
    judges = LabelDatabase(tmp_path / "judge.db")
    with Workers(pupil[1], count=1, timeout=120, retries=0) as processes:
        assert molecular_path(pupil[0], [bulk("O", "sc", a=2.8)], judges, processes, title="labels") is None
        assert pair_distribution(pupil[0], [molecule("H2O")], PLAN, judges, processes, title="labels") is None
    assert judges.count() == 0
