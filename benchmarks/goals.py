"""What the project asked of itself, against what was measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from figures import Table, by_preset, number, slope

BOX = 1_536
"""Atoms of the box of the goals."""
FAR = 300_000
"""Atoms that a run has to reach for the goal of the slope."""
MISSING = "not measured"


class Goal(NamedTuple):
    """What is asked.

    Attributes:
        text: in words.
        measure: results -> values by name; a KeyError says that a part was not run.
        reached: whether a value is good enough.
        unit: of the values.
        script: that measures it.
    """

    text: str
    measure: Callable[[dict], dict[str, float | None]]
    reached: Callable[[float], bool]
    unit: str
    script: str


def goals(results: dict[str, dict]) -> Table:
    """One row for each goal; one that needs a part which was not run says so."""
    return Table("Goals", ("goal", "measured", "reached", "command"), [_row(goal, results) for goal in GOALS])


def _row(goal: Goal, results) -> tuple[str, ...]:
    try:
        found = goal.measure(results)
    except KeyError:
        found = {}
    values = {name: value for name, value in found.items() if value is not None}
    command = f"`benchmarks/{goal.script}.py`"
    if not values:
        return goal.text, MISSING, "", command
    shown = ", ".join(f"{name} {number(value, 3)} {goal.unit}".rstrip() for name, value in values.items())
    verdicts = [goal.reached(value) for value in values.values()]
    return goal.text, shown, "yes" if all(verdicts) else "in part" if any(verdicts) else "no", command


def _ratio(peer):
    def measure(results):
        rows = [r for r in results["peers"]["rows"] if r["peer"] == peer and r["atoms"] == BOX]
        return {name.removeprefix("latte "): value for row in rows for name, value in row["ratios"].items()}

    return measure


def _case(key, atoms, scale=1.0):
    def measure(results):
        cases = [case for case in results["speed"]["cases"] if case["atoms"] == atoms]
        return {case["preset"]: scale * case[key] for case in cases}

    return measure


def _overhead(key, low, high, scale=1.0):
    def measure(results):
        rows = [row for row in results["loop"]["rows"] if low <= row["atoms"] <= high]
        return {row["preset"]: scale * row[key] for row in rows}

    return measure


def _start(cache):
    def measure(results):
        times = [row["all_s"] for row in results["start"]["rows"] if row["cache"] == cache]
        return {"latte-water": times[0]} if times else {}

    return measure


def _slopes(results):
    found = by_preset(results["speed"]).items()
    return {preset: slope(cases) for preset, cases in found if max(case["atoms"] for case in cases) >= FAR}


def _elements(kind):
    def measure(results):
        found = [s for s in results["scaling"]["series"] if s["series"] == kind]
        return {s["preset"]: max(row["ratio"] for row in s["rows"]) for s in found}

    return measure


GOALS = (
    Goal("15 times apax GMNN, 1536 atoms", _ratio("apax"), lambda x: x >= 15, "×", "compare"),
    Goal("200 times a 64-channel MACE (mlip), 1536 atoms", _ratio("mlip"), lambda x: x >= 200, "×", "compare"),
    Goal("200 times a 64-channel MACE (mace-torch), 1536 atoms", _ratio("mace"), lambda x: x >= 200, "×", "compare"),
    Goal("8 µs per atom and step, 1536 atoms, two cores", _case("energy+forces", BOX), lambda x: x <= 8, "µs", "speed"),
    Goal("force call on 9 atoms under 0.5 ms", _case("calculator", 9, 9e-3), lambda x: x < 0.5, "ms", "speed"),
    Goal("start to first forces under 3 s, nothing cached", _start(False), lambda x: x < 3, "s", "start"),
    Goal("start to first forces under 1 s, compiled before", _start(True), lambda x: x < 1, "s", "start"),
    Goal("ASE's loop adds at most 1 ms at 140 atoms", _overhead("overhead_ms", 100, 200), lambda x: x <= 1, "ms", "loop"),
    Goal("ASE's loop adds at most 15 % at 1200 atoms", _overhead("share", 1000, 1500, 100), lambda x: x <= 15, "%", "loop"),
    Goal(
        "slope of time in atoms within 5 % of 1, from 10 000 to 1 000 000 as far as memory goes",
        _slopes, lambda x: abs(x - 1) <= 0.05, "", "speed",
    ),
    Goal("2 to 85 elements known to the model: within 20 %", _elements("known"), lambda x: x <= 1.2, "×", "scaling"),
    Goal("1 to 85 elements in the box: within 20 %", _elements("present"), lambda x: x <= 1.2, "×", "scaling"),
)  # fmt: skip
"""In the order of the table."""
