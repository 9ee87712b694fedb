"""Results as tables and a picture: on the terminal, and into docs/performance.md between its markers.

    python benchmarks/report.py out/bench            # tables on the terminal, picture in out/bench
    python benchmarks/report.py out/bench --docs     # also into docs/; results are copied to docs/performance/

Reads speed.json, peers.json, loop.json and scaling.json, as many of them as there are.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

DOCS = Path(__file__).parents[1] / "docs"
PARTS = ("speed", "peers", "loop", "scaling")
MISSING = "not measured"
BOX, LARGE = 1_536, 10_000
"""Atoms of the box of the goals; where a structure is large enough for a slope."""


class Table(NamedTuple):
    """A title, names of columns, and rows of text."""

    title: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]


def load(folder: Path) -> dict[str, dict]:
    """The results that a folder holds, by part.

    Raises:
        FileNotFoundError: it holds none.
    """
    found = {
        part: json.loads((folder / f"{part}.json").read_text()) for part in PARTS if (folder / f"{part}.json").exists()
    }
    if not found:
        raise FileNotFoundError(
            f"{folder} holds none of {', '.join(f'{p}.json' for p in PARTS)}. Run make bench first."
        )
    return found


def tables(results: dict[str, dict]) -> dict[str, Table]:
    """All tables by the name of their marker; a part that was not run gives no table."""
    made = {"goals": goals(results)}
    if "speed" in results:
        made |= {name: make(results["speed"]) for name, make in SPEED.items()}
    if "peers" in results:
        made["peers"] = peers(results["peers"])
    if "loop" in results:
        made["loop"] = loop(results["loop"])
    if "scaling" in results:
        made["scaling"] = scaling(results["scaling"])
    made["machine"] = machine(results)
    return made


def number(value: float | None, digits: int = 2) -> str:
    """A figure with so many digits that count, at least; – for none."""
    if value is None or not np.isfinite(value):
        return "–"
    decimals = max(0, digits - 1 - int(np.floor(np.log10(abs(value))))) if value else 0
    return f"{value:,.{decimals}f}".replace(",", " ")


def whole(value: int) -> str:
    """A number of things, in groups of three digits."""
    return f"{value:,}".replace(",", " ")


def slope(cases: list[dict], key: str = "energy+forces") -> float | None:
    """Exponent of the time of a step in the number of atoms, by least squares over the large structures."""
    large = [case for case in cases if case["atoms"] >= LARGE]
    if len(large) < 2:
        return None
    x = np.log([case["atoms"] for case in large])
    y = np.log([case["atoms"] * case[key] for case in large])
    return float(np.polyfit(x, y, 1)[0])


def goals(results: dict[str, dict]) -> Table:
    """What the project asked of itself, against what was measured here."""
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


def _slopes(results):
    return {preset: slope(cases) for preset, cases in _by_preset(results["speed"]).items()}


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
    ("force call on 9 atoms under 0.5 ms", _case("calculator", 9, 9e-3), lambda x: x < 0.5, "benchmarks/speed.py"),
    ("ASE's loop adds at most 1 ms at 140 atoms", _overhead("overhead_ms", 100, 200), lambda x: x <= 1, "benchmarks/loop.py"),
    ("ASE's loop adds at most 15 % at 1200 atoms", _overhead("share", 1000, 1500), lambda x: x <= 0.15, "benchmarks/loop.py"),
    ("slope in atoms within 5 % of 1 from 10 000 to 1 000 000", _slopes, lambda x: abs(x - 1) <= 0.05, "benchmarks/speed.py"),
    ("2 to 85 elements known to the model: within 20 %", _elements("known"), lambda x: x <= 1.2, "benchmarks/scaling.py"),
    ("1 to 85 elements in the box: within 20 %", _elements("present"), lambda x: x <= 1.2, "benchmarks/scaling.py"),
)  # fmt: skip
"""Text, function (results) -> values by name, whether a value reaches it, command."""


def _by_preset(speed: dict) -> dict[str, list[dict]]:
    found: dict[str, list[dict]] = {}
    for case in speed["cases"]:
        found.setdefault(case["preset"], []).append(case)
    return found


def steps(speed: dict) -> Table:
    """Warm calls, with the floor."""
    head = (
        "preset", "atoms", "energy", "energy, forces", "calculator", "with stress", "training step", "list build",
        "floor", "share of floor", "same, energy",
    )  # fmt: skip
    keys = (
        "energy",
        "energy+forces",
        "calculator",
        "calculator+stress",
        "training_step",
        "list_build",
        "floor energy+forces",
    )
    rows = [
        (
            case["preset"],
            whole(case["atoms"]),
            *(number(case.get(key)) for key in keys),
            f"{100 * case['share energy+forces']:.1f} %",
            f"{100 * case['share energy']:.1f} %",
        )
        for case in speed["cases"]
    ]
    return Table("Microseconds per atom and step", head, rows)


def starts(speed: dict) -> Table:
    """Cold calls, compilations, padding, memory."""
    head = (
        "preset", "atoms", "first call, s", "compile, s", "energy only, s", "training, s", "compilations", "padding waste",
        "peak memory, MB", "kB per atom",
    )  # fmt: skip
    rows = [
        (
            case["preset"],
            whole(case["atoms"]),
            *(number(case.get(key)) for key in ("cold_s", "compile_s", "compile_energy_s", "training_compile_s")),
            f"{case['compilations']} + {case['compilations_in_all'] - case['compilations']}",
            f"{100 * case['padding_waste']:.0f} %",
            number(case["memory_bytes"] / 1e6),
            number(case["memory_per_atom"] / 1e3) if case["atoms"] >= LARGE else "–",
        )
        for case in speed["cases"]
    ]
    return Table("First calls, compilations, padding, memory", head, rows)


def growth(speed: dict) -> Table:
    """Exponents in the number of atoms, of time and of memory."""
    rows = []
    for preset, cases in _by_preset(speed).items():
        large = [case for case in cases if case["atoms"] >= LARGE]
        if len(large) > 1:
            span = f"{whole(large[0]['atoms'])} to {whole(large[-1]['atoms'])}"
            exponents = (slope(cases, key) for key in ("energy", "energy+forces", "list_build", "memory_per_atom"))
            rows.append((preset, span, *(number(e, 3) for e in exponents)))
    return Table("Slope in log-log", ("preset", "atoms", "energy", "energy, forces", "list build", "memory"), rows)


def left_out(speed: dict) -> Table:
    """What was not run, and why."""
    rows = [(row["preset"], whole(row["atoms"]), row["reason"]) for row in speed["left_out"]]
    return Table("Left out", ("preset", "atoms", "reason"), rows)


SPEED = {"steps": steps, "starts": starts, "growth": growth, "left-out": left_out}


def peers(found: dict) -> Table:
    """Peers and how many times longer they take than each preset that ran with them."""
    presets = sorted({name for row in found["rows"] for name in row["ratios"]}, reverse=True)
    head = (
        "what",
        "version",
        "atoms",
        "µs per atom and step",
        "least to most",
        *(f"times {p}" for p in presets),
        "first call, s",
    )
    rows = [
        (
            f"{row['peer']}: {row['note']}",
            row["version"],
            whole(row["atoms"]),
            number(row["us_per_atom"], 3),
            f"{number(row['least'], 3)} to {number(row['most'], 3)}",
            *(number(row["ratios"].get(p), 3) for p in presets),
            number(row["cold_s"]),
        )
        for row in found["rows"]
    ]
    for row in found["left_out"]:
        rows.append((row["peer"], "–", whole(row["atoms"]), row["reason"], "–", *("–" for _ in presets), "–"))
    return Table("Peers", head, rows)


def loop(found: dict) -> Table:
    """What ASE's loop adds to the engine."""
    head = (
        "structure",
        "atoms",
        "preset",
        "engine, ms",
        "calculate, ms",
        "step, ms",
        "loop adds, ms",
        "share",
        "steps",
        "list builds",
    )
    rows = [
        (
            row["formula"],
            whole(row["atoms"]),
            row["preset"],
            *(number(row[key], 3) for key in ("engine_ms", "calculate_ms", "step_ms", "overhead_ms")),
            f"{100 * row['share']:.1f} %",
            str(row["steps"]),
            str(row["list_builds"]),
        )
        for row in found["rows"]
    ]
    return Table("ASE's loop: VelocityVerlet", head, rows)


