"""Threads and processes get the numbers of a serial run; a forked process gets an error, and never hangs."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import re
import subprocess
import sys
import textwrap
import threading
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from copy import deepcopy

import numpy as np
import pytest

from latte_ase import LatteCalculator, load_model
from latte_ase.training import train

WORKERS = 16
REPEATS = 20
TOLERANCE = 1e-9
"""eV, eV/Angstrom, eV/Angstrom^3, in float64: the sums run in another order where another shape was at hand."""

pytestmark = pytest.mark.filterwarnings("ignore::latte_ase.model.domain.DomainWarning")


@pytest.fixture(scope="module")
def structures(water_like):
    """One for each worker, all different."""
    made = []
    for seed in range(WORKERS):
        atoms = water_like.copy()
        atoms.rattle(0.02 + 0.002 * seed, seed=seed)
        atoms.set_cell(atoms.cell * (1 + 0.001 * seed), scale_atoms=True)
        made.append(atoms)
    return made


def numbers(calc, atoms):
    """Energy, forces and stress, each asked for on its own as an ASE script does."""
    atoms = atoms.copy()
    atoms.calc = calc
    return atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()


@pytest.fixture(scope="module")
def used(tiny_potential):
    """A calculator; copies of it know its shapes, so that threads need not all compile."""
    return LatteCalculator(tiny_potential(), dtype="float64")


@pytest.fixture(scope="module")
def serial(used, structures):
    """Their numbers, one after the other, from one calculator."""
    return [numbers(used, atoms) for atoms in structures]


def assert_serial(found, serial):
    assert len(found) == len(serial)
    for worker, (mine, expected) in enumerate(zip(found, serial, strict=True)):
        for a, b in zip(mine, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE, err_msg=f"structure {worker}")


@pytest.fixture
def restless():
    """Threads are interrupted a hundred times as often as usual."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(before / 100)
    yield
    sys.setswitchinterval(before)


def in_threads(function):
    """function(worker, repeat) in WORKERS threads, REPEATS times each: the results of every repeat."""
    with ThreadPoolExecutor(WORKERS) as pool:
        rows = list(pool.map(lambda worker: [function(worker, k) for k in range(REPEATS)], range(WORKERS)))
    return zip(*rows, strict=True)


def test_the_structures_are_told_apart(serial):
    """Or the tests below would not see a thread that got another one's numbers."""
    energies = np.sort([energy for energy, *_ in serial])
    assert np.diff(energies).min() > 1e4 * TOLERANCE


@pytest.mark.parametrize(
    "new", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["copied", "new"]
)  # 0.5 s; 15 s
def test_threads_with_a_calculator_each(used, structures, serial, restless, new):
    calcs = [LatteCalculator(used.potential, dtype="float64") if new else deepcopy(used) for _ in structures]
    for found in in_threads(lambda worker, _: numbers(calcs[worker], structures[worker])):
        assert_serial(found, serial)


def test_threads_that_share_a_calculator(used, structures, serial, restless):
    for found in in_threads(lambda worker, _: numbers(used, structures[worker])):
        assert_serial(found, serial)


def test_threads_that_share_an_engine(used, structures, serial, restless):
    engine, before = used.engine, used.stats.calls
    for found in in_threads(lambda worker, _: engine.evaluate(structures[worker])):
        assert_serial([(output.energy, output.forces) for output in found], [row[:2] for row in serial])
    assert engine.stats.calls - before == WORKERS * REPEATS


def test_copies_of_a_calculator_do_not_wait_for_each_other(used):
    twin, entered = deepcopy(used), threading.Event()

    def enter():
        with twin.engine.exclusive():
            entered.set()

    with used.engine.exclusive():
        threading.Thread(target=enter, daemon=True).start()
        assert entered.wait(30)


