"""Many structures at once, against the calculator one by one."""

import itertools
import threading

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write

from latte_ase import LatteCalculator, predict
from latte_ase.geometry.batching import HELD
from latte_ase.model.domain import DomainError


@pytest.fixture(scope="module")
def calculator(tiny_potential):
    return LatteCalculator(tiny_potential(), dtype="float64")


def cloud(size, seed, **cell):
    """Random H and O, no two closer than 0.7 Angstrom."""
    rng = np.random.default_rng((size, seed))
    grid = np.argwhere(np.ones([int(np.ceil(size ** (1 / 3)))] * 3))[:size]
    positions = np.round(1.3 * grid + rng.uniform(-0.3, 0.3, (size, 3)), 6)  # as files keep them
    return Atoms(rng.choice([1, 8], size), positions=positions, **cell)


@pytest.fixture(scope="module")
def mixture(calculator, water_like):
    """What can come, and the calculator's results: images, slab, wire, molecules, a cell without pbc, lone atoms."""
    left_handed = water_like.copy()
    left_handed.set_cell(left_handed.cell.array[[1, 0, 2]])
    left_handed.positions[0] += 1e3
    slab = cloud(20, 1, cell=[4, 4, 0], pbc=[True, True, False])
    wire = cloud(9, 2, cell=[30, 30, 5], pbc=[False, False, True])
    far = Atoms("OHHH", positions=[[0, 0, 0], [1, 0, 0], [9e4, 0, 0], [9e4, 1, 0]])
    boxed, large = cloud(13, 3, cell=[12, 13, 14]), cloud(120, 4)
    lone = Atoms("H", cell=[9] * 3, pbc=True)
    structures = [water_like, Atoms("O"), boxed, far, left_handed, cloud(2, 4), large, slab, lone, wire]
    return structures, [calculator.engine.evaluate(atoms) for atoms in structures]


def assert_same(result, atoms, expected):
    assert isinstance(result.energy, float)
    assert result.energy == pytest.approx(expected.energy, abs=1e-10)
    np.testing.assert_allclose(result.energies, expected.energies, atol=1e-10)
    np.testing.assert_allclose(result.forces, expected.forces, atol=1e-10)
    if (volume := atoms.cell.volume) == 0:
        assert result.stress is None
        return
    stress = (expected.virial + expected.virial.T) / (2 * volume)
    np.testing.assert_allclose(result.stress, stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]], atol=1e-10)


@pytest.mark.parametrize("batch", [None, 40])
def test_results_are_those_of_the_engine_in_order(calculator, mixture, batch):
    structures, expected = mixture
    before = [atoms.copy() for atoms in structures]
    results = list(predict(calculator, 2 * structures, batch=batch))
    assert len(results) == 2 * len(structures)
    for result, atoms, reference in zip(results, 2 * structures, 2 * expected, strict=True):
        assert_same(result, atoms, reference)
    assert structures == before


def test_huge_structures_are_computed_in_chunks(calculator, mixture):
    """Here more than 15 atoms are huge."""
    structures, expected = mixture
    for result, atoms, reference in zip(predict(calculator, structures, chunk=15), structures, expected, strict=True):
        assert_same(result, atoms, reference)


@pytest.mark.parametrize("count", [20, 1])
def test_frames_of_one_molecule(calculator, count):
    """These share one graph; the last batch is not full."""
    frames = [cloud(6, 0) for _ in range(count)]
    for seed, atoms in enumerate(frames):
        atoms.rattle(0.05, seed=seed)
    for result, atoms in zip(predict(calculator, frames, batch=40), frames, strict=True):
        assert_same(result, atoms, calculator.engine.evaluate(atoms))


def test_a_molecule_that_flies_apart(calculator):
    """Its pairs beyond the cutoff are in the graph of the first frame, and count as nothing."""
    frames = [cloud(6, 0) for _ in range(12)]
    for k, atoms in enumerate(frames):
        atoms.positions *= 1 + k**3
    results = list(predict(calculator, frames, batch=36))
    for result, atoms in zip(results, frames, strict=True):
        assert_same(result, atoms, calculator.engine.evaluate(atoms))
    assert np.all(results[-1].forces == 0)
    assert np.any(results[0].forces != 0)


