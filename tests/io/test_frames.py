from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from ase.neighborlist import neighbor_list
from ase.stress import full_3x3_to_voigt_6_stress

from latte_ase.geometry.buckets import Buckets
from latte_ase.geometry.graph import lay_out
from latte_ase.io.frames import read_frames
from latte_ase.io.labels import count_labels, label
from latte_ase.training.batch_rules import buckets_of
from latte_ase.training.batches import make_batch
from latte_ase.training.dataset import closest_approaches, compositions, fewest_neighbours, prepare, split
from latte_ase.training.reference_energies import fit_reference_energies


def labelled(formula, seed, *, stress=False, **missing):
    """A random structure with random labels; energy=None or forces=None leaves one out."""
    rng = np.random.default_rng(seed)
    atoms = Atoms(formula, cell=4 * np.eye(3), pbc=stress)
    atoms.positions = rng.uniform(0, 4, (len(atoms), 3))
    labels = {"energy": rng.normal(), "forces": rng.normal(size=(len(atoms), 3))}
    if stress:
        labels["stress"] = rng.normal(size=6)
    labels = {name: value for name, value in labels.items() if name not in missing}
    atoms.calc = SinglePointCalculator(atoms, **labels)
    return atoms


def test_read_frames_takes_files_atoms_and_iterables(tmp_path):
    frames = [labelled("OH2", 0), labelled("HO", 1, stress=True)]
    write(tmp_path / "set.xyz", frames)
    read = read_frames(tmp_path / "set.xyz")
    assert [a.get_chemical_formula() for a in read] == ["H2O", "HO"]
    assert count_labels(read) == {"energy": 2, "forces": 2, "stress": 1}
    np.testing.assert_allclose(read[1].calc.results["stress"], frames[1].calc.results["stress"], atol=1e-7)
    assert len(read_frames(f"{tmp_path / 'set.xyz'}@0")) == 1
    assert read_frames(frames[0]) == frames[:1]
    assert read_frames(iter(frames)) == frames


