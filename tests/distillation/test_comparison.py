"""Comparison of pupil and teacher: none differs where the pupil is its own teacher."""

from functools import partial

import numpy as np
import pytest
from ase.build import bulk, molecule

from latte_ase import LatteCalculator, save_model
from latte_ase.distillation import comparison
from latte_ase.distillation.folder import DistillationFolder
from latte_ase.labelling import Workers


@pytest.fixture
def pupil(tiny_potential, tmp_path):
    """A potential and a teacher that is the same."""
    potential = tiny_potential("latte", ("H", "O"))
    path = tmp_path / "model.safetensors"
    save_model(potential, path)
    return potential, partial(LatteCalculator, str(path), dtype="float64")


@pytest.mark.filterwarnings("ignore::latte_ase.model.domain.DomainWarning")
def test_curves_of_a_pupil_that_is_its_teacher_are_equal(pupil, tmp_path):
    potential, teacher = pupil
    folder = DistillationFolder.open(tmp_path / "out", "0", resume=False)
    crystal = bulk("O", "sc", a=2.8) * (1, 1, 2)
    seeds = [crystal, crystal * (2, 1, 1), molecule("H2O"), molecule("H2O2")]
    with Workers(teacher, count=1, timeout=120, retries=0) as processes:
        equation = comparison._equation(potential, seeds, folder.judge, processes)
        vibrations = comparison._vibrations(potential, seeds, folder.judge, processes)
    assert equation is not None and vibrations is not None
    np.testing.assert_allclose(equation[:, 0], 2.8**3 * comparison.VOLUMES, rtol=1e-9)  # of the smaller crystal
    np.testing.assert_allclose(equation[:, 1], equation[:, 2], rtol=0, atol=1e-5)
    assert np.ptp(equation[:, 1]) > 1e-3
    assert vibrations.shape == (9, 2)
    # squares, in meV^2, are linear in the force constants; finite differences leave 2 meV of a mode without one
    np.testing.assert_allclose(vibrations[:, 0] ** 2, vibrations[:, 1] ** 2, rtol=0.02, atol=4.0)
    assert vibrations.max() > 50


def test_without_crystals_or_small_molecules_there_are_no_curves(pupil, tmp_path):
    potential, teacher = pupil
    folder = DistillationFolder.open(tmp_path / "out", "0", resume=False)
    with Workers(teacher, count=1, timeout=120, retries=0) as processes:
        assert comparison._equation(potential, [molecule("H2O")], folder.judge, processes) is None
        assert comparison._vibrations(potential, [bulk("O", "sc", a=3.0)], folder.judge, processes) is None
    assert folder.judge.count() == 0
