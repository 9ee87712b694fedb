"""Turns and commands, without threads."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from ase.io import read

from latte_ase import LatteCalculator
from latte_ase.live.ase_dynamics import AseDynamics
from latte_ase.live.commands import (
    Add,
    CommandError,
    Delete,
    Fix,
    Keep,
    Pause,
    Play,
    PullTo,
    Push,
    Record,
    Release,
    Replace,
    Reset,
    Rewind,
    Set,
    Step,
)
from latte_ase.live.conditions import Conditions
from latte_ase.live.device_dynamics import DeviceDynamics
from latte_ase.live.simulation import Simulation


def crystal(symbol):
    atoms = bulk(symbol, cubic=True) * (2, 1, 1)
    atoms.rattle(0.05, seed=1)
    return atoms


KINDS = {
    "device": lambda: (crystal("Si"), DeviceDynamics(LatteCalculator.from_pretrained("latte-si"), seed=0)),
    "ase": lambda: (crystal("Cu"), AseDynamics(EMT(), seed=0)),
}


@pytest.fixture(params=KINDS)
def simulate(request, tmp_path):
    """Function (**conditions) -> Simulation of a crystal, on the device and by ASE."""

    def begin(**conditions):
        atoms, dynamics = KINDS[request.param]()
        return Simulation(atoms, dynamics, Conditions(**conditions), kept=tmp_path / "kept.extxyz", seed=0)

    return begin


@pytest.fixture
def of_chain(chain, tmp_path):
    """Function (atoms=chain, **conditions) -> Simulation of atoms with springs."""

    def begin(atoms=None, **conditions):
        atoms = chain if atoms is None else atoms
        dynamics = AseDynamics(chain.calc, seed=0)
        return Simulation(atoms, dynamics, Conditions(**conditions), kept=tmp_path / "kept.extxyz", seed=0)

    return begin


def total(simulation):
    frame = simulation.frame
    return frame.computed["energy"] + frame.kinetic_energy + frame.pull_energy


def test_constant_energy_with_a_held_pull(simulate):
    simulation = simulate(mode="nve")
    simulation.apply(PullTo((3,), tuple(simulation.frame.moment.positions[3] + [1.0, 0, 0]), 1.0, 1.0))
    simulation.apply(Step(20))
    before, start = total(simulation), simulation.frame.pull_energy
    energies = []
    for _ in range(10):
        simulation.apply(Step(10))
        energies.append(total(simulation))
    assert np.ptp([before, *energies]) < 0.01 < abs(simulation.frame.pull_energy - start)
    assert simulation.frame.time_fs == pytest.approx(120)


def test_a_thermostat_starts_with_velocities_and_constant_energy_with_none(simulate):
    hot, cold = simulate(temperature_K=600), simulate(mode="nve", temperature_K=600)
    assert 200 < hot.frame.structure.temperature(hot.frame.kinetic_energy) < 1200
    assert cold.frame.kinetic_energy == 0


def test_temperature_is_that_of_the_thermostat(simulate):
    simulation = simulate(temperature_K=600, friction=0.1 / units.fs)
    found = []
    simulation.apply(Set(temperature_K=100))
    for _ in range(40):
        simulation.apply(Step(25))
        found.append(simulation.frame.structure.temperature(simulation.frame.kinetic_energy))
    assert 60 < np.mean(found[10:]) < 140


def test_a_relaxation_ends_and_waits_until_it_is_pulled(simulate):
    simulation = simulate(mode="relax")
    assert not simulation.frame.moment.momenta.any()
    while simulation.turn() == 0:
        pass
    assert simulation.turn() == inf and not simulation.paused
    assert abs(simulation.frame.computed["forces"]).max() < 2e-3
    simulation.apply(PullTo((0,), tuple(simulation.frame.moment.positions[0] + [0.3, 0, 0])))
    number = simulation.frame.number
    simulation.turn()
    assert simulation.frame.number > number
    simulation.apply(Set(mode="nve"))
    assert not simulation.frame.moment.momenta.any()


def test_pressure(simulate):
    simulation = simulate(mode="npt", temperature_K=300)
    before = simulation.frame.moment.cell[0, 0]
    simulation.apply(Set(pressure=20.0))
    for _ in range(4):
        simulation.apply(Step(50))
    assert simulation.frame.moment.cell[0, 0] < before - 0.005
    with pytest.raises(ValueError, match="mode 'npt' scales the cell and all positions with it, but atoms are fixed"):
        simulation.apply(Fix((0,)))
    simulation.apply(Step(2))


def test_the_pressure_needs_a_periodic_cell(simulate, tmp_path):
    atoms, dynamics = KINDS["ase"]()
    atoms.pbc = [True, True, False]
    with pytest.raises(ValueError, match=r"but pbc is \[True, True, False\]. Only a structure that is periodic"):
        Simulation(atoms, dynamics, Conditions(mode="npt"), kept=tmp_path / "kept.extxyz", seed=0)


def test_pause_step_and_play(of_chain):
    simulation = of_chain()
    simulation.apply(Pause())
    assert simulation.turn() == inf
    simulation.apply(Step(5))
    assert simulation.frame.time_fs == pytest.approx(5) and simulation.paused
    simulation.apply(Play())
    assert simulation.turn() == 0 and simulation.frame.time_fs > 5


def test_rewind_goes_back_and_on_from_there(simulate):
    simulation = simulate(mode="nve")
    frames = []
    for _ in range(6):
        simulation.apply(Step(3))
        frames.append(simulation.frame)
    simulation.apply(Rewind(2))
    assert simulation.frame.time_fs == pytest.approx(frames[3].time_fs) == pytest.approx(12)
    np.testing.assert_allclose(simulation.frame.moment.positions, frames[3].moment.positions, atol=1e-6)
    simulation.apply(Step(3))
    np.testing.assert_allclose(simulation.frame.moment.positions, frames[4].moment.positions, atol=1e-4)
    simulation.apply(Rewind(1))
    simulation.apply(Rewind(1))
    assert simulation.frame.time_fs == pytest.approx(9)
    simulation.apply(Rewind(1000))
    assert simulation.frame.time_fs == 0 and len(simulation.history) == 1


def test_rewind_brings_a_deleted_atom_back(of_chain):
    simulation = of_chain()
    simulation.apply(Step(1))
    simulation.apply(Delete((0,)))
    assert len(simulation.frame.structure) == 3
    simulation.apply(Rewind(1))
    assert len(simulation.frame.structure) == 4


def test_reset(of_chain, chain):
    simulation = of_chain()
    simulation.apply(Delete((0,)))
    simulation.apply(Step(4))
    simulation.apply(Reset())
    np.testing.assert_array_equal(simulation.frame.moment.positions, chain.positions)
    assert simulation.frame.time_fs == 0


def test_several_atoms_are_pulled_by_the_same_displacement_to_their_centre(of_chain):
    simulation = of_chain()
    simulation.apply(PullTo((1, 2), (2.25, 3.0, 0.0)))
    targets = {pull.atom: pull.target.tolist() for pull in simulation.pulls}
    assert targets == {1: [1.5, 3.0, 0.0], 2: [3.0, 3.0, 0.0]}
    simulation.apply(PullTo((2,), (0, 0, 1)))
    assert len(simulation.pulls) == 2
    simulation.apply(Release((1,)))
    assert [pull.atom for pull in simulation.pulls] == [2]
    simulation.apply(Release())
    assert simulation.pulls == ()


def test_a_pull_is_shown_before_the_next_step_and_after_another_mode(simulate):
    simulation = simulate()
    simulation.apply(Pause())
    simulation.apply(PullTo((1,), (0, 0, 0)))
    assert len(simulation.frame.pull_forces) == len(simulation.frame.pulls) == 1 and len(simulation.history) == 1
    simulation.apply(Set(mode="nve"))
    assert len(simulation.frame.pull_forces) == len(simulation.frame.pulls) == 1 and simulation.frame.pull_energy > 0


def test_a_molecule_across_a_boundary_is_pulled_as_one(of_chain):
    atoms = Atoms("CC", positions=[[0.2, 0, 0], [9.0, 0, 0]], cell=[10, 10, 10], pbc=True)
    simulation = of_chain(atoms)
    simulation.apply(PullTo((0, 1), (0.0, 2.0, 0.0)))
    np.testing.assert_allclose([pull.target for pull in simulation.pulls], [[0.6, 2, 0], [-0.6, 2, 0]], atol=1e-12)


def test_constant_forces(simulate):
    simulation = simulate(mode="nve")
    simulation.apply(PullTo((0,), (0, 0, 0)))
    simulation.apply(Push((2, 3), ((0.5, 0, 0), (-0.5, 0, 0))))
    simulation.apply(Step(10))
    np.testing.assert_allclose(simulation.frame.pull_forces[1:], [[0.5, 0, 0], [-0.5, 0, 0]], atol=1e-6)
    simulation.apply(Push((4,), ((0, 0, 0.1),)))
    assert [pull.atom for pull in simulation.pulls] == [0, 4]


def test_fixed_atoms_stay_and_freed_ones_move(simulate):
    simulation = simulate(temperature_K=800)
    simulation.apply(Step(5))
    simulation.apply(Fix((1, 2)))
    there = simulation.frame.moment.positions[[1, 2]]
    simulation.apply(Step(10))
    np.testing.assert_array_equal(simulation.frame.moment.positions[[1, 2]], there)
    assert simulation.frame.structure.fixed.nonzero()[0].tolist() == [1, 2]
    simulation.apply(Fix((1,), fixed=False))
    simulation.apply(Step(10))
    assert (simulation.frame.moment.positions[[1, 2]] != there).any(axis=1).tolist() == [True, False]


def test_pulls_stay_where_atoms_are_fixed_and_end_where_some_are_deleted(of_chain):
    simulation = of_chain()
    simulation.apply(PullTo((3,), (0, 0, 0)))
    simulation.apply(Fix((0,)))
    assert len(simulation.pulls) == 1
    simulation.apply(Delete((0,)))
    assert simulation.pulls == ()
    simulation.apply(Step(1))


def test_all_atoms_fixed_is_refused_and_nothing_changes(simulate):
    simulation = simulate()
    frame = simulation.frame
    with pytest.raises(ValueError, match=r"All \d+ atoms are fixed; at least one must be free"):
        simulation.apply(Fix(tuple(range(len(frame.structure)))))
    assert simulation.frame is frame
    simulation.apply(Step(1))


def test_atoms_and_molecules_come_and_go(of_chain):
    simulation = of_chain()
    simulation.apply(Add((0, 5, 0), symbol="O"))
    simulation.apply(Add((0, -5, 0), molecule="H2O"))
    simulation.apply(Replace(0, "N"))
    assert simulation.frame.structure.symbols == ["N", "C", "C", "C", "O", "O", "H", "H"]
    assert simulation.frame.structure.masses[0] == pytest.approx(14.007)
    np.testing.assert_allclose(simulation.frame.moment.positions[5:].mean(axis=0), [0, -5, 0], atol=1e-12)
    simulation.apply(Delete((0, 5, 6, 7)))
    assert simulation.frame.structure.symbols == ["C", "C", "C", "O"]
    simulation.apply(Step(3))


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (PullTo((4,), (0, 0, 0)), "There is no atom 4; the structure has 4, numbered from 0"),
        (Release((9,)), "There is no atom 9"),
        (Fix((9,)), "There is no atom 9"),
        (Delete((9,)), "There is no atom 9"),
        (Delete((0, 1, 2, 3)), "All 4 atoms would be deleted; at least one must be left"),
        (Replace(9, "H"), "There is no atom 9"),
        (Replace(0, "Xx"), "There is no element 'Xx'; a symbol such as 'O'"),
        (Add((0, 9, 0), symbol="X"), "There is no element 'X'"),
        (Add((0, 9, 0), molecule="H2O3"), "There is no molecule 'H2O3'; known are those of ase.build.molecule"),
        (Add((0, 9, 0)), "An atom .symbol. or a molecule is needed"),
        (Add((0.1, 0, 0), symbol="H"), r"The new H would be 0.10 Å from atom 0 \(C\); at least 0.64 Å are needed"),
        (Set(mode="warp"), "mode is 'warp'; allowed are 'nve', 'langevin', 'npt', 'relax'"),
        (Set(temperature_K=-1), "temperature_K is -1; it must be 0 or larger"),
        (Set(timestep=0), "timestep is 0; it must be larger than 0"),
        (Set(speed=-1), "speed is -1; steps per second are needed, or 0"),
        (PullTo((0,), (0, 0, 0), 0.0), "stiffness of a pull is 0.0; a finite number above 0"),
        (Step(1001), "1001 steps were to be taken at once; 1 to 1000 can be. Play, and pause later"),
        (Step(0), "0 steps were to be taken at once"),
        (Record("frames.png"), "ASE cannot append frames to a .png file"),
    ],
)
def test_what_cannot_be_done_is_told_and_nothing_changes(of_chain, command, text):
    simulation = of_chain()
    frame, conditions = simulation.frame, simulation.conditions
    with pytest.raises((CommandError, ValueError), match=text):
        simulation.apply(command)
    assert simulation.frame is frame and simulation.pulls == () and simulation.conditions == conditions
    simulation.apply(Step(1))


def test_an_element_that_the_model_lacks_is_refused(tmp_path):
    atoms, dynamics = KINDS["device"]()
    simulation = Simulation(atoms, dynamics, Conditions(), kept=tmp_path / "kept.extxyz", seed=0)
    with pytest.raises(ValueError, match="H"):
        simulation.apply(Replace(0, "H"))
    assert simulation.frame.structure.symbols[0] == "Si"
    simulation.apply(Step(1))


def test_a_blow_up_pauses_at_the_last_good_step(simulate):
    simulation = simulate(timestep=0.5 * units.fs)
    simulation.apply(PullTo((0,), (1, 1, 1), 1e7, 1e7))
    while not simulation.paused:
        simulation.turn()
    assert "blew up" in simulation.message and "rewind, or release the pull" in simulation.message
    assert np.isfinite(simulation.frame.moment.positions).all()
    simulation.apply(Rewind(1))
    simulation.apply(Play())
    assert simulation.message is None and simulation.turn() == 0


def test_recorded_frames_are_ten_femtoseconds_apart(of_chain, tmp_path):
    simulation = of_chain(timestep=2 * units.fs)
    simulation.apply(Record(str(tmp_path / "run.traj")))
    assert simulation.recording == tmp_path / "run.traj"
    for _ in range(13):
        simulation.apply(Step(1))
    simulation.apply(Record(None))
    simulation.apply(Step(10))
    frames = read(tmp_path / "run.traj", ":")
    np.testing.assert_allclose([atoms.info["time_fs"] for atoms in frames], [0, 10, 20])
    assert np.isfinite(frames[1].get_potential_energy())


def test_kept_frames_are_without_labels(of_chain, tmp_path):
    simulation = of_chain()
    simulation.apply(Keep())
    simulation.apply(Step(3))
    simulation.apply(Keep())
    frames = read(tmp_path / "kept.extxyz", ":")
    assert len(frames) == 2 and frames[0].calc is None
    assert frames[1].info["time_fs"] == pytest.approx(3)
    assert "kept.extxyz" in simulation.message


def test_uncertainty_and_domain(tmp_path):
    atoms, dynamics = KINDS["device"]()
    atoms.positions[1] = atoms.positions[0] + [1.6, 0, 0]
    simulation = Simulation(atoms, dynamics, Conditions(timestep=0.1 * units.fs), kept=tmp_path / "k.extxyz", seed=0)
    simulation.apply(Step(1))
    assert simulation.uncertainty is None
    assert any("Si-Si at" in excess.text and set(excess.atoms) == {0, 1} for excess in simulation.warnings)
    simulation.watch(uncertainty=True)
    simulation.apply(PullTo((0,), (0, 0, 5)))
    simulation.apply(Step(1))
    calc = LatteCalculator.from_pretrained("latte-si")
    committee = calc.potential.committee
    forces = calc.engine.evaluate_members(simulation.frame.moment.atoms(), committee.asked)[1]
    expected = np.linalg.norm(committee.deviations(forces), axis=1)
    np.testing.assert_allclose(simulation.uncertainty, expected, rtol=2e-3)
    assert simulation.uncertain_of == simulation.frame.structure.revision
    simulation.apply(Keep())
    assert read(tmp_path / "k.extxyz").info["uncertainty"] == pytest.approx(expected.max(), rel=2e-3)


def test_a_slower_speed_waits_between_turns(of_chain):
    simulation = of_chain()
    simulation.apply(Set(speed=0.5))
    assert simulation.turn() > 0
    time = simulation.frame.time_fs
    assert simulation.turn() > 0 and simulation.frame.time_fs == time


def test_other_constraints_are_refused(of_chain, chain):
    from ase.constraints import FixBondLength

    chain.set_constraint(FixBondLength(0, 1))
    with pytest.raises(NotImplementedError, match="constraint FixBondLengths; a live simulation knows only FixAtoms"):
        of_chain()


def test_fixed_atoms_of_the_structure_stay(of_chain, chain):
    chain.set_constraint(FixAtoms([0]))
    simulation = of_chain()
    simulation.apply(Step(5))
    np.testing.assert_array_equal(simulation.frame.moment.positions[0], chain.positions[0])
