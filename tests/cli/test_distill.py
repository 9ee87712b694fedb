"""`latte-ase distill`: what it hands to `latte_ase.distill`."""

import math
from pathlib import Path
from types import SimpleNamespace

import pytest

from latte_ase import distillation


@pytest.fixture
def given(monkeypatch):
    """Arguments of the call."""
    found = {}

    def distill(teacher, seeds, **keywords):
        found.update(keywords, teacher=teacher, seeds=seeds)
        return SimpleNamespace(table="a table", path="pupil/model.safetensors")

    monkeypatch.setattr(distillation, "distill", distill)
    return found


def test_options_are_handed_on(run, given):
    options = ["--temperatures", "300, 900", "--pressures", "none", "--labels", 50, "--epochs", 7, "--seed", 3]
    result = run("distill", "x.xyz", "--teacher", "ase.calculators.emt:EMT", "--out", "pupil", *options, "--resume")
    assert result.exit_code == 0, result.output
    assert result.stdout == "a table\nmodel: pupil/model.safetensors\n"
    assert given["teacher"] == "ase.calculators.emt:EMT" and given["seeds"] == Path("x.xyz")
    assert given["temperatures_K"] == [300.0, 900.0] and given["pressures_GPa"] == []
    assert given["labels"] == 50 and given["epochs"] == 7 and given["seed"] == 3
    assert given["hours"] == math.inf and given["resume"] is True


def test_what_is_no_number_is_refused(run, given):
    result = run("distill", "x.xyz", "--teacher", "a:b", "--out", "pupil", "--temperatures", "warm")
    assert result.exit_code == 1
    assert (
        result.stderr
        == "latte-ase: --temperatures is 'warm'; numbers separated by commas are needed, such as 300,600.\n"
    )