def scaling(found: dict) -> Table:
    """Neighbours and elements."""
    names = {"neighbours": "cutoff, Å", "known": "elements known", "present": "elements in the box"}
    head = (
        "preset",
        "what changes",
        "value",
        "pairs per atom",
        "µs per atom",
        "ns per pair",
        "ratio to the first",
        "padding waste",
    )
    rows = [
        (
            series["preset"],
            names[series["series"]],
            row["name"],
            number(row["pairs_per_atom"], 3),
            number(row["us_per_atom"], 3),
            number(1e3 * row["us_per_atom"] / max(row["pairs_per_atom"], 1e-9), 3),
            number(row["ratio"], 3),
            f"{100 * row['padding_waste']:.0f} %",
        )
        for series in found["series"]
        for row in series["rows"]
    ]
    return Table("Neighbours and elements", head, rows)


def machine(results: dict[str, dict]) -> Table:
    """Where each part ran."""
    rows = []
    for part, found in results.items():
        m = found["machine"]
        versions = ", ".join(f"{name} {version}" for name, version in m["packages"].items())
        cores = f"{m['cores']} × {m['processor']}, load {m['load']}"
        rows.append((part, m["date"], cores, f"Python {m['python']}, {versions}", m["commit"]))
    if "speed" in results:
        r = {name: value / 1e9 for name, value in results["speed"]["rates"].items()}
        rates = f"products {r['products']:.0f} Gflop/s, other {r['other']:.0f} Gflop/s, copy {r['copy']:.0f} GB/s"
        rows.append(("floor", "", rates, "", ""))
    return Table("Machine", ("part", "date", "machine", "versions", "commit"), rows)