@pytest.mark.slow  # 150 s on two cores that others used too
def test_processes_with_a_calculator_each(used, structures, serial):
    """Spawned, as joblib's processes are; the calculator travels as a pickle."""
    with ProcessPoolExecutor(WORKERS, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = list(pool.map(numbers_with_process, [used] * WORKERS, structures))
    assert_serial([row for _, row in found], serial)
    assert len({process for process, _ in found}) > 1


def numbers_with_process(calc, atoms):
    return multiprocessing.current_process().pid, numbers(calc, atoms)


def in_a_fork(function, *arguments):
    """What it returns, or the text of its exception, from a forked process; fails if that hangs."""
    receive, send = multiprocessing.Pipe(duplex=False)

    def child():
        try:
            send.send(function(*arguments))
        except BaseException as error:
            send.send(f"{type(error).__name__}: {error}")

    process = multiprocessing.get_context("fork").Process(target=child)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # JAX and Python warn of what is tested here
        process.start()
    try:
        assert receive.poll(60), "the forked process hangs"
        return receive.recv()
    finally:
        process.kill()
        process.join()


needs_fork = pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="cannot fork here")
REFUSAL = re.compile(
    r"RuntimeError: This process was forked from one in which JAX was already running.*"
    r"Start processes with multiprocessing\.get_context\('spawn'\) or 'forkserver'"
)


@needs_fork
def test_a_forked_process_is_refused_and_does_not_hang(used, structures, serial):
    calc, atoms = used, structures[0]
    assert_serial([numbers(calc, atoms)], serial[:1])
    assert REFUSAL.match(in_a_fork(numbers, calc, atoms))
    assert REFUSAL.match(in_a_fork(LatteCalculator, used.potential))
    assert REFUSAL.match(in_a_fork(calc.get_descriptors, atoms))
    assert REFUSAL.match(in_a_fork(train, {}))
    with calc.engine.exclusive():  # a lock that nobody in the child would ever release
        assert REFUSAL.match(in_a_fork(numbers, calc, atoms))
    assert_serial([numbers(calc, atoms)], serial[:1])  # the parent is as it was


@needs_fork
def test_a_forked_process_can_load_a_model(serial):
    assert in_a_fork(lambda: load_model("latte-si").elements) == ("Si",)


BEFORE_JAX = """
    import multiprocessing, sys
    from ase.build import bulk
    from latte_ase import LatteCalculator, load_model

    potential = load_model("latte-si")

    def energy(_=None):
        atoms = bulk("Si")
        atoms.calc = LatteCalculator(potential, dtype="float64")
        return atoms.get_potential_energy()

    with multiprocessing.get_context("fork").Pool(2) as pool:
        found = pool.map_async(energy, range(2)).get(timeout=120)
    assert max(abs(e - energy()) for e in found) < 1e-9, found
"""


@needs_fork
@pytest.mark.slow  # 11 s
def test_processes_forked_before_jax_is_used_get_the_right_numbers():
    subprocess.run([sys.executable, "-c", textwrap.dedent(BEFORE_JAX)], check=True, timeout=300)


FORKED_POOL = """
    import multiprocessing
    from ase.build import bulk
    from latte_ase import LatteCalculator

    def energy(calc):
        atoms = bulk("Si")
        atoms.calc = calc
        return atoms.get_potential_energy()

    calc = LatteCalculator.from_pretrained("latte-si")
    energy(calc)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        try:
            pool.map(energy, [calc] * 4)
        except RuntimeError as error:
            print(error)
"""


@needs_fork
def test_a_calculator_sent_to_a_forked_pool_is_refused_and_the_pool_goes_on():
    """Receiving it must not raise, let alone hang: a pool waits forever for a process that dies while it receives."""
    command = [sys.executable, "-c", textwrap.dedent(FORKED_POOL)]
    done = subprocess.run(command, check=True, timeout=300, capture_output=True, text=True)
    assert REFUSAL.match(f"RuntimeError: {done.stdout}")


def test_a_pickled_calculator_is_made_at_its_first_use(used):
    received = pickle.loads(pickle.dumps(used))
    assert "potential" not in vars(received.engine)
    again = pickle.loads(pickle.dumps(received))
    assert again.potential.elements == copy.deepcopy(received).potential.elements == used.potential.elements
    assert "potential" in vars(again.engine)
    with pytest.raises(AttributeError, match="'Engine' object has no attribute 'colour'"):
        again.engine.colour  # noqa: B018
