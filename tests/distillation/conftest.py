"""A distillation of few steps."""

import pytest

from latte_ase.distillation import comparison, exploration, pupil


@pytest.fixture
def short(monkeypatch):
    """Few and short runs, rounds and trainings."""
    monkeypatch.setattr(exploration, "RUNS", 4)
    monkeypatch.setattr(exploration, "SEGMENT", 5)
    monkeypatch.setattr(exploration, "SEGMENTS", 4)
    monkeypatch.setattr(pupil, "ROUND_EPOCHS", 2)
    monkeypatch.setattr(comparison, "JUDGES", 4)
    monkeypatch.setattr(comparison, "TIMED", 1)
