"""Structures that several models label together."""

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from ase.build import molecule

from latte_ase import LatteCalculator, load_model

ROOT = Path(__file__).parents[2]
TEACHERS = ("latte-water", "latte-h2-combustion")


def answers(atoms, teacher):
    """Energy and forces, each from a calculator of its own."""
    atoms = atoms.copy()
    atoms.calc = LatteCalculator.from_pretrained(teacher)
    return atoms.get_potential_energy(), atoms.get_forces()


@pytest.mark.filterwarnings("ignore::latte_ase.model.domain.DomainWarning")
def test_labels_are_the_mean_of_the_teachers_where_the_first_one_went(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    taught = import_module("rmd17_taught")
    start = molecule("H2O")
    found = taught.taught([start, start], [load_model(teacher) for teacher in TEACHERS])
    assert len(found) == 16
    assert all(np.abs(atoms.positions - start.positions).max() > 0.01 for atoms in found)
    for atoms in found:
        energies, forces = zip(*(answers(atoms, teacher) for teacher in TEACHERS), strict=True)
        assert atoms.get_potential_energy() == pytest.approx(np.mean(energies), abs=1e-4)
        assert np.ptp(energies) > 1e-3
        np.testing.assert_allclose(atoms.get_forces(), np.mean(forces, axis=0), atol=1e-3)
