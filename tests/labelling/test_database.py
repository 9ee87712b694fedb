"""Database of labels: what was written stays, whenever the process is killed."""

import random
import subprocess
import sys
import textwrap

import numpy as np
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from latte_ase.io.frames import read_frames
from latte_ase.labelling import Failure, LabelDatabase


def labelled(seed=0):
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=seed)
    atoms.calc = EMT()
    results = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces(), "stress": atoms.get_stress()}
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def test_labels_come_back_to_the_last_digit(tmp_path):
    database, atoms = LabelDatabase(tmp_path / "labels.db"), labelled()
    assert database.count() == 0 and database.done(0) == set() and not database.has_stress()
    database.add([atoms, labelled(1)], round=0, task=7, origin="pupil 600 K", held=True)
    database = LabelDatabase(tmp_path / "labels.db")
    found = database.frames("held=1")
    assert len(found) == 2 and database.has_stress()
    np.testing.assert_array_equal(found[0].positions, atoms.positions)
    np.testing.assert_array_equal(found[0].get_forces(), atoms.get_forces())
    np.testing.assert_array_equal(found[0].get_stress(), atoms.get_stress())
    assert found[0].get_potential_energy() == atoms.get_potential_energy()
    assert found[1].info == {"round": 0, "task": 7, "frame": 1, "origin": "pupil 600 K", "held": 1}


def test_training_reads_a_part_of_it(tmp_path):
    database = LabelDatabase(tmp_path / "labels.db")
    for task in range(4):
        database.add([labelled(task)], round=0, task=task, origin="seed", held=task == 3)
    assert len(read_frames(f"{database.path}@held=0")) == 3
    assert len(read_frames(f"{database.path}@held=1")) == 1


def test_failures_are_done_too(tmp_path):
    database = LabelDatabase(tmp_path / "labels.db")
    database.add([labelled()], round=1, task=0, origin="seed", held=False)
    database.add_failure(Failure(labelled(), "did not converge"), round=1, task=2)
    assert database.done(1) == {0, 2} and database.done(0) == set()
    assert database.reasons(1) == ["did not converge"] and database.count() == 1


def test_twenty_kills_lose_no_label(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import sys
        from pathlib import Path
        from ase.build import bulk
        from ase.calculators.singlepoint import SinglePointCalculator
        from latte_ase.labelling import LabelDatabase

        database = LabelDatabase(Path("labels.db"))
        task = database.count()
        while True:
            atoms = bulk("Cu")
            atoms.calc = SinglePointCalculator(atoms, energy=float(task))
            database.add([atoms], round=0, task=task, origin="seed", held=False)
            print(task, flush=True)
            task += 1
        """)
    )
    rng, told = random.Random(0), []
    for _ in range(20):
        process = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True, cwd=tmp_path)
        told += [int(process.stdout.readline()) for _ in range(rng.randint(1, 12))]
        process.kill()
        told += [int(line) for line in process.stdout.read().split("\n")[:-1]]
        process.wait()
    energies = {row.info["task"]: row.get_potential_energy() for row in LabelDatabase(tmp_path / "labels.db").frames()}
    assert set(told) <= set(energies) and len(told) == len(set(told))
    assert all(task == energy for task, energy in energies.items())
    assert sorted(energies) == list(range(len(energies)))
