"""What the project asked of itself, against what was measured."""

from __future__ import annotations

from figures import Table, by_preset, number, slope

BOX = 1_536
"""Atoms of the box of the goals."""
FAR = 300_000
"""Atoms that a run has to reach for the goal of the slope."""
MISSING = "not measured"


def goals(results: dict[str, dict]) -> Table:
    """One row for each goal; one that needs a part which was not run says so."""
    rows = [_goal(*goal, results) for goal in GOALS]
    return Table("Goals", ("goal", "measured", "reached", "command"), rows)


def _goal(text, measure, reached, command, results):
    try:
        values: dict[str, float] = measure(results)
    except KeyError:
        values = {}
    values = {name: value for name, value in values.items() if value is not None}
    if not values:
        return text, MISSING, "", f"`{command}`"
    shown = ", ".join(f"{name} {number(value, 3)}".strip() for name, value in values.items())
    verdicts = [reached(value) for value in values.values()]
    verdict = "yes" if all(verdicts) else "no" if not any(verdicts) else "in part"
    return text, shown, verdict, f"`{command}`"


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


def _overhead(key, low, high):
    def measure(results):
        rows = [row for row in results["loop"]["rows"] if low <= row["atoms"] <= high]
        return {row["preset"]: row[key] for row in rows}

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
    ("15 times apax GMNN, 1536 atoms", _ratio("apax"), lambda x: x >= 15, "benchmarks/compare.py"),
    ("200 times a 64-channel MACE (mlip)", _ratio("mlip"), lambda x: x >= 200, "benchmarks/compare.py"),
    ("200 times a 64-channel MACE (mace-torch)", _ratio("mace"), lambda x: x >= 200, "benchmarks/compare.py"),
    ("8 µs per atom and step, 1536 atoms, two cores", _case("energy+forces", BOX), lambda x: x <= 8, "benchmarks/speed.py"),
    ("force call of the calculator on 9 atoms under 0.5 ms", _case("calculator", 9, 9e-3), lambda x: x < 0.5, "benchmarks/speed.py"),
    ("start to first forces under 3 s, nothing cached", _start(False), lambda x: x < 3, "benchmarks/start.py"),
    ("start to first forces under 1 s, compiled before", _start(True), lambda x: x < 1, "benchmarks/start.py"),
    ("ASE's loop adds at most 1 ms at 140 atoms", _overhead("overhead_ms", 100, 200), lambda x: x <= 1, "benchmarks/loop.py"),
    ("ASE's loop adds at most 15 % at 1200 atoms", _overhead("share", 1000, 1500), lambda x: x <= 0.15, "benchmarks/loop.py"),
    ("slope of time in atoms within 5 % of 1, from 10 000 to 1 000 000 as far as memory goes", _slopes, lambda x: abs(x - 1) <= 0.05, "benchmarks/speed.py"),
    ("2 to 85 elements known to the model: within 20 %", _elements("known"), lambda x: x <= 1.2, "benchmarks/scaling.py"),
    ("1 to 85 elements in the box: within 20 %", _elements("present"), lambda x: x <= 1.2, "benchmarks/scaling.py"),
)  # fmt: skip
"""Text, function (results) -> values by name, whether a value reaches it, command."""
