"""Runs as a whole: ASE's own loop is the oracle."""

from __future__ import annotations

import re
from dataclasses import replace

import jax
import numpy as np
import pytest
from ase import units
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from ase.io import read
from ase.md.nose_hoover_chain import NoseHooverChainNVT
from ase.md.verlet import VelocityVerlet

from latte_ase import LatteCalculator
from latte_ase.model.domain import DomainError
from latte_ase.simulate import BlewUp, NoseHooverChain, md

FS = units.fs


def run(atoms, calc, steps, **options):
    """`md` without a bar."""
    return md(atoms, calc, steps, **{"timestep": FS, "progress": False, **options})


def assert_same_motion(a, b, tolerance=0.0):
    """Equal positions, cell and momenta."""
    for get in ("get_positions", "get_cell", "get_momenta"):
        np.testing.assert_allclose(getattr(a, get)(), getattr(b, get)(), rtol=0, atol=tolerance)


def test_constant_energy_is_ases_velocity_verlet_step_by_step(silicon, calculator):
    """Each step rounds positions by 2e-16 * 10 A; 100 steps let such a difference grow 10^2 to 10^3 times."""
    ase_atoms, calc = silicon.copy(), calculator()
    ase_atoms.calc = calculator()
    loop = VelocityVerlet(ase_atoms, FS)
    for step in range(1, 101):
        run(silicon, calc, 1)
        loop.run(1)
        assert_same_motion(silicon, ase_atoms, 1e-11)
        assert silicon.get_potential_energy() == pytest.approx(ase_atoms.get_potential_energy(), abs=1e-11), step
    assert calc.stats.compilations <= 1


@pytest.mark.parametrize("kind", ["messages", "cace"])
def test_potentials_of_two_rounds_move_as_in_ases_loop(kind, tiny_potential):
    potential = tiny_potential(kind, reach=0.5)
    atoms = molecule("H2O2", vacuum=4.0)
    atoms.set_momenta(np.random.default_rng(0).normal(size=(4, 3)))
    ase_atoms = atoms.copy()
    ase_atoms.calc = LatteCalculator(potential, dtype="float64", skin=0.3)
    run(atoms, LatteCalculator(potential, dtype="float64", skin=0.3), 40, timestep=0.2 * FS)
    VelocityVerlet(ase_atoms, 0.2 * FS).run(40)
    assert_same_motion(atoms, ase_atoms, 1e-10)
    np.testing.assert_allclose(atoms.get_forces(), ase_atoms.get_forces(), atol=1e-10)


def test_a_hundred_steps_in_one_call_are_those_of_ase_and_lists_are_built_as_often(silicon, calculator):
    ase_atoms, calc = silicon.copy(), calculator()
    ase_atoms.calc = calculator()
    summary = run(silicon, calc, 100)
    VelocityVerlet(ase_atoms, FS).run(100)
    assert_same_motion(silicon, ase_atoms, 1e-11)
    for name in ("energy", "forces", "stress", "energies"):
        values = (a.calc.get_property(name, a) for a in (silicon, ase_atoms))
        np.testing.assert_allclose(*values, rtol=0, atol=1e-11)
    assert summary.steps == 100
    assert calc.stats.list_builds == ase_atoms.calc.stats.list_builds > 2
    asked = calc.potential.committee.asked  # at the start
    assert calc.stats.calls == 101 + asked  # asking for results did not compute them again
    assert silicon.calc is calc


def test_a_molecule_in_free_space_moves_as_with_ase():
    """Two elements, whose atoms the device sorts; no cell, so no stress."""
    calc, atoms = LatteCalculator.from_pretrained("latte-water", dtype="float64"), molecule("H2O")
    atoms = atoms[[1, 0, 2]]
    atoms.set_momenta(np.random.default_rng(0).normal(size=(3, 3)))
    ase_atoms = atoms.copy()
    ase_atoms.calc = calc
    VelocityVerlet(ase_atoms, 0.5 * FS).run(50)
    run(atoms, calc, 50, timestep=0.5 * FS)
    assert_same_motion(atoms, ase_atoms, 1e-11)
    assert "stress" not in calc.results


