"""Results of family.py as a table and a picture, in docs/family.md.

    python benchmarks/family_report.py out/family/family.jsonl

The results are copied to docs/performance/family.jsonl, and the picture to docs/family.svg.
"""

from __future__ import annotations

import argparse
import json
import shutil
from itertools import zip_longest
from pathlib import Path

from family import MEMBERS, PEERS, SETS
from figures import Table, number, whole
from report import DOCS, insert

COPY = DOCS / "performance" / "family.jsonl"


def load(path: Path) -> list[dict]:
    """The runs, one per line."""
    return [json.loads(line) for line in path.read_text().splitlines()]


SAME_TIME = [name for name in MEMBERS if not name.endswith(", equal")] + list(PEERS)
SAME_SIZE = [name for name in MEMBERS if name.endswith(", equal")]
COLUMNS = 3
"""Panels in a row of the picture."""
MARKERS = dict(zip(PEERS, "sD", strict=True))


def table(runs: list[dict], members: list[str]) -> Table:
    """Force errors per set, parameters and cost of each member."""
    found = {(run["member"], run["set"]): run for run in runs}
    sets = [name for name in SETS if any((member, name) in found for member in members)]
    rows = []
    for member in members:
        mine = [found[member, name] for name in sets if (member, name) in found]
        if mine:
            errors = [number(found.get((member, name), {}).get("forces_mae"), 3) for name in sets]
            costs = [number(min(run["microseconds"] for run in mine)), number(max(run["microseconds"] for run in mine))]
            sizes = [min(run["parameters"] for run in mine), max(run["parameters"] for run in mine)]
            size = " to ".join(dict.fromkeys(whole(n) for n in sizes))
            rows.append((member, size, " to ".join(dict.fromkeys(costs)), *errors))
    return Table("Members alike", ("member", "parameters", "µs per atom", *sets), rows)


def draw(runs: list[dict], path: Path) -> None:
    """Force error against cost, one panel per set; the lower edge of the points is what pays."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "latte_ase"  # the same results give the same file
    from matplotlib import pyplot as plt
    from matplotlib import ticker

    sets = [name for name in SETS if any(run["set"] == name for run in runs)]
    rows = -(-len(sets) // COLUMNS)
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(3.4 * COLUMNS, 2.9 * rows + 0.8), constrained_layout=True)
    for axis, name in zip_longest(axes.flat, sets):
        if name is None:
            axis.remove()
            continue
        points = sorted(
            (r["microseconds"], r["forces_mae"], r["member"])
            for r in runs
            if r["set"] == name and r["member"] in SAME_TIME
        )
        for k, member in enumerate(SAME_TIME):
            here = [(x, y) for x, y, m in points if m == member]
            axis.scatter(
                *zip(*here, strict=True),
                label=member,
                color="black" if member in PEERS else f"C{k}",
                marker=MARKERS.get(member, "o"),
            ) if here else None
        best, edge = float("inf"), []
        for x, y, _ in points:
            if y < best:
                best = y
                edge.append((x, y))
        axis.plot(*zip(*edge, strict=True), color="0.7", zorder=0)
        axis.set(title=name, xscale="log", yscale="log", xlabel="µs per atom, one core")
        for scale in (axis.xaxis, axis.yaxis):
            scale.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
            scale.set_major_formatter(ticker.ScalarFormatter())
            scale.set_minor_locator(ticker.NullLocator())
    figure.supylabel("MAE of forces, meV/Å")
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, fontsize="small")
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("results", type=Path)
    options = parser.parse_args()
    if options.results.resolve() != COPY.resolve():
        shutil.copyfile(options.results, COPY)
    runs = load(COPY)
    page = DOCS / "family.md"
    page.write_text(insert(page.read_text(), {"family": table(runs, SAME_TIME), "equal": table(runs, SAME_SIZE)}))
    draw(runs, DOCS / "family.svg")
