"""Results of each part as tables."""

from __future__ import annotations

from figures import LARGE, Table, by_preset, number, slope, whole
from goals import goals


def tables(results: dict[str, dict]) -> dict[str, Table]:
    """All tables by the name of their marker; a part that was not run gives no table."""
    made = {"goals": goals(results)}
    if "speed" in results:
        made |= {name: make(results["speed"]) for name, make in SPEED.items()}
    if "start" in results:
        made["start"] = start(results["start"])
    if "peers" in results:
        made["peers"] = peers(results["peers"])
    if "loop" in results:
        made["loop"] = loop(results["loop"])
    if "scaling" in results:
        made["scaling"] = scaling(results["scaling"])
    made["machine"] = machine(results)
    return made


def steps(speed: dict) -> Table:
    """Warm calls, with the floor."""
    head = (
        "preset", "atoms", "energy", "energy, forces", "fastest", "processor", "calculator", "with stress", "training step", "list build",
        "floor", "share of floor", "same, energy",
    )  # fmt: skip
    keys = (
        "energy",
        "energy+forces",
        "least",
        "processor",
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
    for preset, cases in by_preset(speed).items():
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


def start(found: dict) -> Table:
    """From starting Python to forces."""
    rows = [
        (
            "warm" if row["cache"] else "none",
            *(number(row[key], 3) for key in ("made_s", "first_call_s", "all_s")),
            str(row["starts"]),
        )
        for row in found["rows"]
    ]
    head = ("cache of compiled functions", "imports and model, s", "first call, s", "all of it, s", "starts")
    return Table("From starting Python to forces on 9 atoms", head, rows)


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
    """What the calculator and ASE's loop add to the engine."""
    head = (
        "structure", "atoms", "preset", "engine, ms", "calculator, ms", "ASE, ms", "both add, ms", "share of engine", "steps",
        "list builds",
    )  # fmt: skip
    rows = [
        (
            row["formula"],
            whole(row["atoms"]),
            row["preset"],
            *(number(row[key], 3) for key in ("engine_ms", "calculator_ms", "ase_ms", "overhead_ms")),
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
        busy = " (busy)" if (m["load"] or 0) > m["cores"] + 1 else ""
        cores = f"{m['cores']} × {m['processor']}, load {m['load']}{busy}"
        rows.append((part, m["date"], cores, f"Python {m['python']}, {versions}", m["commit"]))
    if "speed" in results:
        r = {name: value / 1e9 for name, value in results["speed"]["rates"].items()}
        rates = f"products {r['products']:.0f} Gflop/s, other {r['other']:.0f} Gflop/s, copy {r['copy']:.0f} GB/s"
        rows.append(("floor", "", rates, "", ""))
    return Table("Machine", ("part", "date", "machine", "versions", "commit"), rows)
