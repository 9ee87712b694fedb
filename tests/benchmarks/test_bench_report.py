"""The tables of docs/performance.md: what they say of given results, and that the page holds its own data."""

from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAD = {
    "date": "today",
    "cores": 2,
    "processor": "CPU",
    "load": 0.1,
    "python": "3",
    "packages": {"jax": "1"},
    "commit": "c",
}


@pytest.fixture
def report(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return import_module("report")


@pytest.fixture
def tables(report):
    return import_module("tables")


@pytest.fixture
def figures(report):
    return import_module("figures")


def peers(ratio):
    row = {
        "peer": "apax", "atoms": 1536, "note": "bare", "version": "1", "us_per_atom": 150.0, "least": 140.0,
        "most": 160.0, "ratios": {"latte specific": ratio}, "cold_s": 9.0,
    }  # fmt: skip
    absent = {"peer": "mace", "atoms": 1536, "reason": "no environment"}
    return {"machine": HEAD, "rows": [row], "left_out": [absent]}


@pytest.mark.parametrize(("ratio", "verdict"), [(14.9, "no"), (15.0, "yes")])
def test_a_goal_is_judged_by_its_number(tables, ratio, verdict):
    rows = tables.goals({"peers": peers(ratio)}).rows
    assert rows[0][1:3] == (f"specific {ratio:.1f} ×", verdict)
    assert rows[1][1:3] == ("not measured", "")  # mlip did not run


def test_a_peer_that_cannot_run_is_named_with_the_reason(report, tables):
    text = report.markdown(tables.peers(peers(15.0)))
    assert "| mace | – | 1 536 | no environment |" in text


def test_the_exponent_is_that_of_the_large_structures(figures):
    cases = [{"atoms": n, "energy+forces": 3 * n**0.2} for n in (12_000, 120_000, 960_000)]
    small = {"atoms": 3, "energy+forces": 1e4}
    assert figures.slope([small, *cases]) == pytest.approx(1.2)
    assert figures.slope([small, cases[0]]) is None


def test_only_what_stands_between_markers_changes(report, tables):
    page = "A\n<!-- bench peers -->\nold\n<!-- end -->\nB\n<!-- bench loop -->\nkept\n<!-- end -->\n"
    made = tables.tables({"peers": peers(15.0)})
    new = report.insert(page, made)
    assert "old" not in new and "kept" in new
    assert new.startswith("A\n") and "\nB\n" in new
    assert report.insert(new, made) == new


@pytest.mark.parametrize(
    ("value", "text"), [(0.5, "0.50"), (12.34, "12"), (1234.5, "1 234"), (None, "–"), (0, "0"), (float("nan"), "–")]
)
def test_figures(figures, value, text):
    assert figures.number(value) == text


def test_the_page_holds_its_own_data(report, tables):
    page = (ROOT / "docs/performance.md").read_text()
    made = tables.tables(report.load(ROOT / "docs/performance"))
    assert report.insert(page, made) == page, "docs/performance.md is not what its data say; run make bench-docs"


def test_a_folder_without_results_is_named(report, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds none of speed\.json.*Run make bench first"):
        report.load(tmp_path)
