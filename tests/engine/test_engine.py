"""The engine: list reuse, buckets, compilations, precision, devices, copies."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.data import chemical_symbols

from latte_ase.engine import parts
from latte_ase.engine.devices import find_device
from latte_ase.engine.engine import Engine
from latte_ase.engine.evaluator import COMPILED
from latte_ase.engine.jit import traces
from latte_ase.model import derivatives, message_passing
from latte_ase.training.config import load_config
from latte_ase.training.initial import initial_potential


@pytest.fixture(scope="module")
def potential():
    """A random potential of hydrogen and oxygen."""
    model = {
        "name": "tiny",
        "contractions": "2,-:2,a,a",
        "cutoff": 4.0,
        "elements": ["H", "O"],
        "hidden": [8],
        "repulsion": False,
    }
    made = initial_potential(load_config({"model": model, "data": {"train": ""}}), [])
    return replace(made, reference_energies=np.array([-13.6, -432.1]))


@pytest.fixture
def waters():
    """Two molecules in a periodic cell that is smaller than two cutoffs."""
    first, second = molecule("H2O"), molecule("H2O")
    second.rotate(100, (1, 2, 3))
    second.translate((0.3, 2.8, 0.4))
    atoms = first + second
    atoms.set_cell([[5.0, 0, 0], [0.4, 5.5, 0], [0, 0.3, 4.8]])
    atoms.pbc = True
    return atoms


def assert_same(a, b, tolerance=0.0):
    """Equal energies, forces and virial."""
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(x, y, rtol=0, atol=tolerance)


@pytest.fixture
def cheap(monkeypatch):
    """Replaces the compiled functions by ones that compile at once, but are counted alike."""

    @partial(jax.jit, static_argnums=0)
    def zeros(program, weights, graph, motion, **blocks):
        traces.count += 1
        return 0.0 * graph.is_atom

    monkeypatch.setitem(COMPILED, derivatives.energies, zeros)


def test_a_list_serves_until_atoms_moved_and_the_numbers_are_those_of_a_fresh_list(potential, waters):
    engine = Engine(potential, dtype="float64")
    engine.evaluate(waters)
    waters.rattle(0.02, seed=1)
    waters.translate((3.0, -2.0, 7.0))  # a drift of everything is free
    waters.set_cell(waters.cell.array * 1.002, scale_atoms=True)
    reused = engine.evaluate(waters)
    assert engine.stats.list_builds == 1
    assert_same(reused, Engine(potential, dtype="float64").evaluate(waters), 1e-11)
    waters.positions[4] += engine.skin
    engine.evaluate(waters)
    assert engine.stats.list_builds == 2
    waters.positions[4] += waters.cell[0]  # wrapping is a rebuild, not an error
    engine.evaluate(waters)
    assert engine.stats.list_builds == 3
    assert engine.stats.calls == 4


@pytest.mark.parametrize("change", ["numbers", "pbc", "fewer atoms"])
def test_other_atoms_ask_for_a_new_list(potential, waters, cheap, change):
    engine = Engine(potential)
    engine.energies(waters)
    if change == "numbers":
        waters.numbers[[0, 1]] = waters.numbers[[1, 0]]
    elif change == "pbc":
        waters.pbc[2] = False
    else:
        del waters[-1]
    engine.energies(waters)
    assert engine.stats.list_builds == 2


def test_no_skin_means_a_list_per_step(potential, waters, cheap):
    engine = Engine(potential, skin=0)
    for seed in range(3):
        waters.rattle(0.01, seed=seed)
        engine.energies(waters)
    assert engine.stats.list_builds == 3


def test_no_compilation_in_a_random_walk_of_positions_and_cell(potential, waters):
    engine = Engine(potential, dtype="float64")
    engine.evaluate(waters)
    compiled = engine.stats.compilations
    rng = np.random.default_rng(0)
    start = waters.cell.array.copy()
    for _ in range(40):
        waters.positions += rng.normal(0, 0.06, waters.positions.shape)
        waters.set_cell(start * (1 + rng.uniform(-0.01, 0.01)), scale_atoms=True)
        engine.evaluate(waters)
    assert engine.stats.compilations == compiled
    assert engine.stats.list_builds > 3  # otherwise the walk showed nothing
    assert 0 <= engine.stats.padding_waste < 1


def test_engines_of_one_architecture_share_what_was_compiled(potential, waters):
    Engine(potential, dtype="float64").evaluate(waters)
    params = jax.tree.map(lambda a: 1.1 * a, potential.params)
    other = Engine(replace(potential, params=params), dtype="float64")
    other.evaluate(waters)
    assert (other.stats.calls, other.stats.compilations) == (1, 0)


def test_a_block_is_traced_once(potential, waters, monkeypatch):
    """Tracing is most of a first call whose compiled function is in the cache; the loop over blocks needs shapes first."""
    found, site_energies = [], message_passing.site_energies
    monkeypatch.setattr(message_passing, "site_energies", lambda *a: found.append(a) or site_energies(*a))
    unseen = replace(potential.architecture, activation="tanh")  # so that nothing is compiled yet
    Engine(replace(potential, architecture=unseen), threads=1).evaluate(waters)
    assert len(found) == 1


def test_at_most_one_compilation_per_doubling_of_the_size(potential, cheap):
    engine = Engine(potential, threads=1)
    cells = np.unique(np.geomspace(64, 512, 60).astype(int))
    columns = [Atoms("O4", [(0, 0, 0), (0, 2, 0), (0, 0, 2), (0, 2, 2)], cell=(2, 20, 20), pbc=True) * (int(n), 1, 1)
               for n in cells]  # fmt: skip
    for atoms in columns:
        engine.energies(atoms)
    assert len(cells) > 50
    assert engine.stats.compilations <= 1 + np.log2(cells[-1] / cells[0])
    before = engine.stats.compilations
    for atoms in reversed(columns):
        engine.energies(atoms)
    assert engine.stats.compilations == before


def test_at_most_one_compilation_per_doubling_over_a_thousand_droplets(potential, cheap):
    engine = Engine(potential)
    rng = np.random.default_rng(0)
    drop = molecule("H2O", vacuum=1.0, pbc=True) * (8, 8, 8)
    drop = drop[np.argsort(np.linalg.norm(drop.positions - drop.positions.mean(axis=0), axis=1), kind="stable")]
    drop.pbc = False
    sizes = np.concatenate([[3], np.exp(rng.uniform(np.log(3), np.log(len(drop)), 998)).astype(int), [len(drop)]])
    for size in sizes:
        engine.energies(drop[:size])
    assert engine.stats.calls == 1000
    assert engine.stats.compilations <= 1 + np.log2(len(drop) / 3)


def test_threads_compute_the_same_numbers(potential, waters):
    crystal = waters * (3, 3, 2)
    crystal.rattle(0.05, seed=0)
    alone, together = (Engine(potential, dtype="float64", threads=n) for n in (1, 3))
    expected, result = alone.evaluate(crystal), together.evaluate(crystal)
    assert len(alone.lists.present.parts) == 1 < len(together.lists.present.parts)
    np.testing.assert_array_equal(result.energies, expected.energies)
    np.testing.assert_array_equal(result.forces, expected.forces)
    np.testing.assert_allclose(result.virial, expected.virial, rtol=0, atol=1e-12)
    for method in ("energies", "descriptors", "atomic_virials"):
        np.testing.assert_array_equal(getattr(together, method)(crystal), getattr(alone, method)(crystal))
    np.testing.assert_allclose(together.hessian(waters).toarray(), alone.hessian(waters).toarray(), atol=1e-12)


@pytest.mark.parametrize("kind", ["messages", "cace", "hiphop"])
def test_threads_tell_each_other_between_rounds(kind, tiny_potential, waters):
    potential = tiny_potential(kind, ("H", "O"))
    crystal = waters * (3, 3, 2)
    crystal.rattle(0.05, seed=0)
    alone, together = (Engine(potential, dtype="float64", threads=n) for n in (1, 3))
    expected, result = alone.evaluate(crystal), together.evaluate(crystal)
    assert len(alone.lists.present.parts) == 1 < len(together.lists.present.parts)
    np.testing.assert_allclose(result.energies, expected.energies, rtol=0, atol=1e-12)
    np.testing.assert_allclose(result.forces, expected.forces, rtol=0, atol=1e-12)
    np.testing.assert_allclose(result.virial, expected.virial, rtol=0, atol=1e-11)
    compiled = together.stats.compilations
    crystal.rattle(0.01, seed=1)
    np.testing.assert_allclose(together.evaluate(crystal).forces, alone.evaluate(crystal).forces, rtol=0, atol=1e-12)
    assert together.stats.compilations == compiled
    for method in ("energies", "descriptors", "atomic_virials"):
        np.testing.assert_allclose(getattr(together, method)(crystal), getattr(alone, method)(crystal), atol=1e-12)


def test_what_fails_in_a_thread_is_raised(potential, waters, monkeypatch):
    engine = Engine(potential, threads=2)
    crystal = waters * (3, 3, 2)
    engine.evaluate(crystal)

    def fails(*_, **options):
        raise RuntimeError(f"part {options['used']}")

    monkeypatch.setattr(parts, "_stage", fails)
    with pytest.raises(RuntimeError, match="part"):
        engine.evaluate(crystal)


@pytest.mark.parametrize("threads", [0, -1])
def test_a_wrong_number_of_threads_is_refused(potential, threads):
    with pytest.raises(ValueError, match=rf"threads is {threads}; 1 or more are needed, or None for all cores\."):
        Engine(potential, threads=threads)


def test_the_bucket_does_not_show_in_the_numbers(potential, waters):
    fresh = Engine(potential, dtype="float64")
    expected = fresh.evaluate(waters)
    engine = Engine(potential, dtype="float64")
    engine.evaluate(waters * (3, 3, 1))
    result = engine.evaluate(waters)
    assert engine.lists.present.shape.blocks > fresh.lists.present.shape.blocks  # it did run in the larger bucket
    assert_same(result, expected, 1e-10)


def test_many_elements_do_not_fill_their_groups_with_padding(cheap):
    """Of 20 elements most atoms have one or two neighbours each: rounding each group up would treble the work."""
    elements = [chemical_symbols[z] for z in range(1, 21)]
    model = {"name": "tiny", "contractions": "2,-", "cutoff": 4.0, "elements": elements, "hidden": [8]}
    model |= {"descriptor": "reduced", "n_radial": 2}  # which always groups neighbours by element
    engine = Engine(initial_potential(load_config({"model": model, "data": {"train": ""}}), []))
    rng = np.random.default_rng(0)
    atoms = Atoms(rng.choice(elements, 500), 14.0 * rng.random((500, 3)), cell=[14.0] * 3, pbc=True)
    engine.energies(atoms)
    groups = len(engine.lists.present.shape.neighbours)
    need = sum(engine.lists.present.packed.layout.need.neighbours)
    assert groups > 10
    assert sum(engine.lists.present.shape.neighbours) <= 1.1 * need + groups


def test_a_small_structure_does_not_run_in_the_bucket_of_a_huge_one(potential, waters, cheap):
    engine = Engine(potential)
    engine.energies(waters * (4, 4, 4))
    engine.energies(waters)
    fresh = Engine(potential)
    fresh.energies(waters)
    assert engine.lists.present.shape == fresh.lists.present.shape


def test_precision_belongs_to_the_engine_also_in_threads(potential, waters):
    assert not jax.config.jax_enable_x64
    engines = {name: Engine(potential, dtype=name) for name in ("float32", "float64")}
    expected = {name: engine.evaluate(waters) for name, engine in engines.items()}
    difference = np.abs(expected["float32"].forces - expected["float64"].forces).max()
    assert 1e-12 < difference < 1e-4

    def run(k):
        name = ("float32", "float64")[k % 2]
        return name, Engine(potential, dtype=name).evaluate(waters)

    with ThreadPoolExecutor(4) as pool:
        for name, result in pool.map(run, range(12)):
            assert_same(result, expected[name])
    with jax.enable_x64(True):  # somebody else's choice
        assert_same(engines["float32"].evaluate(waters), expected["float32"])
    assert not jax.config.jax_enable_x64
    assert jnp.zeros(1).dtype == np.float32


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_energies_are_float64_and_reference_energies_lose_nothing(potential, waters, dtype):
    output = Engine(potential, dtype=dtype).evaluate(waters)
    assert {a.dtype for a in output} == {np.dtype(np.float64)}
    assert isinstance(output.energy, float)
    assert output.energy == output.energies.sum()
    shift = np.array([1.0e5 + 1 / 3, -2.0e6 - 1 / 7])
    moved = replace(potential, reference_energies=potential.reference_energies + shift)
    difference = Engine(moved, dtype=dtype).evaluate(waters).energies - output.energies
    np.testing.assert_allclose(difference, shift[(waters.numbers == 8).astype(int)], rtol=0, atol=1e-8)


def test_a_far_away_system_has_the_same_float32_energy(potential, waters):
    waters.rattle(0.05, seed=2)
    here = Engine(potential).evaluate(waters)
    waters.translate((1000.0, -1000.0, 1000.0))
    there = Engine(potential).evaluate(waters)
    # the edges differ by rounding in float64 only: some are one float32 step apart
    assert abs(there.energy - here.energy) / len(waters) < 1e-6
    np.testing.assert_allclose(there.forces, here.forces, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "clone",
    [copy.copy, copy.deepcopy, lambda engine: pickle.loads(pickle.dumps(engine))],
    ids=["copy", "deep", "pickle"],
)
def test_clones_give_the_same_numbers_and_have_their_own_counters(potential, waters, clone):
    engine = Engine(potential, dtype="float64", skin=0.3)
    expected = engine.evaluate(waters)
    other = clone(engine)
    assert other.stats.calls == 0
    assert (other.skin, other.dtype, other.device) == (engine.skin, engine.dtype, engine.device)
    assert_same(other.evaluate(waters), expected)
    assert engine.stats.calls == 1


def test_a_pickle_from_a_machine_with_another_device_runs_on_the_default_one(potential):
    state = Engine(potential).__getstate__() | {"device": "cuda:97"}
    engine = Engine.__new__(Engine)
    engine.__setstate__(state)
    assert engine.device == jax.devices()[0]


def test_a_pickle_with_a_kernel_that_cannot_run_here_runs_with_another(potential):
    engine = Engine(potential, kernel="xla")
    state = engine.__getstate__()
    assert state["kernel"] == "xla"
    other = object.__new__(Engine)
    other.__setstate__(state | {"kernel": "pallas"})
    assert other.evaluator.kernel in ("xla", "pallas")


def test_kernels_by_name(potential, waters):
    fused = Engine(potential, kernel="interpreted", dtype="float64").evaluate(waters)
    assert_same(fused, Engine(potential, kernel="xla", dtype="float64").evaluate(waters), 1e-10)
    with pytest.raises(ValueError, match="The kernel is 'fast'; allowed are 'auto', 'native', 'xla'"):
        Engine(potential, kernel="fast")


def test_devices_by_name():
    first = jax.devices("cpu")[0]
    assert find_device("cpu") == find_device("cpu:0") == find_device(first) == first
    assert find_device(None) == jax.devices()[0]


@pytest.mark.parametrize("device", ["abacus", "cpu:99", "cpu:x"])
def test_an_unknown_device_is_refused_with_those_that_exist(potential, device):
    with pytest.raises(ValueError, match=rf"no device '{device}' here; JAX sees .*cpu:0"):
        Engine(potential, device=device)


@pytest.mark.parametrize("dtype", ["float16", "double", np.int32])
def test_a_wrong_dtype_is_refused(potential, dtype):
    with pytest.raises(ValueError, match="allowed are 'float32' and 'float64'"):
        Engine(potential, dtype=dtype)


@pytest.mark.parametrize("skin", [-0.1, np.nan, np.inf])
def test_a_wrong_skin_is_refused(potential, skin):
    with pytest.raises(ValueError, match="a length of 0 Angstrom or more"):
        Engine(potential, skin=skin)


def test_the_counters_are_readable(potential, waters, cheap):
    engine = Engine(potential)
    engine.energies(waters)
    assert str(engine.stats).startswith("calls 1, compilations 1, list_builds 1, padding_waste 0.")