def test_threads_that_share_the_forces_give_the_same_motion(calculator, ensembles):
    """With a list rebuilt; only the last digits of the virial, and so of the cell, depend on the number of threads."""
    atoms = bulk("Si", a=5.469, cubic=True).repeat((2, 2, 4))
    atoms.set_momenta(np.random.default_rng(0).normal(size=(128, 3)))
    other, calcs = atoms.copy(), [calculator(threads=n) for n in (1, 2)]
    for structure, calc in zip((atoms, other), calcs, strict=True):
        run(structure, calc, 30, ensemble=ensembles["CellRescaling"], seed=0)
    assert_same_motion(atoms, other, 1e-10)
    assert calcs[0].stats.list_builds == calcs[1].stats.list_builds > 1
    asked = calcs[0].potential.committee.asked  # at the start
    assert calcs[0].stats.calls == calcs[1].stats.calls == 31 + asked
    np.testing.assert_allclose(atoms.get_stress(), other.get_stress(), rtol=0, atol=1e-11)


def test_a_nose_hoover_chain_is_ases_where_it_has_as_many_degrees_of_freedom(silicon, calculator):
    """With a total momentum there are 3 n, which is what ASE always takes."""
    silicon.set_momenta(silicon.get_momenta() + 1.0)
    ase_atoms = silicon.copy()
    ase_atoms.calc = calculator()
    NoseHooverChainNVT(ase_atoms, FS, temperature_K=500, tdamp=50 * FS).run(100)
    run(silicon, calculator(), 100, ensemble=NoseHooverChain(500, tdamp=50 * FS))
    assert_same_motion(silicon, ase_atoms, 1e-10)


def test_fixed_atoms_do_not_move_and_the_others_do_as_with_ase(silicon, calculator, ensembles):
    silicon.set_constraint(FixAtoms([0, 5]))
    start, ase_atoms = silicon.copy(), silicon.copy()
    ase_atoms.set_momenta(silicon.get_momenta())  # without those of fixed atoms
    ase_atoms.calc = calculator()
    run(silicon, calculator(), 60)
    VelocityVerlet(ase_atoms, FS).run(60)
    assert_same_motion(silicon, ase_atoms, 1e-11)
    run(silicon, calculator(), 60, ensemble=ensembles["Langevin"])
    np.testing.assert_array_equal(silicon.positions[[0, 5]], start.positions[[0, 5]])
    assert not silicon.get_momenta()[[0, 5]].any()
    assert (np.linalg.norm(silicon.positions - start.positions, axis=1) > 0.01).sum() == 6
    assert silicon.constraints  # and ASE still knows


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_trajectory_holds_what_ase_would_have_computed(silicon, calculator, tmp_path, dtype):
    tolerance = {"float64": 1e-11, "float32": 2e-4}[dtype]
    run(silicon, calculator(dtype=dtype), 30, trajectory=tmp_path / "md.traj", log=tmp_path / "md.log", interval=10)
    frames, oracle = read(tmp_path / "md.traj", ":"), calculator()
    assert len(frames) == 4
    assert_same_motion(frames[-1], silicon)
    for frame in frames:
        results = frame.calc.results
        assert {"energy", "forces", "stress"} <= set(results)
        for name in ("energy", "forces", "stress"):
            np.testing.assert_allclose(results[name], oracle.get_property(name, frame), rtol=0, atol=tolerance)
    lines = np.loadtxt(tmp_path / "md.log", skiprows=1)
    np.testing.assert_allclose(lines[:, 0], [0, 0.01, 0.02, 0.03])
    np.testing.assert_allclose(lines[:, 1], lines[0, 1], atol=5e-3)  # energy is conserved
    assert lines[0, 4] == pytest.approx(silicon_temperature(frames[0]), abs=0.01)


def silicon_temperature(atoms):
    """With 3 n - 3 degrees of freedom."""
    return atoms.get_temperature() * 3 * len(atoms) / (3 * len(atoms) - 3)


@pytest.mark.filterwarnings("ignore::latte_ase.model.domain.DomainWarning")
def test_what_blows_up_is_named_and_the_atoms_are_as_they_were_a_step_before(silicon, calculator):
    silicon.positions[2] = silicon.positions[6] + [0.9, 0, 0]
    calc = calculator()
    with pytest.raises(BlewUp) as error:
        run(silicon, calc, 1000, timestep=4 * FS)
    found = re.fullmatch(
        r"Dynamics blew up in step (\d+): atoms? (.*) would move by up to .* Å in one step; at most 1 Å is taken "
        r"for motion\. The atoms are as they were after step (\d+)\. Take a shorter time step.*",
        str(error.value),
    )
    assert found
    step = int(found[3])
    assert int(found[1]) == step + 1
    assert "2 (Si)" in found[2] or "6 (Si)" in found[2]
    assert np.isfinite(silicon.positions).all()
    forces = silicon.get_forces()
    assert calc.stats.calls == step + 1  # these are at hand
    leaps = 4 * FS * (silicon.get_velocities() + 2 * FS * forces / silicon.get_masses()[:, None])
    assert np.linalg.norm(leaps, axis=1).max() > 1.0


