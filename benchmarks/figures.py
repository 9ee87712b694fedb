"""How a figure is written, and what a table is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

LARGE = 10_000
"""Atoms from which a structure is large enough for a slope."""


class Table(NamedTuple):
    """A title, names of columns, and rows of text."""

    title: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]


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


def by_preset(speed: dict) -> dict[str, list[dict]]:
    found: dict[str, list[dict]] = {}
    for case in speed["cases"]:
        found.setdefault(case["preset"], []).append(case)
    return found
