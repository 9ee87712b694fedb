"""When the committee is asked whether a structure is inside the domain of use, and what it says."""

from __future__ import annotations

import warnings
from dataclasses import replace

import jax
import numpy as np
import pytest
from ase import Atoms

from latte_ase import LatteCalculator
from latte_ase.engine import committee_watch
from latte_ase.engine.committee_watch import CommitteeWatch
from latte_ase.engine.engine import Engine
from latte_ase.model.committee import Committee
from latte_ase.model.domain import DomainError, DomainWarning, UncertainForces, describe

ASKED = 4


@pytest.fixture(scope="module")
def potential(tiny_potential):
    """Six members of the last layer; no limit on distances."""
    base = tiny_potential(reach=0.1, repulsion=False)
    kernel, rng = base.params["network"]["Dense_1"]["kernel"], np.random.default_rng(0)
    members = {"network": {"Dense_1": {"kernel": kernel + rng.normal(size=(6, *kernel.shape))}}}
    return replace(base, committee=Committee(members))


def limited(potential, limit):
    return replace(potential, committee=replace(potential.committee, limit=limit))


def water(seed=0):
    atoms = Atoms("OH2", [(0, 0, 0), (0, 0, 1.2), (0, 1.2, 0)])
    atoms.rattle(0.05, seed=seed)
    return atoms


def calls_of(calc, ask):
    """Number of force calls that a question takes."""
    before = calc.stats.calls
    ask()
    return calc.stats.calls - before


def test_what_is_said_is_the_spread_of_the_members_that_are_asked(potential):
    engine, atoms = Engine(potential, dtype="float64"), water()
    forces = engine.evaluate_members(atoms)[1]
    assert len(forces) == 6
    np.testing.assert_allclose(engine.evaluate_members(atoms, ASKED)[1], forces[:ASKED], rtol=1e-12)
    sigma = np.linalg.norm(potential.committee.forces_factor * forces[:ASKED].std(axis=0, ddof=1), axis=1)
    limit = float(np.sort(sigma)[1])  # one atom is at the limit, one beyond
    (found,) = CommitteeWatch(strict=True).excursions(Engine(limited(potential, limit * 1.001), dtype="float64"), atoms)
    assert found.formula == "H2O" and found.atoms == (int(sigma.argmax()),)
    assert (found.sigma, found.limit) == pytest.approx((sigma.max(), limit * 1.001))


@pytest.mark.parametrize("committee", ["none", "without a limit"])
def test_who_has_no_committee_or_no_limit_is_not_asked(potential, committee):
    calc = LatteCalculator(replace(potential, committee=None) if committee == "none" else potential, strict=True)
    assert calls_of(calc, lambda: calc.get_property("forces", water())) == 1


def test_a_composition_is_asked_about_once_and_then_seldom(potential, monkeypatch):
    monkeypatch.setattr(committee_watch, "INTERVAL", 10)
    calc, atoms = LatteCalculator(limited(potential, 1e9), strict=True, skin=0.0), water()
    atoms.calc = calc
    assert calls_of(calc, atoms.get_forces) == 1 + ASKED
    counts = []
    for k in range(25):
        atoms.positions += 0.01 * np.random.default_rng(k).normal(size=(3, 3))
        counts.append(calls_of(calc, atoms.get_forces))
    assert calc.stats.list_builds == 26  # a new list alone is no reason
    assert [k for k, n in enumerate(counts) if n > 1] == [9, 19]
    assert calls_of(calc, lambda: calc.get_property("forces", water() + Atoms("H", [(3, 0, 0)]))) == 1 + ASKED
    assert calls_of(calc, lambda: calc.get_property("energy", water(1))) == 1 + ASKED  # atoms jumped; but see below


def test_a_move_through_the_cell_is_no_jump(potential):
    atoms = water()
    atoms.set_cell([5, 6, 7])
    atoms.pbc = True
    calc = LatteCalculator(limited(potential, 1e9), strict=True)
    calc.get_property("forces", atoms)
    atoms.positions += [[5, 0, 0], [0, -12, 0], [0, 0, 0.1]]
    assert calls_of(calc, lambda: calc.get_property("forces", atoms)) == 1
    assert calc.stats.list_builds == 2
    atoms.positions[1] += [1.5, 0, 0]
    assert calls_of(calc, lambda: calc.get_property("forces", atoms)) == 1 + ASKED