def test_forces_that_are_not_finite_are_reported_at_the_start(silicon, calculator):
    potential = calculator().potential
    broken = replace(potential, params=jax.tree.map(lambda a: np.full_like(a, np.nan), potential.params))
    before = silicon.copy()
    with pytest.raises(BlewUp, match=r"cannot start: energy or forces are not finite: atoms 0 \(Si\), .* and 3 more\."):
        run(silicon, LatteCalculator(broken, dtype="float64", skin=0.3), 10)
    assert silicon == before


def test_a_strict_calculator_stops_a_run_that_leaves_the_domain(silicon, calculator):
    silicon.positions[2] = silicon.positions[6] + [1.5, 0, 0]
    with pytest.raises(DomainError, match="Si-Si at"):
        run(silicon, calculator(strict=True), 10)


@pytest.fixture
def uncertain(calculator):
    """Function (limit, **options) -> calculator of latte-si whose committee has this limit."""

    def make(limit, **options):
        potential = calculator().potential
        limited = replace(potential, committee=replace(potential.committee, limit=limit))
        return LatteCalculator(limited, dtype="float64", skin=0.3, **options)

    return make


def test_the_committee_is_asked_by_the_loop_that_is_compiled_already(silicon, uncertain):
    calc = uncertain(1e9)
    run(silicon, calc, 20, interval=5)
    assert calc.stats.compilations <= 1
    assert calc.stats.calls == 21 + calc.potential.committee.asked  # once, at the start


def test_a_strict_calculator_stops_a_run_that_its_committee_is_uncertain_of(silicon, uncertain):
    silicon.rattle(0.05, seed=1)
    with pytest.raises(DomainError, match="of Si8 are uncertain by up to"):
        run(silicon, uncertain(1e-6, strict=True), 10)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"steps": -1}, "steps is -1; a whole number of 0 or more is needed"),
        ({"steps": 1.5}, "steps is 1.5; a whole number"),
        ({"interval": 0}, "interval is 0; a whole number of 1 or more is needed"),
        ({"timestep": 0.0}, r"timestep is 0.0; a number larger than 0 is needed, such as 1 \* ase.units.fs"),
        ({"timestep": np.nan}, "timestep is nan"),
    ],
)
def test_impossible_numbers_are_refused(silicon, calculator, options, message):
    with pytest.raises(ValueError, match=message):
        run(silicon, calculator(), **{"steps": 1, **options})


def test_other_calculators_are_refused(silicon):
    with pytest.raises(TypeError, match=r"calc is a EMT; a LatteCalculator is needed\..*use ASE's own dynamics"):
        run(silicon, EMT(), 1)


def test_the_bar_shows_nanoseconds_per_day(silicon, calculator, capsys):
    summary = md(silicon, calculator(), 40, timestep=FS)
    shown = capsys.readouterr().out
    assert "40/40" in shown
    assert "ns/day" in shown
    assert summary.ns_per_day == pytest.approx(86400e-6 / summary.seconds_per_step)


def test_no_step_gives_results_and_changes_nothing(silicon, calculator):
    before, calc = silicon.copy(), calculator()
    assert run(silicon, calc, 0).steps == 0
    assert_same_motion(silicon, before)
    np.testing.assert_allclose(silicon.get_forces(), calculator().get_forces(before), rtol=0, atol=1e-12)


def test_the_cell_follows_the_pressure_without_compilation_after_warm_up(silicon, calculator, ensembles):
    calc, npt = calculator(), ensembles["CellRescaling"]
    run(silicon, calc, 300, ensemble=npt, seed=0)
    warm, shape, volumes = replace(calc.stats), silicon.cell.cellpar(), []
    for seed in range(1, 9):
        run(silicon, calc, 100, ensemble=npt, seed=seed)
        volumes.append(silicon.get_volume())
    assert calc.stats.compilations == warm.compilations
    assert calc.stats.list_builds > warm.list_builds + 8  # more than one per call
    assert max(volumes) > 1.01 * min(volumes)
    np.testing.assert_allclose(silicon.cell.cellpar()[3:], shape[3:])
    np.testing.assert_allclose(silicon.get_stress(), calculator().get_stress(silicon), rtol=0, atol=1e-12)
    np.testing.assert_allclose(silicon.get_momenta().sum(axis=0), 0, atol=1e-10)