@pytest.mark.parametrize("options", [{}, {"batch": 12}, {"chunk": 5}], ids=str)
def test_a_generator_may_change_the_structure_that_it_yielded(calculator, options):
    """As a scan of lattice constants does, or dynamics; atoms may also come and go."""
    states = [cloud(size, size, cell=[9 + size] * 3, pbc=size % 2 == 1) for size in (3, 4, 9, 4, 3)]

    def one_that_changes():
        atoms = Atoms()
        for state in states:
            del atoms[:]
            atoms.extend(state)
            atoms.set_cell(state.cell)
            atoms.pbc = state.pbc
            yield atoms

    for result, atoms in zip(predict(calculator, one_that_changes(), **options), states, strict=True):
        assert_same(result, atoms, calculator.engine.evaluate(atoms))


def test_a_strict_calculator_computes_the_states_that_it_looks_at(tiny_potential):
    strict = LatteCalculator(tiny_potential(reach=0.9), dtype="float64", strict=True)

    def approach(*distances):
        atoms = Atoms("OH", positions=np.zeros((2, 3)))
        for distance in distances:
            atoms.positions[1, 0] = distance
            yield atoms

    near, nearer = (result.energy for result in predict(strict, approach(1.0, 0.95)))
    assert near == pytest.approx(strict.get_potential_energy(next(approach(1.0))), abs=1e-10)
    assert nearer == pytest.approx(strict.get_potential_energy(next(approach(0.95))), abs=1e-10)
    with pytest.raises(DomainError, match=r"Structure 1: .*0\.500 Å"):
        list(predict(strict, approach(1.0, 0.5, 1.0)))


def test_energies_alone(calculator, mixture):
    structures, expected = mixture
    for result, reference in zip(predict(calculator, structures, forces=False), expected, strict=True):
        assert result.energy == pytest.approx(reference.energy, abs=1e-10)
        assert result.forces is None
        assert result.stress is None


def test_model_may_be_a_potential_and_precision_is_the_callers(tiny_potential, calculator, water_like):
    exact = calculator.engine.evaluate(water_like).forces
    single = next(iter(predict(tiny_potential(), water_like))).forces
    double = next(iter(predict(tiny_potential(), water_like, dtype="float64"))).forces
    other = next(iter(predict(calculator, water_like, dtype="float32"))).forces
    np.testing.assert_allclose(double, exact, atol=1e-12)
    np.testing.assert_allclose(single, exact, atol=1e-4)
    assert np.abs(single - exact).max() > 1e-9
    np.testing.assert_array_equal(other, single)


def test_few_compilations_for_structures_of_mixed_size(tiny_potential, water_like):
    """One thousand structures of 1 to 300 atoms, dense and open: at most one for each doubling of the size."""
    rng = np.random.default_rng(0)
    calculator = LatteCalculator(tiny_potential(seed=5), dtype="float64")

    def structures():
        for k in range(1000):
            size = int(2 ** rng.uniform(0, 8.2))
            side = 1.4 * size ** (1 / 3) + 1
            yield cloud(size, 0) if k % 2 else cloud(size, 0, cell=[side] * 3, pbc=True)

    sizes = [len(r.energies) for r in predict(calculator, structures())]
    assert len(sizes) == 1000
    assert max(sizes) > 250
    assert 1 <= calculator.stats.compilations <= np.log2(max(sizes) / min(sizes))
    assert calculator.stats.list_builds == 1000
    before = calculator.stats.compilations
    list(predict(calculator, [cloud(7, 1)]))
    assert calculator.stats.compilations - before <= 1


def test_a_stream_without_end(calculator):
    """Results come while the stream is read, not after; and who stops leaves no thread behind."""
    read = []

    def endless():
        for k in itertools.count():
            read.append(k)
            yield cloud(1 + k % 9, 0)

    results = predict(calculator, endless(), batch=20)
    for k in range(1000):
        assert len(next(results).energies) == 1 + k % 9
        assert len(read) - k < 2 * HELD * 20
    before = threading.active_count()
    results.close()
    assert threading.active_count() < before


