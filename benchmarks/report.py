"""Results as tables and a picture: on the terminal, and into docs/performance.md between its markers.

    python benchmarks/report.py out/bench            # tables on the terminal, picture in out/bench
    python benchmarks/report.py out/bench --docs     # also into docs/; results are copied to docs/performance/

Reads speed.json, start.json, peers.json, loop.json and scaling.json, as many of them as there are.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
from pathlib import Path
from typing import Any

from figures import Table, by_preset
from tables import tables

DOCS = Path(__file__).parents[1] / "docs"
PARTS = ("speed", "start", "peers", "loop", "scaling")


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
    for preset, cases in by_preset(results.get("speed", {"cases": []})).items():
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
    if axes.has_data():
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
    show(made)  # last: a terminal that goes away must not cost the page
