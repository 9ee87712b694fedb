"""`latte-ase live`: what it refuses; that it runs is tested in tests/live/test_processes.py."""

from __future__ import annotations

import pytest
from ase.build import bulk
from ase.io import write


@pytest.fixture
def copper(tmp_path):
    write(tmp_path / "copper.xyz", bulk("Cu", cubic=True))
    return tmp_path / "copper.xyz"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["-p", "latte-cupper"], "There is no model 'latte-cupper'. Did you mean 'latte-cu'?"),
        (["-p", "ase.calculators.emt:EMT", "--mode", "fast"], "mode is 'fast'; allowed are"),
        (["-p", "ase.calculators.emt:EMT", "--timestep", "0"], "timestep is 0; it must be larger than 0"),
    ],
)
def test_mistakes_are_one_line(run, copper, arguments, text):
    result = run("live", copper, *arguments)
    assert result.exit_code == 1 and text in result.output


def test_a_missing_file(run, tmp_path):
    result = run("live", tmp_path / "no.xyz", "-p", "ase.calculators.emt:EMT")
    assert result.exit_code == 1 and "no.xyz" in result.output