def test_who_is_not_strict_asks_about_fewer_and_fewer_jumps(potential):
    counts = {}
    for strict in (True, False):
        calc, jumps = LatteCalculator(limited(potential, 1e9), strict=strict), []
        for k in range(9):
            atoms = water()
            atoms.positions[2] += [0, 0, 1.5 * (k % 2)]
            jumps.append(calls_of(calc, lambda atoms=atoms, calc=calc: calc.get_property("forces", atoms)) > 1)
        counts[strict] = [k for k, asked in enumerate(jumps) if asked]
    assert counts == {True: [*range(9)], False: [0, 1, 2, 4, 8]}


def test_strict_refuses_what_the_committee_is_uncertain_of_as_often_as_it_is_asked(potential):
    calc = LatteCalculator(limited(potential, 1e-6), strict=True)
    for _ in range(2):
        for name in ("energy", "forces"):
            with pytest.raises(
                DomainError, match=r"the forces on atoms \d, \d, \d of H2O are uncertain by up to .* by its committee"
            ):
                calc.get_property(name, water())
    with pytest.raises(DomainError, match="of H2O are uncertain"):
        calc.get_hessian(water())
    assert calc.results == {}


def test_a_composition_is_warned_of_once_and_asked_about_no_more(potential):
    calc = LatteCalculator(limited(potential, 1e-6))
    with pytest.warns(DomainWarning, match="outside the range of tiny-latte: the forces on atoms .* of H2O") as told:
        forces = calc.get_property("forces", water())
    assert len(told) == 1
    np.testing.assert_allclose(forces, Engine(potential).evaluate(water()).forces, rtol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert calls_of(calc, lambda: calc.get_property("forces", water() * (1, 1, 1))) <= 1
        moved = water()
        moved.positions[2] += [0, 0, 3.0]
        assert calls_of(calc, lambda: calc.get_property("forces", moved)) == 1
    with pytest.warns(DomainWarning, match="of HO are uncertain"):
        calc.get_property("forces", water()[:2])


def test_the_energy_alone_needs_no_forces_of_the_committee_unless_strict(potential):
    calc = LatteCalculator(limited(potential, 1e-6))
    assert calls_of(calc, lambda: calc.get_property("energy", water())) == 1
    with pytest.warns(DomainWarning, match="of H2O are uncertain"):
        calc.get_property("forces", water())


def test_energies_alone_compile_no_second_function_where_the_committee_is_asked(potential):
    calc = LatteCalculator(limited(potential, 1e9), dtype="float64", strict=True)
    assert calc.get_property("energy", water()) == pytest.approx(
        Engine(potential, dtype="float64").evaluate(water()).energy
    )
    assert calc.stats.compilations <= 1 and calc.stats.calls == 1 + ASKED


def test_a_structure_that_is_outside_already_needs_no_committee(potential):
    close = replace(
        limited(potential, 1e-6), constants={**potential.constants, "repulsion_range": np.full((2, 2), 2.0)}
    )
    calc = LatteCalculator(close, strict=True)
    with pytest.raises(DomainError, match="H-O at"):
        calc.get_property("forces", water())
    assert calc.stats.calls == 0


def test_the_text_names_atoms_figures_and_what_to_do():
    one, many = UncertainForces("CO", (1,), 1.234, 0.25), UncertainForces("C8", tuple(range(8)), 1.234, 0.25)
    text = describe("m", [one])
    assert (
        "outside the range of m: the force on atom 1 of CO is uncertain by 1.2 eV/Å by its committee, where 0.25"
        in text
    )
    assert "latte_ase.finetune" in text
    assert "the forces on atoms 0, 1, 2, 3, 4 and 3 more of C8 are uncertain by up to 1.2 eV/Å" in str(many)


@pytest.mark.parametrize("limit", [0.0, -1.0, np.inf, np.nan])
def test_an_impossible_limit_is_refused(potential, limit):
    with pytest.raises(ValueError, match=r"The limit of a committee is .*; a finite number above 0 is needed, or None"):
        limited(potential, limit)


def test_members_share_what_is_compiled(potential):
    calc = LatteCalculator(limited(potential, 1e9))
    before = calc.stats.compilations
    calc.get_property("forces", water())
    assert calc.stats.compilations - before <= 1
    assert jax.tree.leaves(calc.engine.member(0)) is not None