def test_files_are_read_as_needed(calculator, tmp_path):
    path = tmp_path / "frames.xyz"
    frames = [cloud(4, seed) for seed in range(30)]
    write(path, frames)
    with path.open("a") as file:
        file.write("1\nProperties=species:S:1:pos:R:3\nH 0.0 0.0 nothing\n")
    results = predict(calculator, str(path), batch=4)
    for atoms in frames[:10]:
        assert_same(next(results), atoms, calculator.engine.evaluate(atoms))
    with pytest.raises(ValueError, match="nothing"):
        list(results)
    with pytest.raises(FileNotFoundError, match=r"There is no file .*none\.xyz"):
        predict(calculator, tmp_path / "none.xyz")


def test_progress_sees_every_structure(calculator):
    seen = []

    def progress(structures):
        for atoms in structures:
            seen.append(atoms)
            yield atoms

    frames = [cloud(3, seed) for seed in range(4)]
    assert len(list(predict(calculator, frames, progress=progress))) == 4
    assert seen == frames


def test_no_structures_no_results(calculator):
    assert list(predict(calculator, [])) == []


def broken(**changes):
    atoms = cloud(5, 0, **changes)
    atoms.positions[3, 1] = np.nan
    return atoms


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (Atoms("OXe"), "Structure 2: Element Xe is unknown to tiny-latte, which was trained on H, O"),
        (broken(), r"Structure 2: Atom 3 has position \[.*nan.*\]\. Positions must be finite"),
        (broken(cell=[9] * 3, pbc=True), "Structure 2: Atom 3 has position"),
        (Atoms("O", pbc=True), r"Structure 2: pbc is \[True, True, True\] but cell vector a has zero length"),
        (Atoms(), "Structure 2 has no atoms; at least one is needed"),
    ],
)
def test_mistakes_name_the_structure(calculator, bad, message):
    with pytest.raises(ValueError, match=message):
        list(predict(calculator, [cloud(5, 0), cloud(5, 0), bad, cloud(5, 0)]))


def test_the_frames_of_one_molecule_may_be_broken_too(calculator):
    frames = [cloud(5, 0) for _ in range(20)]
    frames[17] = broken()
    frames[17].numbers = frames[0].numbers
    with pytest.raises(ValueError, match="Structure 17: Atom 3 has position"):
        list(predict(calculator, frames, batch=20))


def test_impossible_options(calculator):
    with pytest.raises(ValueError, match=r"batch is 0; 1 atom or more is needed\."):
        predict(calculator, [], batch=0)
    with pytest.raises(ValueError, match=r"chunk is -3; 1 atom or more is needed\."):
        predict(calculator, [], chunk=-3)


def test_a_strict_calculator_is_strict_here_too():
    calc = LatteCalculator.from_pretrained("latte-si", strict=True)
    far, near = bulk("Si", cubic=True), bulk("Si", cubic=True)
    near.positions[1] = near.positions[0] + (0, 0, 1.0)
    results = predict(calc, [far, near])
    with pytest.raises(DomainError, match=r"Structure 1: .*Si-Si at 1\.000 Å"):
        list(results)
    with pytest.raises(
        DomainError, match=r"Structure 1: .*Si with 1 neighbour within 5 Å \(atom 0\) has fewer than the 5"
    ):
        list(predict(calc, [far, Atoms("Si2", [(0, 0, 0), (0, 0, 2.3)])]))
    with pytest.raises(DomainError):
        calc.get_hessian(near)
    assert len(list(predict(LatteCalculator.from_pretrained("latte-si"), [far, near]))) == 2


def test_several_files_are_read_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    frames = [Atoms("Si2", [(0, 0, 0), (0, 0, z)]) for z in (2.3, 2.4, 2.5)]
    write(tmp_path / "a.xyz", frames[:2])
    found = [p.energy for p in predict("latte-si", ["~/a.xyz", frames[2]])]
    assert found == pytest.approx([p.energy for p in predict("latte-si", frames)])
    with pytest.raises(FileNotFoundError, match=r"There is no file .*b\.xyz"):
        list(predict("latte-si", [frames[0], tmp_path / "b.xyz"]))
