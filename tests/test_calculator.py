"""LatteCalculator: ASE's contract, finite differences, and bad input."""

from __future__ import annotations

import copy
import inspect
import pickle
import warnings
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import PropertyNotImplementedError, all_properties
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.io import Trajectory

import latte_ase
from latte_ase import LatteCalculator
from latte_ase.engine import parts
from latte_ase.engine.engine import SKIN
from latte_ase.engine.evaluator import COMPILED
from latte_ase.model import derivatives as of_model
from latte_ase.model.domain import DomainError, DomainWarning
from latte_ase.training.config import load_config
from latte_ase.training.initial import initial_potential

pytestmark = pytest.mark.filterwarnings("ignore::latte_ase.model.domain.DomainWarning")
E0 = {"H": -13.6, "O": -432.1}
CUTOFF = 4.0


@pytest.fixture(scope="module")
def potential():
    """A random potential of hydrogen and oxygen with repulsion."""
    model = {"name": "tiny", "contractions": "2,-:2,a,a", "cutoff": CUTOFF, "elements": ["H", "O"], "hidden": [8]}
    made = initial_potential(load_config({"model": model, "data": {"train": ""}}), [])
    constants = made.constants | {"repulsion_range": np.full((2, 2), 2.1)}
    return replace(made, constants=constants, reference_energies=np.array(list(E0.values())))


def opened(calc):
    """The calculator with a bucket that all the crystals below fit in, so that they compile once."""
    dense = crystal()
    dense.set_cell(0.97 * dense.cell.array, scale_atoms=True)
    calc.calculate(dense, ["energy", "forces"])
    return calc


def make(potential):
    """A float64 calculator."""
    return opened(LatteCalculator(potential, dtype="float64"))


@pytest.fixture(scope="module")
def shared(potential):
    """One for the tests that do not look inside."""
    return make(potential)


@pytest.fixture
def calc(potential):
    """One of its own."""
    return make(potential)


def crystal():
    """Perturbed rocksalt of O and H, neighbours at 2.3 Angstrom: 16 of each kind in the list."""
    atoms = bulk("OH", "rocksalt", a=4.6, cubic=True)
    atoms.rattle(0.15, seed=3)
    return atoms


def sheared(atoms, seed=0):
    """The same with a general cell."""
    atoms.set_cell(atoms.cell.array + np.random.default_rng(seed).uniform(-0.3, 0.3, (3, 3)), scale_atoms=True)
    return atoms


def left_handed():
    atoms = sheared(crystal(), 1)
    atoms.set_cell(atoms.cell.array[[1, 0, 2]])
    assert np.linalg.det(atoms.cell.array) < 0
    return atoms


def slab(height=11.0):
    atoms = sheared(crystal(), 2)
    atoms.pbc = (True, True, False)
    atoms.cell[2] = (0.5, -0.7, height)
    return atoms


def small_cell():
    atoms = sheared(bulk("OH", "rocksalt", a=4.6), 3)
    atoms.positions[1] += (0.2, -0.1, 0.15)
    assert (atoms.cell.lengths() < CUTOFF).all()
    return atoms


def water():
    atoms = molecule("H2O")
    atoms.rattle(0.1, seed=4)
    return atoms


PERIODIC = {
    "bulk": crystal,
    "triclinic": lambda: sheared(crystal()),
    "slab": slab,
    "left-handed": left_handed,
    "cell smaller than the cutoff": small_cell,
    "one atom, periodic": lambda: sheared(Atoms("O", cell=[3.2] * 3, pbc=True)),
}
OPEN = {"molecule without a cell": water, "one atom": lambda: Atoms("O")}


@pytest.mark.parametrize("name", [*PERIODIC, *OPEN])
def test_forces_are_minus_the_gradient_of_the_energy(shared, name):
    atoms = (PERIODIC | OPEN)[name]()
    atoms.calc = shared
    forces = atoms.get_forces()
    some = range(min(len(atoms), 3))
    numerical = calculate_numerical_forces(atoms, eps=1e-4, iatoms=some)
    np.testing.assert_allclose(forces[: len(some)], numerical, rtol=0, atol=1e-6)
    assert forces.shape == (len(atoms), 3)
    if len(atoms) > 1:
        assert np.abs(numerical).max() > 0.05  # not the comparison of zeros


