"""Labelling processes: labels are the calculator's own, and no fault of a teacher stops them."""

import os
import re
import subprocess
import sys
import textwrap
import time
from functools import partial
from pathlib import Path
from typing import ClassVar

import cloudpickle
import numpy as np
import pytest
from ase import units
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from hypothesis import given, settings
from hypothesis import strategies as st

from latte_ase.labelling import Failure, ShortRun, Task, TeacherError, Workers
from latte_ase.labelling.workers import _Process, find_teacher

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the tests are no package that a process could import


class Faulty(Calculator):
    """EMT that does something else where the first atom is at x < 0: "raise", "hang", "die", or "nan"."""

    implemented_properties: ClassVar = ["energy", "forces", "stress"]

    def __init__(self, fault: str):
        super().__init__()
        self.fault = fault

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        """As EMT, or not."""
        super().calculate(atoms, properties, system_changes)
        print("a teacher that prints")
        bad = self.atoms.positions[0, 0] < 0
        if bad and self.fault == "raise":
            raise RuntimeError("did not converge")
        if bad and self.fault == "hang":
            time.sleep(1000)
        if bad and self.fault == "die":
            os._exit(9)
        emt = EMT()
        emt.calculate(self.atoms, ["energy", "forces"], all_changes)
        self.results = dict(emt.results)
        if bad and self.fault == "nan":
            self.results["energy"] = np.nan


def refusing():
    """A factory that fails."""
    raise OSError("no licence server")


def copper(seed=0):
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=seed)
    atoms.positions[:, 0] += 1.0
    return atoms


def answers(teacher, tasks, *, count=2, timeout=30.0, retries=0):
    with Workers(teacher, count=count, timeout=timeout, retries=retries) as workers:
        return dict(workers.label(enumerate(tasks)))


def test_labels_are_those_of_the_calculator():
    structures = [copper(k) for k in range(5)]
    found = answers(EMT, [Task(atoms) for atoms in structures])
    assert sorted(found) == [0, 1, 2, 3, 4]
    for k, atoms in enumerate(structures):
        atoms.calc = EMT()
        (labelled,) = found[k]
        # EMT sums over a list that it may have kept from the structure before, in another order
        assert labelled.get_potential_energy() == pytest.approx(atoms.get_potential_energy(), abs=1e-12)
        np.testing.assert_allclose(labelled.get_forces(), atoms.get_forces(), rtol=0, atol=1e-12)
        np.testing.assert_allclose(labelled.get_stress(), atoms.get_stress(), rtol=0, atol=1e-12)
        assert labelled.info["seconds"] > 0


def test_forces_of_fixed_atoms_are_labels_too():
    atoms = copper()
    atoms.set_constraint(FixAtoms([0, 1]))
    (labelled,) = answers("ase.calculators.emt:EMT", [Task(atoms)])[0]
    free = copper()
    free.calc = EMT()
    np.testing.assert_allclose(labelled.get_forces(), free.get_forces(), rtol=0, atol=1e-12)


def test_a_molecule_has_no_stress():
    (labelled,) = answers(EMT, [Task(molecule("N2"))])[0]
    assert "stress" not in labelled.calc.results


def test_a_short_run_keeps_fixed_atoms_and_gives_as_many_structures():
    atoms = copper()
    atoms.set_constraint(FixAtoms([0]))
    found = answers(EMT, [Task(atoms, ShortRun(600.0, 2 * units.fs, 30, 10, 1))])[0]
    assert len(found) == 3
    for frame in found:
        np.testing.assert_array_equal(frame.positions[0], atoms.positions[0])
        check = frame.copy()
        check.calc = EMT()
        assert frame.get_potential_energy() == pytest.approx(check.get_potential_energy(), abs=1e-12)
    assert np.abs(found[2].positions - found[1].positions).max() > 1e-3


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("raise", r"RuntimeError: did not converge \(\S+, line \d+\)"),
        ("nan", "ValueError: the energy is not finite"),
        ("die", "its process ended with status 9"),
        ("hang", "no answer within 5 s"),
    ],
)
def test_a_fault_costs_one_label(fault, reason):
    structures = [copper(k) for k in range(4)]
    structures[1].positions[:, 0] -= 3.0
    found = answers(partial(Faulty, fault), map(Task, structures), timeout=5.0 if fault == "hang" else 60.0, retries=1)
    assert isinstance(found[1], Failure)
    np.testing.assert_array_equal(found[1].atoms.positions, structures[1].positions)
    assert re.fullmatch(reason + ".*", found[1].reason)
    for k in (0, 2, 3):
        structures[k].calc = EMT()
        assert found[k][0].get_potential_energy() == pytest.approx(structures[k].get_potential_energy(), abs=1e-12)