def test_read_frames_refuses(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no file nowhere\.xyz"):
        read_frames("nowhere.xyz")
    with pytest.raises(ValueError, match=r"\[\] holds no structure"):
        read_frames([])


@pytest.fixture(scope="module")
def frames(tiny_potential):
    """Structures with their prepared frames; one has no forces, one has stress, one has no energy."""
    structures = [
        labelled("OHHOHOH", 0),
        labelled("H9", 1, forces=None),
        labelled("OH5O2H", 2, stress=True),
        labelled("OOO", 3, energy=None),
        labelled("O", 4),
    ]
    return structures, prepare(tiny_potential(), structures)


def test_prepared_frames_hold_the_labels(frames):
    structures, prepared = frames
    for atoms, frame in zip(structures, prepared, strict=True):
        results = atoms.calc.results
        np.testing.assert_array_equal(frame.species, atoms.numbers == 8)
        assert frame.energy == results.get("energy")
        assert (frame.forces is None) == ("forces" not in results)
    stress = structures[2].calc.results["stress"]
    np.testing.assert_array_equal(full_3x3_to_voigt_6_stress(prepared[2].stress), stress)
    assert prepared[2].volume == pytest.approx(64.0)


def test_volume_is_1_without_a_cell(tiny_potential):
    assert prepare(tiny_potential(), [Atoms("H")])[0].volume == 1.0


@pytest.mark.parametrize("chosen", [[0, 2, 1], [3, 4], [1]])
def test_batch_puts_every_label_at_its_place(frames, chosen):
    _, prepared = frames
    some, size, e0 = [prepared[k] for k in chosen], 3, np.array([-1.5, -20.0])
    shape = buckets_of(prepared, size).known[-1]
    batch = make_batch(some, e0, Buckets(known=[shape]), size, np.float64)
    assert batch.forces.shape == (shape.blocks, shape.block, 3)
    np.testing.assert_array_equal(batch.n_atoms, [len(f.species) for f in some] + [1] * (size - len(some)))
    np.testing.assert_array_equal(batch.volume, [f.volume for f in some] + [1] * (size - len(some)))

    atoms = batch.graph.is_atom.ravel() == 1
    species = np.repeat(batch.graph.species, shape.block)
    for b in range(size):
        mine = atoms & (batch.graph.structure.ravel() == b)
        frame = some[b] if b < len(some) else None
        assert mine.sum() == (len(frame.species) if frame else 0)
        has = batch.has_energy[b], batch.has_stress[b], batch.has_forces.reshape(-1, 3)[mine].all() and mine.any()
        assert has == (
            (frame.energy is not None, frame.stress is not None, frame.forces is not None) if frame else (0, 0, 0)
        )
        if has[0]:
            assert batch.energy[b] == pytest.approx(frame.energy - e0[frame.species].sum())
        if has[1]:
            np.testing.assert_array_equal(batch.stress[b], frame.stress)
        if has[2]:
            ours = np.column_stack([species, batch.forces.reshape(-1, 3)])[mine]
            theirs = np.column_stack([frame.species, frame.forces])
            assert sorted(map(tuple, ours)) == sorted(map(tuple, theirs))
    assert not batch.has_forces.reshape(-1, 3)[~atoms].any()
    assert not batch.forces.reshape(-1, 3)[~atoms].any()


def test_batch_forces_stand_where_their_atom_stands(frames):
    """Not only somewhere in its structure: the edges of the atom tell it apart."""
    _, prepared = frames
    frame = prepared[0]
    shape = buckets_of(prepared, 1).known[-1]
    batch = make_batch([frame], np.zeros(2), Buckets(known=[shape]), 1, np.float64)
    place = lay_out(frame.species, frame.pairs, shape.block).place
    for atom, row in enumerate(place):
        edges = np.concatenate([g.edges.reshape(shape.blocks * shape.block, -1, 3)[row] for g in batch.graph.groups])
        for edge in frame.pairs.edge[frame.pairs.i == atom]:
            assert (edges == edge).all(axis=1).any()
        np.testing.assert_array_equal(batch.forces.reshape(-1, 3)[row], frame.forces[atom])


def test_buckets_of_hold_every_batch(frames):
    _, prepared = frames
    shapes = buckets_of(prepared, 2)
    for first in prepared:
        for second in prepared:
            assert make_batch([first, second], np.zeros(2), shapes, 2, np.float32).graph.is_atom.sum() == len(
                first.species
            ) + len(second.species)


def test_one_odd_frame_does_not_make_every_batch_large(tiny_potential):
    """A usual batch takes a bucket of its own size; only one with the odd frame takes the large one."""
    small = [Atoms("OH", [(0, 0, 0), (0, 0, 1 + 0.001 * k)]) for k in range(60)]
    dense = Atoms("O", cell=[0.9, 0.9, 0.9], pbc=True) * (3, 3, 3)
    prepared = prepare(tiny_potential(), [*small, dense])
    buckets = buckets_of(prepared, 4)
    shapes = buckets.known
    assert buckets == buckets_of(prepared, 4)
    assert len(shapes) > 1 and 20 * shapes[0].places < shapes[-1].places
    assert all(2 * a.places <= b.places for a, b in pairwise(shapes))
    usual = make_batch(prepared[:4], np.zeros(2), buckets, 4, np.float32)
    assert usual.graph.is_atom.size <= 2 * shapes[0].block
    odd = make_batch(prepared[-4:], np.zeros(2), buckets, 4, np.float32)
    assert odd.graph.is_atom.sum() == 3 * 2 + 27
    assert len(buckets_of(prepared[:-1], 4).known) == 1


def test_reference_energies_are_found_again(frames):
    _, prepared = frames
    table = compositions(prepared, 2)
    np.testing.assert_array_equal(table, [[4, 3], [9, 0], [6, 3], [0, 3], [0, 1]])
    e0 = np.array([-13.6, -2041.3])
    np.testing.assert_allclose(fit_reference_energies(table @ e0, table), e0)


def test_reference_energies_of_one_composition_are_right_in_sum():
    water = np.array([[2, 1], [4, 2]])
    np.testing.assert_allclose(water @ fit_reference_energies([-10.0, -20.0], water), [-10.0, -20.0])


def test_a_single_frame_ends_at_its_shortest_distances(frames):
    for atoms, prepared in zip(*frames, strict=True):
        distances = atoms.get_all_distances(mic=True) + np.where(np.eye(len(atoms)), np.inf, 0)
        kind = (atoms.numbers == 8).astype(int)
        expected = np.full((2, 2), np.inf)
        for i, j in np.argwhere(np.isfinite(distances)):
            expected[kind[i], kind[j]] = min(expected[kind[i], kind[j]], distances[i, j])
        found = closest_approaches([prepared], 3)
        np.testing.assert_allclose(found[:2, :2], np.where(np.isfinite(expected), expected, 0), rtol=1e-12)
        assert (found[2] == 0).all()


def dimers(distances, potential):
    """A prepared frame of two oxygen atoms at each distance."""
    return prepare(potential, [Atoms("O2", [(0, 0, 0), (0, 0, r)]) for r in distances])


@pytest.mark.parametrize(("shape", "width"), [("normal", 0.03), ("exponential", 0.01)])
def test_a_hundred_times_as_many_frames_end_about_where_is_said(shape, width, tiny_potential):
    """The shortest of the frames themselves ends far from there."""
    potential = tiny_potential("latte", ("O",))
    rng = np.random.default_rng(0)
    said, ends, shortest = [], [], []
    for _ in range(20):
        scatter = rng.normal(size=20_000) if shape == "normal" else -rng.exponential(size=20_000)
        longer = 1.5 + width * scatter
        frames = longer[:200]
        said.append(closest_approaches(dimers(frames, potential), 1)[0, 0])
        ends.append(longer.min())
        shortest.append(frames.min())
    assert np.mean(said) == pytest.approx(np.mean(ends), abs=0.025)
    assert np.mean(shortest) > np.mean(ends) + 0.03
    assert (np.array(said) < shortest).all()


def test_the_end_is_computed_from_the_twenty_shortest_frames(tiny_potential):
    distances = np.random.default_rng(0).normal(1.5, 0.01, 90)
    shortest = np.sort(distances)[:20]
    spread = sum(shortest[-1] - r for r in shortest[:-1]) / 19
    found = closest_approaches(dimers(distances, tiny_potential("latte", ("O",))), 1)
    assert found[0, 0] == pytest.approx(shortest[0] - spread * np.log(100), rel=1e-12)


def test_an_odd_frame_does_not_open_the_domain(tiny_potential):
    potential = tiny_potential("latte", ("O",))
    found = closest_approaches(dimers([1.0, 1.9, 2.0, 2.1], potential), 1)
    assert found[0, 0] == pytest.approx(0.95)
    assert closest_approaches(dimers([1.4] * 5, potential), 1)[0, 0] == pytest.approx(1.4)


def clusters(sizes, potential):
    """A prepared frame of each number of oxygen atoms, all within 1 Angstrom, and one far away."""
    line = np.linspace(0, 1, 60)
    return prepare(
        potential,
        [Atoms(f"O{n + 1}", [*((x, 0, 0) for x in line[:n]), (0, 0, 50)]) for n in sizes],
    )


@pytest.mark.parametrize(
    ("sizes", "atom"),
    [
        ([30] * 30, 29 - 1),  # whole numbers, whose tail has no width
        ([*range(30, 50)], 29 - 0.15 * 29),  # the fewest may be this much fewer at most
        ([4] * 30, 3 - 0.15 * 3),
        ([2, 30, 30], 1 - 0.15),  # an odd frame does not open the domain to isolated atoms
    ],
)
def test_fewest_neighbours_are_extrapolated_like_distances(sizes, atom, tiny_potential):
    """Atoms without neighbours are left out.  In these frames every other atom has as many as the average."""
    found = fewest_neighbours(clusters(sizes, tiny_potential("latte", ("O",))), 1, 3.0)
    np.testing.assert_allclose(found, [[atom, atom]], rtol=1e-12)


def test_fewest_neighbours_are_those_of_each_element_and_within_the_radius(frames):
    for atoms, prepared in zip(*frames, strict=True):
        distances = neighbor_list("d", atoms, 2.9)
        radius = float(np.median(distances)) if len(distances) else 1.0
        counts = np.bincount(neighbor_list("i", atoms, radius), minlength=len(atoms))
        found = fewest_neighbours([prepared], 3, radius)
        for s, z in enumerate((1, 8)):
            mine = counts[(atoms.numbers == z) & (counts > 0)]
            expected = [mine.min(), mine.mean()] if len(mine) else [0, 0]
            np.testing.assert_allclose(found[s], [n - min(1.0, 0.15 * n) for n in expected], rtol=1e-12)
        assert (found[2] == 0).all()


@pytest.mark.parametrize("n, fraction, held", [(50, 0.1, 5), (50, 0.0, 1), (7, 0.5, 4)])
def test_split_is_a_reproducible_partition(n, fraction, held):
    frames = list(range(n))
    train, test = split(frames, fraction, seed=3)
    train, test = list(train), list(test)
    assert sorted([*train, *test]) == frames and train == sorted(train)
    assert len(test) == held
    assert list(map(list, split(frames, fraction, seed=3))) == [train, test]
    assert any(list(split(frames, fraction, seed=s).held) != test for s in range(4, 8))


def test_several_files_are_read_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for k in range(2):
        write(tmp_path / f"{k}.extxyz", [labelled("OH", seed) for seed in range(2 * k, 2 * k + 2)])
    found = read_frames(["~/0.extxyz", tmp_path / "1.extxyz", labelled("OH", 7)])
    expected = [label(labelled("OH", seed), "energy") for seed in (0, 1, 2, 3, 7)]
    np.testing.assert_allclose([label(atoms, "energy") for atoms in found], expected, atol=1e-7)


def test_labels_under_other_names_are_read_from_all_files(tmp_path):
    atoms = labelled("OH", 0)
    atoms.info["REF_energy"] = -7.0
    write(tmp_path / "0.extxyz", atoms)
    write(tmp_path / "1.extxyz", Atoms("H"))
    keys = {"energy": "REF_energy"}
    found = read_frames([tmp_path / "0.extxyz", tmp_path / "1.extxyz", atoms], keys=keys)
    assert [label(a, "energy") for a in found] == [-7.0, None, -7.0]
    assert label(read_frames(tmp_path / "0.extxyz")[0], "energy") != -7.0
    with pytest.raises(
        ValueError, match="keys name charges; the labels that a key can be given for are energy, forces"
    ):
        read_frames(atoms, keys={"charges": "q"})