@pytest.mark.parametrize("name", PERIODIC)
def test_stress_is_the_gradient_over_strain(shared, name):
    atoms = PERIODIC[name]()
    atoms.calc = shared
    stress = atoms.get_stress()
    numerical = calculate_numerical_stress(atoms, eps=1e-5)
    assert stress.shape == (6,)
    assert (np.abs(numerical) > 1e-4).all()
    np.testing.assert_allclose(stress, numerical, rtol=0, atol=1e-7)


def test_results_hold_only_what_ase_knows(calc):
    atoms = crystal()
    atoms.calc = calc
    atoms.get_stress()
    assert set(calc.results) == {"energy", "free_energy", "energies", "forces", "stress"}
    assert set(calc.implemented_properties) == set(calc.results) | {"stresses"} <= set(all_properties)
    assert type(calc.results["energy"]) is float
    assert calc.results["free_energy"] == calc.results["energy"]
    assert atoms.get_potential_energy(force_consistent=True) == atoms.get_potential_energy()
    np.testing.assert_allclose(atoms.get_potential_energies().sum(), atoms.get_potential_energy(), rtol=1e-14)
    full = atoms.get_stress(voigt=False)
    np.testing.assert_array_equal(full, full.T)
    found = atoms.get_properties(["energy", "forces", "stress"])
    assert found["energy"] == calc.results["energy"]
    np.testing.assert_array_equal(found["forces"], calc.results["forces"])
    with pytest.raises(PropertyNotImplementedError, match=r"has no 'charges'; it has energy, .*get_hessian"):
        atoms.get_charges()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("symbol", E0)
def test_an_isolated_atom_has_exactly_its_reference_energy(shared, potential, symbol, dtype):
    atoms = Atoms(symbol, cell=[20, 20, 20], pbc=True)
    atoms.calc = shared if dtype == "float64" else LatteCalculator(potential)
    np.testing.assert_array_equal(atoms.get_forces(), np.zeros((1, 3)))
    assert atoms.get_potential_energy() == E0[symbol]
    np.testing.assert_array_equal(atoms.get_stress(), np.zeros(6))


def test_atoms_out_of_reach_are_isolated(shared):
    atoms = Atoms("OH", [(0, 0, 0), (0, 0, CUTOFF)])
    atoms.calc = shared
    assert atoms.get_potential_energy() == sum(E0.values())
    np.testing.assert_array_equal(atoms.get_forces(), 0)
    atoms.positions[1, 2] -= 0.5  # the control: within reach something happens
    assert atoms.get_potential_energy() != sum(E0.values())


def test_the_atoms_are_never_changed(shared):
    atoms = crystal()
    atoms.positions += 100.0  # outside the cell: they stay there
    atoms.info["note"] = [1]
    before = copy.deepcopy(atoms)
    atoms.calc = shared
    atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()
    assert atoms.arrays.keys() == before.arrays.keys()
    for name, array in before.arrays.items():
        np.testing.assert_array_equal(atoms.arrays[name], array)
    np.testing.assert_array_equal(atoms.cell.array, before.cell.array)
    assert atoms.info == before.info and (atoms.pbc == before.pbc).all()
    atoms.get_forces()[:] = 7  # what a caller does to a result stays with the caller
    assert not (atoms.get_forces() == 7).any()


