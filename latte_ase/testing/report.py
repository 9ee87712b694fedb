"""Results of the checks: a `Check` for every property, and the `Report` with all of them."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass

PASS, FAIL, NOT_APPLICABLE = "pass", "fail", "not applicable"
COLOURS = {PASS: "green", FAIL: "bold red", NOT_APPLICABLE: "yellow"}
HEAD = ("property", "verdict", "value", "tolerance", "unit", "detail")


@dataclass(frozen=True)
class Check:
    """Result of the check of one property.

    Attributes:
        name: name of the property, a key of `latte_ase.testing.PROPERTIES`.
        value: largest deviation found, in `unit`; None where nothing was measured.
        tolerance: largest value that passes, in `unit`.
        verdict: "pass", "fail" or "not applicable".
        detail: structure and quantity of the largest deviation, or the reason for the verdict.
        unit: unit of value and tolerance; "" for a number of violations.
        seconds: duration of the check.
    """

    name: str
    value: float | None
    tolerance: float | None
    verdict: str
    detail: str
    unit: str = ""
    seconds: float = 0.0

    def cells(self) -> tuple[str, str, str, str, str, str]:
        """Name, verdict, value, tolerance, unit and detail as printed."""
        value = "" if self.value is None else f"{self.value:.1e}" if self.unit else f"{self.value:.0f}"
        tolerance = "" if self.tolerance is None else f"{self.tolerance:.1e}" if self.unit else f"{self.tolerance:.0f}"
        return self.name, self.verdict, value, tolerance, self.unit, self.detail


@dataclass(frozen=True)
class Report:
    """Results of all checks of one calculator; its text is a table.

    Attributes:
        calculator: class name of the calculator.
        precision: "float32" or "float64", the set of tolerances.
        elements: chemical symbols in the structures.
        checks: results in the order of `latte_ase.testing.PROPERTIES`.
    """

    calculator: str
    precision: str
    elements: tuple[str, ...]
    checks: tuple[Check, ...]

    @property
    def failures(self) -> tuple[Check, ...]:
        """Checks that failed."""
        return tuple(check for check in self.checks if check.verdict == FAIL)

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return not self.failures

    @property
    def seconds(self) -> float:
        """Duration of all checks."""
        return sum(check.seconds for check in self.checks)

    def __getitem__(self, name: str) -> Check:
        for check in self.checks:
            if check.name == name:
                return check
        raise KeyError(f"There is no check {name!r} in this report; it has {[c.name for c in self.checks]}.")

    def to_json(self) -> str:
        """Report as JSON; values that are not finite are null."""
        rows = []
        for check in self.checks:
            row = asdict(check)
            rows.append({k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()})
        head = {"calculator": self.calculator, "precision": self.precision, "elements": list(self.elements)}
        return json.dumps({**head, "passed": self.passed, "checks": rows}, indent=1, ensure_ascii=False)

    @property
    def title(self) -> str:
        """One line with the calculator, the elements and the precision."""
        return f"{self.calculator}, {' '.join(self.elements)}, tolerances of {self.precision}"

    @property
    def summary(self) -> str:
        """One line with the number of checks of each verdict, and the duration."""
        counts = [f"{sum(c.verdict == v for c in self.checks)} {v}" for v in COLOURS]
        return f"{', '.join(counts)}; {self.seconds:.0f} s"

    def lines(self) -> list[tuple[str, str, str]]:
        """Rows as printed: name and verdict, both padded, and the other cells."""
        rows = [HEAD, *(check.cells() for check in self.checks)]
        width = [max(len(row[k]) for row in rows) for k in range(5)]
        return [
            (f"{name:{width[0]}}", f"{verdict:{width[1]}}",
             f"{value:>{width[2]}}  {tolerance:>{width[3]}}  {unit:{width[4]}}  {detail}".rstrip())
            for name, verdict, value, tolerance, unit, detail in rows
        ]  # fmt: skip

    def __str__(self):
        return "\n".join([self.title, *("  ".join(line).rstrip() for line in self.lines()), self.summary])

    def __rich__(self):
        from rich.text import Text

        # text instead of a table of rich, which would break the cells: one line per property in any terminal
        text = Text(f"{self.title}\n", no_wrap=True, overflow="ignore")
        for name, verdict, rest in self.lines():
            text.append(f"{name}  ").append(verdict, COLOURS.get(verdict.strip(), "bold")).append(f"  {rest}\n")
        return text.append(self.summary)
