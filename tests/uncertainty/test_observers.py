"""Observers of ASE's dynamics: the run stops, or frames are kept, where the model is not certain."""

from __future__ import annotations

import numpy as np
import pytest
from ase import units
from ase.calculators.emt import EMT
from ase.io import read
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.md.verlet import VelocityVerlet

from latte_ase import LatteCalculator
from latte_ase.uncertainty import TooUncertain, log_above, stop_above


@pytest.fixture
def hot(certain, copper):
    atoms = copper(1, seed=6, rattle=0.01)[0]
    atoms.calc = LatteCalculator(certain)
    MaxwellBoltzmannDistribution(atoms, temperature_K=4000, rng=np.random.default_rng(0))
    return atoms


def test_a_run_stops_where_the_threshold_is_crossed(hot):
    threshold = 2 * hot.calc.get_uncertainty(hot).worst
    dynamics = VelocityVerlet(hot, 4 * units.fs)
    dynamics.attach(stop_above(hot, threshold), interval=2)
    with pytest.raises(TooUncertain, match=r"The force on atom \d is uncertain by .* are allowed") as caught:
        dynamics.run(400)
    assert 0 < dynamics.nsteps < 400
    assert caught.value.uncertainty.worst > threshold
    assert f"on atom {caught.value.uncertainty.of_atoms.argmax()} is" in str(caught.value)
    assert str(caught.value).endswith("Label this structure and fine-tune (latte_ase.finetune), or allow more.")
    assert hot.calc.get_uncertainty(hot).worst == pytest.approx(caught.value.uncertainty.worst)


def test_a_run_goes_on_and_frames_are_kept(hot, tmp_path):
    threshold = 2 * hot.calc.get_uncertainty(hot).worst
    dynamics = VelocityVerlet(hot, 4 * units.fs)
    dynamics.attach(log_above(hot, threshold, tmp_path / "new" / "doubt.extxyz"), interval=5)
    dynamics.run(100)
    frames = read(tmp_path / "new" / "doubt.extxyz", ":")
    assert 0 < len(frames) < 21
    assert all(frame.info["uncertainty"] > threshold for frame in frames)
    for frame in frames:  # positions are written with eight digits
        assert hot.calc.get_uncertainty(frame).worst == pytest.approx(frame.info["uncertainty"], rel=1e-3)
    np.testing.assert_array_equal(frames[0].numbers, hot.numbers)


def test_what_cannot_be_observed_is_refused_before_the_run(hot, base, copper):
    other = copper(1, seed=0)[0]
    other.calc = EMT()
    with pytest.raises(ValueError, match="EMT; a LatteCalculator is needed"):
        stop_above(other, 0.1)
    other.calc = LatteCalculator(base)
    with pytest.raises(
        ValueError, match="a LatteCalculator of a model without a committee; a LatteCalculator is needed"
    ):
        stop_above(other, 0.1)
    with pytest.raises(ValueError, match="threshold is 0"):
        log_above(hot, 0, "nothing.extxyz")