def test_a_large_structure_in_chunks(calc):
    atoms = crystal() * (2, 2, 2)
    atoms.rattle(0.05, seed=0)
    whole, cut = (
        LatteCalculator(calc.potential, dtype="float64"),
        LatteCalculator(calc.potential, dtype="float64", chunk=len(atoms) // 3),
    )
    for name in ("energy", "energies", "forces", "stress"):
        np.testing.assert_allclose(cut.get_property(name, atoms), whole.get_property(name, atoms), atol=1e-10)
    assert cut.stats.list_builds == 0  # no list of everything was made
    with pytest.raises(PropertyNotImplementedError):
        cut.get_property("stresses", atoms)
    cut.get_property("stresses", crystal())
    with pytest.raises(ValueError, match=r"chunk is 0; 1 atom or more is needed, or None for all at once\."):
        LatteCalculator(calc.potential, chunk=0)


def test_out_of_memory_says_what_would_fit(calc, monkeypatch):
    fresh = LatteCalculator(calc.potential)

    def full(*_, **__):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 999 bytes")

    monkeypatch.setitem(COMPILED, of_model.of_structure, full)
    monkeypatch.setattr(parts, "_stage", full)
    with pytest.raises(MemoryError, match="chunk"):
        fresh.get_forces(crystal())


def test_after_warmup_nothing_is_compiled(calc):
    fresh = LatteCalculator(calc.potential)
    small = crystal()
    large = small * (2, 2, 1)
    fresh.warmup([len(small), len(large)], like=small)
    before = fresh.stats.compilations
    for atoms in (small, large):
        atoms.rattle(0.01, seed=0)
        atoms.calc = fresh
        atoms.get_potential_energy()
        atoms.get_forces()
    assert fresh.stats.compilations == before
    assert fresh.warmup(len(small)) == 0  # like the last one


def test_warmup_needs_a_structure_that_can_be_repeated(calc):
    fresh = LatteCalculator(calc.potential)
    with pytest.raises(ValueError, match="No structure was given"):
        fresh.warmup(100)
    cluster = crystal()
    cluster.pbc = False
    with pytest.raises(ValueError, match=r"A structure of 100 atoms is to be made from \d+ atoms .*cannot be repeated"):
        fresh.warmup(100, like=cluster)


@pytest.mark.parametrize("change", ["positions", "numbers", "cell", "pbc"])
def test_every_change_counts_and_is_named(calc, change):
    atoms = crystal()
    assert calc.check_state(atoms)  # nothing was calculated yet, or another structure
    atoms.calc = calc
    atoms.get_potential_energy()
    assert calc.check_state(atoms) == []
    atoms.set_initial_charges(np.ones(len(atoms)))
    assert calc.check_state(atoms) == []  # charges are not read
    if change == "positions":
        atoms.positions[0, 0] = np.nextafter(atoms.positions[0, 0], 1)
    elif change == "numbers":
        atoms.numbers[0] += 1
    elif change == "cell":
        atoms.cell[2, 2] += 1e-12
    else:
        atoms.pbc[1] = not atoms.pbc[1]
    assert calc.check_state(atoms) == [change]


def test_an_energy_alone_computes_no_derivative(calc, monkeypatch):
    atoms = crystal()
    atoms.calc = calc

    def derivatives(*_, **__):
        raise AssertionError("derivatives were computed")

    with monkeypatch.context() as patch:
        patch.setitem(COMPILED, of_model.of_structure, derivatives)
        energy = atoms.get_potential_energy()
        assert set(calc.results) == {"energy", "free_energy", "energies"}
        with pytest.raises(AssertionError, match="derivatives were computed"):
            atoms.get_forces()
    np.testing.assert_allclose(atoms.get_forces().sum(axis=0), 0, atol=1e-10)
    np.testing.assert_allclose(atoms.get_potential_energy(), energy, rtol=1e-13)


@pytest.mark.parametrize("name", PERIODIC)
def test_the_stresses_of_the_atoms_sum_to_the_stress(shared, name):
    atoms = PERIODIC[name]()
    atoms.calc = shared
    stresses = atoms.get_stresses()
    assert stresses.shape == (len(atoms), 6)
    np.testing.assert_allclose(stresses.sum(axis=0), atoms.get_stress(), rtol=0, atol=1e-12)
    assert set(shared.results) == {"energy", "free_energy", "energies", "forces", "stress", "stresses"}
    with pytest.raises(PropertyNotImplementedError, match="needs a volume"):
        shared.get_property("stresses", water())


@pytest.mark.parametrize("name", ["triclinic", "slab", "cell smaller than the cutoff", "molecule without a cell"])
def test_the_hessian_is_the_gradient_of_the_forces(shared, name):
    atoms, step = (PERIODIC | OPEN)[name](), 1e-4
    atoms.calc = shared
    hessian = shared.get_hessian(atoms)
    assert hessian.shape == (3 * len(atoms),) * 2
    np.testing.assert_array_equal(hessian, hessian.T)
    for column in range(0, 3 * len(atoms), 4):
        both = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions.reshape(-1)[column] += sign * step
            both.append(shared.get_property("forces", moved).ravel())
        numerical = -(both[0] - both[1]) / (2 * step)
        np.testing.assert_allclose(hessian[:, column], numerical, rtol=0, atol=1e-5)
    assert np.abs(hessian).max() > 0.1
    np.testing.assert_allclose(hessian.reshape(-1, len(atoms), 3).sum(axis=1), 0, atol=1e-9)  # translations


def test_the_descriptors_follow_the_atoms(shared, potential):
    atoms = crystal()
    found = shared.get_descriptors(atoms)
    assert found.shape == (len(atoms), potential.architecture.descriptor.n_features)
    order = np.random.default_rng(1).permutation(len(atoms))
    np.testing.assert_allclose(shared.get_descriptors(atoms[order]), found[order], rtol=1e-12)
    np.testing.assert_array_equal(shared.get_descriptors(Atoms("O")), 0)


def test_a_method_without_a_structure_takes_the_last_one(potential):
    calc = LatteCalculator(potential)
    with pytest.raises(ValueError, match=r"No structure was given.*Pass the atoms"):
        calc.get_descriptors()
    atoms = crystal()
    calc.calculate(atoms)
    np.testing.assert_array_equal(calc.get_descriptors(), calc.get_descriptors(atoms))


def test_leaving_the_domain_is_told_once_per_pair_of_elements(potential):
    calc, atoms = LatteCalculator(potential, dtype="float64"), Atoms("OH2", [(0, 0, 0), (0, 0, 2.0), (0, 2.5, 0)])
    atoms.calc = calc
    with pytest.warns(DomainWarning, match=r"outside the range of tiny: H-O at 2\.000 Å \(atoms 0 and 1\)") as told:
        atoms.get_forces()
    assert len(told) == 1 and "closer than the 2.100 Å" in str(told[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        atoms.positions[1, 2] = 1.9  # again the same pair: told before
        atoms.get_forces()
    atoms.positions[2] = (0, 0, -0.1 + 2.0)
    with pytest.warns(DomainWarning, match="H-H"):
        atoms.get_forces()


def test_strict_refuses_what_is_outside_the_domain(potential):
    calc = LatteCalculator(potential, dtype="float64", strict=True)
    near, far = Atoms("OH", [(0, 0, 0), (0, 0, 2.0)]), Atoms("OH", [(0, 0, 0), (0, 0, 2.2)])
    for _ in range(2):
        with pytest.raises(DomainError, match=r"H-O at 2\.000 Å"):
            calc.get_property("energy", near)
    calc.get_property("energy", far)
    far.positions[1, 2] = 2.099  # by a move too, without a new list
    with pytest.raises(DomainError, match=r"2\.099 Å"):
        calc.get_property("energy", far)
    assert calc.stats.list_builds == 1


@pytest.fixture(scope="module")
def crowded(potential):
    """A potential whose training set had six neighbours of each hydrogen and eight of each oxygen."""
    constants = potential.constants | {"repulsion_range": np.full((2, 2), 0.1)}
    return replace(potential, constants=constants | {"fewest_neighbours": np.array([[5.1, 6.0], [7.2, 8.0]])})


def test_an_element_with_few_neighbours_is_told_once(crowded):
    calc, atoms = LatteCalculator(crowded), Atoms("OH2", [(0, 0, 0), (0, 0, 1.0), (0, 0, 6.0)])
    atoms.calc = calc
    with pytest.warns(DomainWarning, match="outside the range of tiny") as told:
        atoms.get_forces()
    (text,) = (str(w.message) for w in told)
    assert "H with no neighbour within 4 Å (atom 2) has fewer than the 6 where its training set ends" in text
    assert "O with 1 neighbour within 4 Å (atom 0) has fewer than the 8 where" in text and "latte_ase.finetune" in text
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        atoms.positions[1] = (0, 2, 0)
        atoms.get_forces()
        Atoms("O", calculator=calc).get_potential_energy()


@pytest.mark.parametrize("chunk", [None, 2])
def test_strict_refuses_few_neighbours_before_anything_is_computed(crowded, chunk):
    calc = LatteCalculator(crowded, strict=True, chunk=chunk)
    atoms = Atoms("O4", [(0, 0, 0), (0, 0, 1.1), (0, 1.1, 0), (0, 1.1, 1.1)], cell=[9] * 3, pbc=True)
    for ask in (atoms.get_forces, atoms.get_potential_energy, atoms.get_stress, lambda: calc.get_hessian(atoms)):
        atoms.calc = calc
        with pytest.raises(DomainError, match=r"O with 3 neighbours within 4 Å \(atom 0\) has fewer than the 8"):
            ask()
    assert calc.results == {} and calc.stats.calls == 0
    dense = atoms.copy()
    dense.set_cell([2.2] * 3)  # with images all around
    dense.calc = calc
    assert np.isfinite(dense.get_forces()).all()


def test_copies_share_the_weights(potential):
    calc = LatteCalculator(potential)
    twin = copy.deepcopy(calc)
    assert twin.engine.evaluator.weights is calc.engine.evaluator.weights
    for mine, theirs in zip(*map(jax.tree.leaves, (potential.params, twin.potential.params)), strict=True):
        assert np.shares_memory(mine, theirs)
    assert twin.potential.metadata is not potential.metadata
    assert twin.engine.stats is not calc.engine.stats
    with pytest.raises(ValueError, match="read-only"):
        twin.potential.constants["scale"][...] = 2.0


def test_what_is_known_is_not_computed_again(calc):
    atoms = crystal()
    atoms.calc = calc
    before = calc.stats.calls
    atoms.get_forces()
    atoms.get_stress(), atoms.get_potential_energy(), atoms.get_potential_energies(), atoms.get_forces()
    atoms.set_initial_charges(np.ones(len(atoms)))
    atoms.set_initial_magnetic_moments(np.ones(len(atoms)))
    atoms.get_forces()
    assert calc.stats.calls == before + 1


@pytest.mark.parametrize("order", [["stress", "energy", "forces"], ["energy", "stress", "forces"]])
def test_the_order_of_questions_does_not_matter(potential, order):
    reference, atoms = crystal(), crystal()
    reference.calc, atoms.calc = make(potential), make(potential)
    expected = {name: reference.calc.get_property(name, reference) for name in ("forces", "energy", "stress")}
    for name in order:
        np.testing.assert_allclose(atoms.calc.get_property(name, atoms), expected[name], rtol=0, atol=1e-11)


def _swap(atoms):
    atoms.numbers[[0, 1]] = atoms.numbers[[1, 0]]


@pytest.mark.parametrize(
    "change",
    [
        lambda atoms: atoms.set_pbc(True),
        lambda atoms: atoms.set_cell(0.99 * atoms.cell.array),
        lambda atoms: atoms.set_cell(1.01 * atoms.cell.array, scale_atoms=True),
        _swap,
        lambda atoms: atoms.positions.__setitem__((0, 0), 0.3),
    ],
    ids=["pbc", "cell", "cell and atoms", "numbers", "one coordinate"],
)
def test_every_change_is_seen(shared, potential, change):
    atoms, fresh = slab(5.2), slab(5.2)
    atoms.calc, fresh.calc = shared, make(potential)
    before = atoms.get_potential_energy(), atoms.get_forces()
    for each in (atoms, fresh):
        change(each)
    assert abs(atoms.get_potential_energy() - before[0]) > 1e-6
    np.testing.assert_allclose(atoms.get_forces(), fresh.get_forces(), rtol=0, atol=1e-10)


def test_another_order_of_atoms_permutes_the_results(shared):
    atoms = crystal()
    atoms.calc = shared
    energies, forces, stress = atoms.get_potential_energies(), atoms.get_forces(), atoms.get_stress()
    order = np.random.default_rng(0).permutation(len(atoms))
    atoms = atoms[order]
    atoms.calc = shared
    np.testing.assert_allclose(atoms.get_forces(), forces[order], rtol=0, atol=1e-10)
    np.testing.assert_allclose(atoms.get_potential_energies(), energies[order], rtol=0, atol=1e-10)
    np.testing.assert_allclose(atoms.get_stress(), stress, rtol=0, atol=1e-10)


def test_one_calculator_serves_several_atoms(shared):
    first, second = crystal(), slab()
    first.calc = second.calc = shared
    expected = [(atoms.get_potential_energy(), atoms.get_forces()) for atoms in (first, second)]
    for atoms, (energy, forces) in zip((first, second), expected, strict=True):
        assert atoms.get_potential_energy() == pytest.approx(energy, abs=1e-10)
        np.testing.assert_allclose(atoms.get_forces(), forces, rtol=0, atol=1e-10)


def test_stress_of_a_structure_without_a_volume_is_refused_with_advice(shared):
    atoms = water()
    atoms.calc = shared
    with pytest.raises(PropertyNotImplementedError, match=r"needs a volume.*atoms\.set_cell"):
        atoms.get_stress()
    assert "stress" not in atoms.calc.results or len(atoms.calc.results) == 0
    atoms.get_forces()
    assert "stress" not in atoms.calc.results
    atoms.center(vacuum=3.0)
    assert atoms.get_stress().shape == (6,)


def test_the_stress_of_a_slab_refers_to_the_volume_of_the_cell(shared):
    atoms = slab()
    atoms.calc = shared
    virial = atoms.get_stress() * atoms.get_volume()
    atoms.cell[2] *= 2
    np.testing.assert_allclose(atoms.get_stress() * atoms.get_volume(), virial, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    "clone", [copy.copy, copy.deepcopy, lambda calc: pickle.loads(pickle.dumps(calc))], ids=["copy", "deep", "pickle"]
)
def test_clones_give_the_same_numbers(shared, clone):
    atoms = crystal()
    atoms.calc = shared
    expected = atoms.get_forces()
    atoms.calc = opened(clone(shared))
    np.testing.assert_allclose(atoms.get_forces(), expected, rtol=0, atol=1e-10)
    atoms.positions[0] += 0.05
    assert np.abs(atoms.get_forces() - expected).max() > 1e-3


def test_it_goes_into_a_trajectory(shared, tmp_path):
    atoms = crystal()
    atoms.calc = shared
    forces = atoms.get_forces()
    Trajectory(tmp_path / "a.traj", "w", atoms).write()
    found = Trajectory(tmp_path / "a.traj")[0]
    np.testing.assert_array_equal(found.get_forces(), forces)
    assert shared.todict() == {"model": "tiny", "dtype": "float64", "skin": SKIN}


def test_it_says_what_it_knows(shared, potential):
    assert shared.allowed_atomic_numbers == {1, 8}
    assert shared.potential is potential


def _nan():
    atoms = crystal()
    atoms.positions[2, 1] = np.nan
    return atoms


def _infinite_cell():
    atoms = crystal()
    atoms.cell[1, 1] = np.inf
    return atoms


@pytest.mark.parametrize(
    ("atoms", "message"),
    [
        (molecule("CH3CH2OH"), r"Element C is unknown to tiny, which was trained on H, O\. Choose another model"),
        (Atoms("HPbX"), "There is no element of the atomic number 0"),
        (Atoms(), "no atoms; at least one is needed"),
        (_nan(), r"Atom 2 has position .*nan.*must be finite"),
        (_infinite_cell(), "cell is .*not finite"),
        (Atoms("O", cell=[4, 0, 4], pbc=True), r"cell vector b has zero length\. Give the cell a length along b"),
        (Atoms("O", cell=[[4, 0, 0], [8, 0, 0], [0, 0, 4]], pbc=True), "linearly dependent"),
    ],
    ids=["element", "elements", "empty", "nan", "infinite cell", "zero length", "flat cell"],
)
def test_bad_input_is_refused_with_advice(shared, atoms, message):
    good = crystal()
    shared.get_property("forces", good)
    for name in ("energy", "forces", "forces"):  # and no stale result at the second question
        with pytest.raises(ValueError, match=message):
            shared.get_property(name, atoms)
    assert np.isfinite(shared.get_property("energy", good))


def test_a_failed_calculation_leaves_no_old_numbers_behind(shared):
    shared.calculate(crystal(), ["forces"])
    bad = _nan()
    with pytest.raises(ValueError, match="must be finite"):
        shared.calculate(bad, ["forces"])
    assert shared.results == {}
    with pytest.raises(ValueError, match="must be finite"):
        shared.get_property("forces", bad)


def test_wrong_arguments_are_refused(potential):
    with pytest.raises(ValueError, match="allowed are 'float32' and 'float64'"):
        LatteCalculator(potential, dtype="float16")
    with pytest.raises(ValueError, match="no device 'abacus'"):
        LatteCalculator(potential, device="abacus")
    with pytest.raises(ValueError, match="skin is -1"):
        LatteCalculator(potential, skin=-1)
    with pytest.raises(TypeError):
        LatteCalculator(potential, "cpu")


@pytest.mark.parametrize("words", [{"default_dtype": "float64"}, {"dytpe": "float64", "cutoff": 3}])
def test_a_word_that_it_does_not_know_is_refused(potential, shared, words):
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{next(iter(words))}'"):
        LatteCalculator(potential, **words)
    with pytest.raises(TypeError, match=f"has no setting {', '.join(words)}; the constructor takes device, dtype"):
        shared.set(**words)


def test_calculate_called_directly_computes_once(potential, water_like):
    """As interactive programs do; what is changed in the results, or in the atoms, never comes back."""
    calc, atoms = LatteCalculator(potential, dtype="float64"), water_like.copy()
    for _ in range(3):
        calc.calculate(atoms, ["energy", "forces"])
    assert calc.stats.calls == 1
    forces = calc.results["forces"].copy()
    calc.results["forces"] *= 2
    calc.calculate(atoms, ["energy", "forces"])
    np.testing.assert_array_equal(calc.results["forces"], forces)
    assert calc.stats.calls == 1
    for change in (lambda: atoms.positions.__iadd__(np.eye(5, 3)), lambda: atoms.set_cell(1.01 * atoms.cell)):
        change()
        calc.calculate(atoms, ["forces"])
        fresh = LatteCalculator(potential, dtype="float64").get_forces(atoms)
        np.testing.assert_allclose(calc.results["forces"], fresh, atol=1e-12)
    assert calc.stats.calls == 3
    calc.reset()
    calc.calculate(atoms, ["forces"])
    assert calc.stats.calls == 4


def test_further_properties_of_the_same_atoms_are_added(potential, water_like):
    calc = LatteCalculator(potential, dtype="float64")
    calc.calculate(water_like, ["energy"])
    assert "forces" not in calc.results
    calc.calculate(water_like, ["stresses"])
    calc.calculate(water_like, ["energy", "forces"])
    assert {"energy", "forces", "stress", "stresses"} <= set(calc.results)
    assert calc.stats.calls == 3


def test_descriptors_as_mace_has_them(shared, water_like):
    np.testing.assert_array_equal(
        shared.get_descriptors(water_like, invariants_only=True), shared.get_descriptors(water_like)
    )
    with pytest.raises(ValueError, match=r"invariants_only is False, but all descriptors .* are invariant"):
        shared.get_descriptors(water_like, invariants_only=False)


def test_a_flat_cell_has_no_stress(shared):
    flat = [[0.1, 0.7, 0.3], [0.3, 2.1, 0.9], [0.0, 0.3, 1.0]]  # two vectors are parallel, but for rounding
    atoms = Atoms("OH", [(0, 0, 0), (0, 0, 0.97)], cell=flat, calculator=shared)
    assert atoms.get_forces().shape == (2, 3)
    with pytest.raises(PropertyNotImplementedError, match="Stress needs a volume"):
        atoms.get_stress()


def test_from_pretrained_has_the_signature_of_the_class():
    """Editors show it, and the package is typed for them."""
    made, constructed = (inspect.signature(f).parameters for f in (LatteCalculator.from_pretrained, LatteCalculator))
    assert list(made)[1:] == list(constructed)[1:]
    for name in list(made)[1:]:
        assert (made[name].default, made[name].annotation) == (constructed[name].default, constructed[name].annotation)
    assert (Path(latte_ase.__file__).parent / "py.typed").is_file()
