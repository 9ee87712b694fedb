"""Labels in wrong units are refused by name, right ones pass."""

from __future__ import annotations

import numpy as np
import pytest
from ase import units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.md.verlet import VelocityVerlet

from latte_ase.io.plausibility import check_plausibility


def trajectory(energy=1.0, forces=1.0, *, shift=0.0, interval=4):
    """Copper at 600 K with EMT's labels, in other units."""
    atoms = bulk("Cu", cubic=True) * (2, 1, 1)
    atoms.calc = EMT()
    rng = np.random.default_rng(0)
    atoms.set_momenta(rng.normal(size=(len(atoms), 3)) * np.sqrt(units.kB * 600 * atoms.get_masses()[:, None]))
    frames = []

    def keep():
        frame = atoms.copy()
        labels = {"energy": energy * atoms.get_potential_energy() + shift, "forces": forces * atoms.get_forces()}
        frame.calc = SinglePointCalculator(frame, **labels)
        frames.append(frame)

    dynamics = VelocityVerlet(atoms, 4 * units.fs)
    dynamics.attach(keep, interval=interval)
    dynamics.run(40)
    return frames


@pytest.mark.parametrize("interval", [1, 2, 4])
def test_eV_and_angstrom_pass_whatever_the_zero_of_energy(interval):
    check_plausibility(trajectory(shift=-1e5, interval=interval))


@pytest.mark.parametrize(
    ("energy", "forces", "guess"),
    [
        (1 / units.Hartree, 1.0, "energies are in Hartree"),
        (1.0, units.Bohr / units.Hartree, "forces are in Hartree/Bohr"),
        (units.mol / units.kcal, 1.0, "energies are in kcal/mol"),
        (units.mol / units.kJ, 1.0, "energies are in kJ/mol"),
        (1.0, units.mol / units.kcal, "forces are in kcal/mol/Angstrom"),
        (1 / 8, 1.0, "energies are per atom"),
        (1.0, -1.0, "the opposite sign"),
    ],
)
def test_other_units_are_named(energy, forces, guess):
    with pytest.raises(ValueError, match=f"do not belong together.*It looks as if .*{guess}.*trust_labels"):
        check_plausibility(trajectory(energy, forces))


def test_consistent_units_of_another_kind_pass():
    """Both sides in kcal/mol: no rule between the two can tell."""
    check_plausibility(trajectory(units.mol / units.kcal, units.mol / units.kcal))


def test_labels_that_say_nothing_are_refused():
    with pytest.raises(ValueError, match=r"All 11 energies of mine\.xyz are 3 eV, though the atoms move"):
        check_plausibility(trajectory(0.0, shift=3.0), "mine.xyz")
    with pytest.raises(ValueError, match="All forces of the training set are 0, though the atoms move"):
        check_plausibility(trajectory(forces=0.0))


def test_a_scan_of_volumes_has_no_forces():
    frames = []
    for length in (3.5, 3.6, 3.7):
        atoms = bulk("Cu", cubic=True, a=length)
        atoms.calc = SinglePointCalculator(atoms, energy=length, forces=np.zeros((4, 3)))
        frames.append(atoms)
    check_plausibility(frames)


def test_frames_that_are_not_alike_are_let_through():
    frames = trajectory(1.0, 20.0)[::5]
    frames[1].cell *= 1.1
    check_plausibility(frames)


@pytest.mark.filterwarnings("error")
def test_a_crystal_that_was_shifted_as_a_whole_says_nothing():
    frames = []
    for k in range(5):
        atoms = bulk("Cu", cubic=True)
        atoms.positions += 0.1 * min(k, 3)
        if k == 4:
            atoms.rattle(0.5, seed=0)
        atoms.calc = EMT()
        labels = {"energy": -1.5 if k < 4 else atoms.get_potential_energy(), "forces": atoms.get_forces() * (k == 4)}
        atoms.calc = SinglePointCalculator(atoms, **labels)
        frames.append(atoms)
    check_plausibility(frames)


def rattled(rng, count, stdev, *, energy=1.0, forces=1.0):
    """Random displacements of a small alloy with EMT's labels, in other units."""
    atoms = bulk("Cu", cubic=True)
    atoms.symbols = rng.choice(["Cu", "Al", "Au"], 4)
    frames = []
    for _ in range(count):
        frame = atoms.copy()
        frame.positions += rng.normal(0, stdev, (4, 3))
        frame.calc = EMT()
        labels = {"energy": energy * frame.get_potential_energy(), "forces": forces * frame.get_forces()}
        frame.calc = SinglePointCalculator(frame, **labels)
        frames.append(frame)
    return frames


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("count", [6, 8, 10, 20])
def test_no_random_set_of_correct_labels_is_refused_or_warned_of(count):
    """Sets of few frames far from each other were refused: the trapezoidal rule is wrong by tens of per cent there."""
    rng = np.random.default_rng(count)
    for _ in range(40):
        check_plausibility(rattled(rng, count, rng.uniform(0.02, 0.12)))


def test_wrong_units_are_found_in_random_sets_of_twenty_frames():
    rng = np.random.default_rng(0)
    wrong = [(1 / units.Hartree, 1.0), (units.mol / units.kcal, 1.0), (1.0, units.Bohr / units.Hartree), (1.0, -1.0)]
    for energy, forces in wrong * 5:
        with pytest.raises(ValueError, match="do not belong together"):
            check_plausibility(rattled(rng, 20, rng.uniform(0.02, 0.12), energy=energy, forces=forces))


def test_a_slope_that_is_no_ratio_of_units_is_a_warning():
    with pytest.warns(
        UserWarning, match=r"energies change by 0\.3\d* times what the forces say \(within .*, from 19 pairs\)"
    ):
        check_plausibility(rattled(np.random.default_rng(1), 20, 0.05, forces=3.0))


def test_five_frames_are_too_few():
    check_plausibility(rattled(np.random.default_rng(1), 5, 0.05, forces=-1.0))


def test_frames_of_several_structures_are_compared_with_their_like():
    rng = np.random.default_rng(2)
    first, second = (rattled(rng, 10, 0.05, energy=1 / units.Hartree) for _ in range(2))
    mixed = [frame for pair in zip(first, second, strict=True) for frame in pair]
    with pytest.raises(ValueError, match="energies are in Hartree"):
        check_plausibility(mixed)


@pytest.mark.filterwarnings("error")
def test_shifts_as_a_whole_are_no_moves():
    """A crystal of one atom per cell has one energy and no force wherever its atom is."""
    frames = []
    for k in range(20):
        atoms = bulk("Cu")
        atoms.positions += 0.01 * k
        atoms.calc = SinglePointCalculator(atoms, energy=-0.0087518, forces=np.zeros((1, 3)))
        frames.append(atoms)
    check_plausibility(frames)


def test_an_uncertain_slope_is_a_warning():
    frames, rng = rattled(np.random.default_rng(0), 20, 0.05, forces=-1.0), np.random.default_rng(1)
    spread = np.std([atoms.calc.results["energy"] for atoms in frames])
    for atoms in frames:
        atoms.calc.results["energy"] += rng.normal(0, 0.7 * spread)
    with pytest.warns(
        UserWarning, match=r"\(within [12]\d %, .* It looks as if forces are gradients, with the opposite sign"
    ):
        check_plausibility(frames)
