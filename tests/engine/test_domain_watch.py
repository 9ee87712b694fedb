"""The domain is watched on a reused list as strictly as on a fresh one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

from latte_ase.engine.domain_watch import DomainWatch
from latte_ase.engine.engine import Engine
from latte_ase.geometry.neighbours import VerletList
from latte_ase.model.domain import Domain

CUTOFF = 4.0
DOMAIN = Domain(("H", "O"), np.array([[2.2, 1.8], [1.8, 2.0]]), CUTOFF, np.array([[9.0, 12.0], [7.0, 15.5]]))


class Reused:
    """A list that is reused as an engine does, and how often."""

    def __init__(self, domain: Domain, skin: float):
        self.domain, self.skin, self.verlet, self.reused = domain, skin, None, 0

    def excursions(self, atoms):
        motion = self.verlet.motion(atoms) if self.verlet else None
        if motion is None:
            self.verlet = VerletList.build(atoms, cutoff=CUTOFF, skin=self.skin)
            self.watch = DomainWatch(self.domain, (atoms.numbers == 8).astype(int), self.verlet)
            motion = np.zeros((len(atoms), 3)), np.eye(3)
        else:
            self.reused += 1
        return self.watch.excursions(*motion)


def fresh(domain, atoms):
    return Reused(domain, 0.0).excursions(atoms)


def assert_same(result, expected):
    assert [(e.subject, getattr(e, "atom", None)) for e in result] == [
        (e.subject, getattr(e, "atom", None)) for e in expected
    ]
    numbers = [
        [e.count if hasattr(e, "count") and hasattr(e, "atom") else e.distance for e in r] for r in (result, expected)
    ]
    assert numbers[0] == pytest.approx(numbers[1])


def strain(rng, kind):
    """A cell's deformation that varies from call to call, or grows."""
    if kind == "breathing":
        return np.eye(3) * (1 + rng.uniform(-0.02, 0.02))
    return np.eye(3) + rng.uniform(-0.03, 0.03, (3, 3))


@pytest.mark.parametrize("skin", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("kind", ["fixed", "breathing", "sheared", "growing"])
def test_a_reused_list_finds_what_a_fresh_one_finds(kind, skin):
    rng = np.random.default_rng(0)
    cell = np.diag([6.0, 6.5, 7.0])
    atoms = Atoms(
        "H6O6", positions=rng.uniform(0, 6, (12, 3)), cell=cell, pbc=(rng.random(3) < 0.8) | (kind == "growing")
    )
    watched, found = Reused(DOMAIN, skin), []
    for _ in range(60):
        atoms.positions += rng.normal(0, 0.02 if skin else 0.0, (12, 3))
        if kind == "growing":
            atoms.set_cell(atoms.cell.array * (1 + rng.uniform(0, 0.004)), scale_atoms=True)
        elif kind != "fixed":
            atoms.set_cell(cell @ strain(rng, kind), scale_atoms=True)
        result = watched.excursions(atoms)
        assert_same(result, fresh(DOMAIN, atoms))
        found += result
    assert len(found) > 25 and {len(e.subject) for e in found} == {1, 2}
    if skin == 1 or kind == "growing":
        assert watched.reused > 20


def test_a_pair_that_comes_close_while_the_cell_grows_is_seen():
    """The rule of reuse lets a distance shrink by more than the skin where the cell grew meanwhile."""
    skin, grown, limit = 0.1, 1.1, 2.0
    domain = Domain(("H",), np.array([[limit]]), CUTOFF)
    start = limit + 2 * skin + 0.01
    atoms = Atoms("H2", positions=[(1, 1, 1), (1 + start, 1, 1)], cell=[12] * 3, pbc=True)
    watched = Reused(domain, skin)
    assert watched.excursions(atoms) == []
    atoms.set_cell(atoms.cell.array * grown, scale_atoms=True)
    shorter = grown * (CUTOFF + skin) - CUTOFF - 1e-3
    atoms.positions[1, 0] -= shorter / 2
    atoms.positions[0, 0] += shorter / 2
    (found,) = watched.excursions(atoms)
    assert watched.reused == 1 and found.distance == pytest.approx(grown * start - shorter) and found.distance < limit


def test_neighbours_that_leave_are_missed_while_the_list_serves():
    """One atom of a cluster goes away, in steps far below the skin."""
    domain = Domain(("H",), np.array([[0.5]]), CUTOFF, np.array([[2.0, 2.5]]))
    atoms = Atoms("H4", positions=[(0, 0, 0), (2, 0, 0), (0, 2, 0), (0, 0, 3.4)])
    watched, seen = Reused(domain, 1.0), []
    for _ in range(9):
        seen.append([(e.atom, e.count) for e in watched.excursions(atoms)])
        assert_same(watched.excursions(atoms), fresh(domain, atoms))
        atoms.positions[3, 2] += 0.1
    assert seen == [[], *[[(3, 1.0)]] * 5, *[[(3, 0.0)]] * 3] and watched.reused == 17


def test_elements_that_were_told_of_are_not_counted_again_but_others_are(monkeypatch):
    """Outside its domain a simulation that goes on would count neighbours in every step for a warning that is given once."""
    domain = Domain(("H", "O"), np.full((2, 2), 0.5), CUTOFF, np.array([[2.0, 2.0], [2.0, 2.0]]))
    atoms = Atoms("HO", positions=[(0, 0, 0), (2, 0, 0)])
    watch = DomainWatch(domain, (atoms.numbers == 8).astype(int), VerletList.build(atoms, cutoff=CUTOFF, skin=1.0))
    still, counted = (np.zeros((2, 3)), np.eye(3)), []
    sparse = Domain.sparse
    monkeypatch.setattr(Domain, "sparse", lambda *a: counted.append(1) or sparse(*a))
    first = watch.excursions(*still)
    assert [e.subject for e in first] == [("H",), ("O",)]
    assert watch.excursions(*still, {("H",), ("O",)}) == first and len(counted) == 1
    assert watch.excursions(*still, {("H",)}) == first and len(counted) == 2


def test_an_engine_sees_what_a_fresh_engine_sees(tiny_potential):
    base = tiny_potential("latte")
    potential = replace(base, constants={**base.constants, "fewest_neighbours": np.array([[3.0, 7.0], [4.0, 8.0]])})
    rng, engine, found = np.random.default_rng(0), Engine(potential, skin=0.5), 0
    atoms = Atoms("H6O6", positions=rng.uniform(0, 6, (12, 3)), cell=np.diag([6.0, 6.5, 7.0]), pbc=True)
    for _ in range(30):
        atoms.positions += rng.normal(0, 0.02, (12, 3))
        atoms.set_cell(atoms.cell.array * (1 + rng.uniform(-0.01, 0.015)), scale_atoms=True)
        result = engine.excursions(atoms)
        assert_same(result, Engine(potential, skin=0.5).excursions(atoms))
        found += len(result)
    assert 0 < engine.stats.list_builds < 20 and found > 30