def test_a_teacher_that_cannot_be_made_ends_it():
    with pytest.raises(TeacherError, match=r"The teacher could not be made: OSError: no licence server \(\S+, line"):
        answers(refusing, [Task(copper())])


@pytest.mark.parametrize(
    ("teacher", "error", "message"),
    [
        ("emt", ValueError, r"teacher is 'emt'; MODULE:FACTORY is needed, such as ase.calculators.emt:EMT"),
        ("nowhere.at_all:EMT", ValueError, r"The teacher 'nowhere.at_all:EMT' cannot be imported: No module named"),
        ("ase.calculators.emt:Emt", ValueError, r"cannot be imported: module .* has no attribute 'Emt'"),
        (EMT(), TypeError, r"teacher is a EMT; a function without arguments that makes an ASE calculator is needed"),
    ],
)
def test_what_is_no_factory_is_refused(teacher, error, message):
    with pytest.raises(error, match=message):
        find_teacher(teacher)


def test_a_connection_is_not_closed_while_a_thread_waits_for_it(monkeypatch):
    """The number of a closed file is given to the next one that is opened, which the thread would then read or close."""
    waiting, closed = set(), []
    ask, end = _Process.ask, _Process.end

    def watched_ask(self, *arguments):
        waiting.add(self)
        try:
            return ask(self, *arguments)
        finally:
            waiting.discard(self)

    def watched_end(self):
        closed.append(self in waiting)
        end(self)

    monkeypatch.setattr(_Process, "ask", watched_ask)
    monkeypatch.setattr(_Process, "end", watched_end)
    structures = [copper(), copper()]
    structures[1].positions[:, 0] -= 3.0  # hangs
    with Workers(partial(Faulty, "hang"), count=2, timeout=600, retries=0) as workers:
        next(workers.label(enumerate(map(Task, structures))))
        _until(lambda: len(waiting) == 1)
    assert closed and not any(closed) and not waiting


def test_a_script_needs_no_guard_and_may_define_its_teacher(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        from ase.build import bulk
        from ase.calculators.emt import EMT
        from latte_ase.labelling import Task, Workers

        def teacher():
            return EMT()

        with Workers(teacher, count=1, timeout=30, retries=0) as workers:
            for name, found in workers.label([("one", Task(bulk("Cu")))]):
                print(name, round(found[0].get_potential_energy(), 3))
        """)
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == "one -0.006\n", done.stderr


def test_processes_end_with_a_parent_that_is_killed(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import os, time
        from ase.build import bulk
        from latte_ase.labelling import Task, Workers

        class Hanging:
            implemented_properties = ["energy"]
            def get_potential_energy(self, atoms, **_):
                print(os.getpid(), file=open("worker", "w"), flush=True)
                time.sleep(1000)

        with Workers(Hanging, count=1, timeout=1000, retries=0) as workers:
            list(workers.label([(0, Task(bulk("Cu")))]))
        """)
    )
    parent, note = subprocess.Popen([sys.executable, script], cwd=tmp_path), tmp_path / "worker"
    _until(lambda: note.exists() and note.read_text().strip())
    parent.kill()
    parent.wait()
    _until(lambda: not _lives(int(note.read_text())))


def _until(true, seconds=60.0):
    """Wait for something; a limit ends a test that has failed."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def _lives(process: int) -> bool:
    status = Path(f"/proc/{process}/stat")
    try:
        return status.read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


@settings(max_examples=5, deadline=None)
@given(order=st.lists(st.booleans(), min_size=1, max_size=6), count=st.integers(1, 3))
def test_every_task_has_one_answer(order, count):
    structures = [copper(k) for k in range(len(order))]
    for atoms, bad in zip(structures, order, strict=True):
        atoms.positions[:, 0] -= 3.0 * bad
    found = answers(partial(Faulty, "raise"), map(Task, structures), count=count)
    assert {k: isinstance(answer, Failure) for k, answer in found.items()} == dict(enumerate(order))
