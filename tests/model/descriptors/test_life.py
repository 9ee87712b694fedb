"""What is done with a potential, with one of two rounds: nothing but the descriptor may know how many there are."""

from __future__ import annotations

import numpy as np
import pytest
from ase import units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.md.verlet import VelocityVerlet

from latte_ase import LatteCalculator, finetune, load_model, predict
from latte_ase.engine import spatial_chunks
from latte_ase.simulate import md


@pytest.fixture(scope="module", params=["cace", pytest.param("hiphop", marks=pytest.mark.slow)])
def calc(request, tiny_potential):
    potential = tiny_potential(request.param, ("Al", "Cu"), repulsion=False)
    return LatteCalculator(potential, dtype="float64")


@pytest.fixture
def atoms():
    atoms = bulk("Al", cubic=True) * (3, 1, 1)
    atoms.symbols[[1, 4, 6, 7]] = "Cu"
    atoms.rattle(0.1, seed=3)
    return atoms


def test_what_is_two_cutoffs_away_matters(calc):
    """And what is three away does not."""
    reach = calc.potential.cutoff
    chain = bulk("Al", cubic=True)[[0, 0, 0]]
    chain.pbc, chain.cell = False, None
    chain.positions = np.outer([0, 0.8, 1.6], [reach, 0, 0])
    without = chain[:2]
    energies = [calc.engine.energies(a)[0] for a in (chain, without)]
    assert abs(energies[0] - energies[1]) > 1e-6
    assert calc.potential.architecture.interaction_range == 2 * reach


def test_chunks_give_what_one_graph_gives(calc, atoms):
    whole, parts = calc.engine.evaluate(atoms), spatial_chunks.evaluate(calc.engine, atoms, 5)
    for a, b in zip(parts, whole, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-10)


def test_predictions_are_the_calculators(calc, atoms):
    other = atoms.copy()
    other.pbc = False
    for structure, found in zip((atoms, other), predict(calc, [atoms, other]), strict=True):
        expected = calc.engine.evaluate(structure)
        assert found.energy == pytest.approx(expected.energy, abs=1e-9)
        np.testing.assert_allclose(found.forces, expected.forces, atol=1e-9)


@pytest.mark.slow
def test_the_hessian_is_the_slope_of_the_forces(calc, atoms):
    hessian = calc.get_hessian(atoms)
    for atom, axis in ((0, 1), (7, 2)):
        forces = []
        for step in (1e-4, -1e-4):
            moved = atoms.copy()
            moved.positions[atom, axis] += step
            forces.append(calc.engine.evaluate(moved).forces)
        slope = (forces[0] - forces[1]).ravel() / 2e-4
        np.testing.assert_allclose(-hessian[3 * atom + axis], slope, atol=1e-5 * np.abs(slope).max())


def test_dynamics_on_the_device_are_those_of_ase(calc, atoms):
    MaxwellBoltzmannDistribution(atoms, temperature_K=300, rng=np.random.default_rng(0))
    other = atoms.copy()
    md(atoms, calc, 20, timestep=0.5 * units.fs, progress=False)
    other.calc = LatteCalculator(calc.potential, dtype="float64")
    VelocityVerlet(other, 0.5 * units.fs).run(20)
    np.testing.assert_allclose(atoms.positions, other.positions, atol=1e-9)


@pytest.mark.slow
def test_fine_tuning_changes_it_and_its_file_is_the_same_model(calc, atoms, tmp_path):
    frames = []
    for seed in range(4):
        frame = atoms.copy()
        frame.rattle(0.05, seed=seed)
        frame.calc = EMT()
        labels = {"energy": frame.get_potential_energy(), "forces": frame.get_forces()}
        frame.calc = SinglePointCalculator(frame, **labels)
        frames.append(frame)
    tuned = finetune(calc.potential, frames, out=tmp_path, epochs=1, report=lambda *_: None)
    again = LatteCalculator(load_model(tmp_path / "model.safetensors"), dtype="float64")
    energies = [c.engine.evaluate(atoms).energy for c in (calc, tuned.calculator, again)]
    assert abs(energies[1] - energies[0]) > 1e-6
    assert energies[2] == pytest.approx(energies[1], abs=1e-4)  # the calculator that comes back is in float32
