"""The shipped models behave; the checks are those that their cards report."""

import importlib.util
from pathlib import Path

import pytest

from latte_ase import LatteCalculator

MODELS = Path(__file__).parents[1] / "models"


def checks(model):
    """The module models/MODEL/check.py."""
    spec = importlib.util.spec_from_file_location(f"check_{model}", MODELS / model / "check.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def silicon():
    """Relaxed cubic cell, its calculator, and the checks."""
    check = checks("latte-si")
    calculator = LatteCalculator.from_pretrained("latte-si", dtype="float64")
    return check, calculator, check.relaxed_cell(calculator)


def test_silicon_has_the_lattice_constant_of_pbe(silicon):
    """5.469 Angstrom: Zuo et al., J. Phys. Chem. A 124, 731 (2020); within 0.5 %."""
    _, _, atoms = silicon
    assert atoms.cell.lengths()[0] == pytest.approx(5.469, rel=0.005)


def test_silicon_phonons_are_positive(silicon):
    check, calculator, atoms = silicon
    frequencies = check.phonon_frequencies(atoms, calculator)
    assert frequencies.min() > 0
    assert 13 < frequencies.max() < 17  # experiment: 15.5 THz at Gamma


def test_silicon_is_elastically_stable(silicon):
    """Born's criteria of a cubic crystal."""
    check, _, atoms = silicon
    c11, c12, c44 = check.elastic_constants(atoms)
    assert c11 > abs(c12) and c11 + 2 * c12 > 0 and c44 > 0


@pytest.mark.slow
def test_silicon_vacancy_relaxes(silicon):
    check, calculator, atoms = silicon
    formation, moved, converged = check.vacancy(atoms, calculator)
    assert converged and moved < 1.0
    assert 2.0 < formation < 4.5
