"""The comparison of the family: members of equal size, and tables that say what was measured."""

import json
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return import_module


@pytest.mark.parametrize("elements", [("H", "O"), ("H", "C", "N", "O")])
@pytest.mark.parametrize("member", ["latte", "reduced", "reduced, vectors", "cace", "hiphop"])
def test_members_called_equal_have_as_many_parameters(benchmarks, member, elements):
    family = benchmarks("family")
    width = family.sized(family.MEMBERS[f"{member}, equal"], elements)
    found = family.parameters(width, elements)
    assert abs(found / family.EQUAL - 1) < 0.05


def test_a_member_that_was_not_run_has_no_number(benchmarks):
    report = benchmarks("family_report")
    runs = [
        {"set": "water", "member": "latte", "forces_mae": 50.04, "parameters": 10_000, "microseconds": 9.06},
        {"set": "water", "member": "cace", "forces_mae": 40.0, "parameters": 20_000, "microseconds": 30.0},
        {"set": "3bpa", "member": "latte", "forces_mae": 70.0, "parameters": 12_000, "microseconds": 11.0},
    ]
    table = report.table(runs, report.SAME_TIME)
    assert table.head[-2:] == ("3bpa", "water")
    assert [row[0] for row in table.rows] == ["latte", "cace"]
    assert table.rows[0][1:] == ("10 000 to 12 000", "9.1 to 11", "70.0", "50.0")
    assert table.rows[1][-2:] == ("–", "40.0")


def test_the_pages_hold_their_own_data(benchmarks):
    report, uncertainty = benchmarks("family_report"), benchmarks("uncertainty")
    insert = benchmarks("report").insert
    docs = ROOT / "docs"
    runs = report.load(docs / "performance/family.jsonl")
    tables = {"family": report.table(runs, report.SAME_TIME), "equal": report.table(runs, report.SAME_SIZE)}
    text = (docs / "family.md").read_text()
    assert insert(text, tables) == text
    rows = [json.loads(line) for line in (docs / "performance/uncertainty.jsonl").read_text().splitlines()]
    text = (docs / "uncertainty.md").read_text()
    assert insert(text, {"uncertainty": uncertainty.table(rows)}) == text