def markdown(table: Table) -> str:
    """The table as Markdown; a sentence where it has no row."""
    if not table.rows:
        return "Nothing."
    lines = [table.head, ("---",) * len(table.head), *table.rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def insert(text: str, made: dict[str, Table]) -> str:
    """The page with every `<!-- bench NAME -->` ... `<!-- end -->` filled; one without a table stays as it is."""

    def fill(match: re.Match) -> str:
        name = match.group(1)
        return f"<!-- bench {name} -->\n{markdown(made[name])}\n<!-- end -->" if name in made else match.group(0)

    return re.sub(r"<!-- bench ([a-z-]+) -->\n.*?<!-- end -->", fill, text, flags=re.DOTALL)


def show(made: dict[str, Table]) -> None:
    """All tables on the terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as Grid

    console = Console()
    console = console if console.is_terminal else Console(width=200)
    for table in made.values():
        grid = Grid(*table.head, title=table.title, title_justify="left", box=box.SIMPLE)
        for row in table.rows:
            grid.add_row(*row)
        console.print(grid)


def draw(results: dict[str, dict], path: Path) -> None:
    """Time per atom and step against atoms, log-log: presets, the floor, peers."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.6), layout="constrained")
    for preset, cases in _by_preset(results.get("speed", {"cases": []})).items():
        x = [case["atoms"] for case in cases]
        (line,) = axes.loglog(x, [case["energy+forces"] for case in cases], "o-", label=preset, ms=4)
        if preset in ("specific", "reduced"):
            floor = [case["floor energy+forces"] for case in cases]
            axes.loglog(x, floor, ":", color=line.get_color(), label=f"floor, {preset}", lw=1)
    rows: list[Any] = results.get("peers", {"rows": []})["rows"]
    for name, marker in (("apax", "s"), ("mlip", "^"), ("mace", "v")):
        points = [row for row in rows if row["peer"] == name]
        if points:
            label = f"{points[0]['package']} {points[0]['version']}"
            axes.loglog(
                [p["atoms"] for p in points], [p["us_per_atom"] for p in points], marker, color="0.4", label=label
            )
    axes.set_xlabel("atoms")
    axes.set_ylabel("µs per atom and step, energy and forces")
    axes.grid(True, which="major", lw=0.3)
    axes.legend(fontsize=8, ncols=2)
    matplotlib.rcParams["svg.hashsalt"] = "latte_ase"  # the same results give the same file
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("out/bench"))
    parser.add_argument("--docs", action="store_true", help="write docs/performance.md, its picture and its data")
    options = parser.parse_args()
    found = load(options.folder)
    made = tables(found)
    show(made)
    draw(found, options.folder / "performance.svg")
    if options.docs:
        (DOCS / "performance").mkdir(exist_ok=True)
        for part in found:
            source, target = options.folder / f"{part}.json", DOCS / "performance" / f"{part}.json"
            if source.resolve() != target.resolve():
                shutil.copy(source, target)
        draw(found, DOCS / "performance.svg")
        page = DOCS / "performance.md"
        page.write_text(insert(page.read_text(), made))
