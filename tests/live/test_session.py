"""Sessions as Python sees them."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.io import read

from latte_ase import LatteCalculator
from latte_ase.engine.jit import traces
from latte_ase.live import live

LANGEVIN = {"temperature_K": 10, "friction": 1.0}


def test_an_atom_is_pulled_while_the_caller_does_other_things(chain, start):
    session, target = start(chain, **LANGEVIN), np.array([3.0, 4.0, 0.0])
    session.pull(3, target)
    while np.linalg.norm(session.atoms.positions[3] - target) > 0.3:
        session.wait()
    session.release()
    assert session.frame.pulls == ()


def test_atoms_are_a_copy_with_results(chain, start, springs):
    session = start(chain)
    atoms = session.atoms
    number = session.frame.number
    assert session.wait(3, timeout=60).number >= number + 3
    again = atoms.copy()
    again.calc = springs()
    assert atoms.get_potential_energy() == pytest.approx(again.get_potential_energy())
    np.testing.assert_allclose(atoms.get_forces(), again.get_forces())
    assert atoms.info["time_fs"] >= 0 and atoms.get_momenta().any()
    assert not (session.atoms.positions == atoms.positions).all()
    assert chain.positions.tolist() == [[1.5 * k, 0, 0] for k in range(4)] and chain.get_momenta().any() == 0


def test_conditions_are_read_and_set_in_ases_units(chain, start):
    session = start(chain, paused=True, timestep=1 * units.fs)
    session.temperature_K, session.friction, session.timestep, session.speed = 77, 0.05 / units.fs, 0.3 * units.fs, 500
    session.mode, session.pressure_au = "nve", 2 * units.GPa
    assert session.temperature_K == 77 and session.friction == pytest.approx(0.05 / units.fs) and session.speed == 500
    assert session.timestep == pytest.approx(0.3 * units.fs) and session.pressure_au == pytest.approx(2 * units.GPa)
    status = session.status
    assert status["mode"] == session.mode == "nve" and status["temperature_K"] == 77
    assert status["friction"] == pytest.approx(0.05) and status["pressure"] == pytest.approx(2)
    session.step(4)
    assert session.atoms.info["time_fs"] == pytest.approx(1.2)


def test_all_that_can_be_done(chain, start, tmp_path):
    session = start(chain, paused=True, kept=tmp_path / "kept.extxyz", timestep=0.1 * units.fs)
    session.record(tmp_path / "run.traj")
    session.add("H2O", at=[0, 5, 0])
    session.add("O", at=[0, -5, 0])
    session.replace(0, "N")
    session.delete([4, 5])
    session.fix(1)
    session.step(3)
    session.free(1)
    session.push([2, 3], [0, 0.1, 0])
    session.play()
    session.wait(2, timeout=60)
    session.pause()
    session.keep()
    session.rewind(2)
    assert str(session.atoms.symbols) == "NC3HO"
    session.reset()
    assert str(session.atoms.symbols) == "C4"
    session.stop()
    assert len(read(tmp_path / "run.traj", ":")) >= 1 and len(read(tmp_path / "kept.extxyz", ":")) == 1


def test_what_is_wrong_is_raised_where_it_was_asked_for(chain, start):
    session = start(chain)
    with pytest.raises(ValueError, match="There is no atom 7"):
        session.pull(7, [0, 0, 0])
    with pytest.raises(ValueError, match="mode is 'fast'"):
        session.mode = "fast"
    with pytest.raises(ValueError, match=r"The atoms are 1.5; one index or several"):
        session.fix(1.5)
    with pytest.raises(ValueError, match=r"The atoms are \[\]; one index or several"):
        session.release([])
    session.wait(timeout=60)


def test_a_structure_without_calculator_is_refused():
    with pytest.raises(ValueError, match=r"no calculator, and none was given. Pass one: live\(atoms, LatteCalculator"):
        live(Atoms("H"))


def test_a_calculator_that_fails_pauses_the_session(chain, start, springs):
    class Failing(springs):
        def calculate(self, *arguments, **options):
            super().calculate(*arguments, **options)
            if self.atoms.positions[0, 0] < -1:
                raise ArithmeticError("no convergence")

    session = start(chain, Failing(), temperature_K=0)
    session.pull(0, [-9, 0, 0])
    while not session.status["paused"]:
        session.wait(timeout=0.1)
    assert session.status["message"] == "ArithmeticError: no convergence Paused."
    session.release()
    session.rewind(5)
    session.play()
    session.wait(timeout=60)
    assert session.running


def test_an_ended_session_says_so_and_leaves_no_thread(chain):
    before = set(threading.enumerate())
    with live(chain) as session:
        assert len(set(threading.enumerate()) - before) == 1
        _ = session.serve()
    assert set(threading.enumerate()) == before and not session.running
    session.stop()
    for command in (session.pause, session.serve):
        with pytest.raises(RuntimeError, match=r"The session has ended. Start another one with live\(atoms\)"):
            command()
    assert len(session.atoms) == 4


def test_defaults_of_the_time_step(start, springs):
    for symbol, step in (("C2", 2.0), ("CH", 0.5)):
        session = start(Atoms(symbol, positions=[[0, 0, 0], [1.5, 0, 0]]), springs(), paused=True)
        assert session.timestep == pytest.approx(step * units.fs)


def test_nothing_is_compiled_while_temperature_pull_and_fixed_atoms_change(start):
    atoms = bulk("Si", cubic=True)
    calc = LatteCalculator.from_pretrained("latte-si")
    session = start(atoms, calc, timestep=0.5 * units.fs)
    session.pull(0, [0, 0, 0.1])
    session.wait(2, timeout=300)
    before = calc.stats.compilations, traces.count
    for k in range(1, 4):
        session.temperature_K = 100 * k
        session.friction = 0.01 * k
        session.pull([k, k + 1], atoms.positions[k] + 0.2, stiffness=float(k))
        session.fix([7, k + 2])
        session.wait(2, timeout=60)
        session.free([7, k + 2])
        session.mode = ("nve", "relax", "langevin")[k - 1]
        session.wait(1, timeout=5)
        session.release(k)
        session.rewind(1)
    assert (calc.stats.compilations, traces.count) == before


def test_the_extra_packages_are_not_imported():
    code = "import sys, latte_ase.live.session, latte_ase.live.server; print({'websockets', 'anywidget'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_results_of_other_calculators_may_lack_anything_but_energy_and_forces(start):
    class Still(Calculator):
        implemented_properties = ("energy", "forces")

        def calculate(self, atoms=None, properties=("energy",), system_changes=()):
            super().calculate(atoms, properties, system_changes)
            self.results = {"energy": 0.0, "forces": np.zeros((len(self.atoms), 3))}

    session = start(Atoms("H", momenta=[[1, 0, 0]]), Still(), mode="nve", paused=True)
    session.step(10)
    np.testing.assert_allclose(session.atoms.positions, [[5 * units.fs / 1.008, 0, 0]])
