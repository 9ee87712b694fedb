"""What a check says: one `Check` per property, and the `Report` of all of them."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass

PASS, FAIL, NOT_APPLICABLE = "pass", "fail", "not applicable"
COLOURS = {PASS: "green", FAIL: "bold red", NOT_APPLICABLE: "yellow"}
HEAD = ("property", "verdict", "value", "tolerance", "unit", "detail")


@dataclass(frozen=True)
class Check:
    """One property of a calculator.

    Attributes:
        name: the property, as in `latte_ase.testing.PROPERTIES`.
        value: the worst deviation found, in `unit`; None where nothing was measured.
        tolerance: the largest value that passes, in `unit`.
        verdict: "pass", "fail" or "not applicable".
        detail: where the worst deviation is, or the reason of the verdict.
        unit: of value and tolerance; "" for a count of violations.
        seconds: time it took.
    """

    name: str
    value: float | None
    tolerance: float | None
    verdict: str
    detail: str
    unit: str = ""
    seconds: float = 0.0

    def cells(self) -> tuple[str, str, str, str, str, str]:
        """Name, verdict, value, tolerance, unit and detail as they are printed."""
        value = "" if self.value is None else f"{self.value:.1e}" if self.unit else f"{self.value:.0f}"
        tolerance = "" if self.tolerance is None else f"{self.tolerance:.1e}" if self.unit else f"{self.tolerance:.0f}"
        return self.name, self.verdict, value, tolerance, self.unit, self.detail


@dataclass(frozen=True)
class Report:
    """All checks of one calculator.

    Attributes:
        calculator: name of the calculator.
        precision: "float32" or "float64": the set of tolerances.
        elements: symbols in the structures.
        checks: in the order of `latte_ase.testing.PROPERTIES`.
    """

    calculator: str
    precision: str
    elements: tuple[str, ...]
    checks: tuple[Check, ...]

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.verdict == FAIL)

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return not self.failures

    @property
    def seconds(self) -> float:
        """Time of all checks."""
        return sum(check.seconds for check in self.checks)

    def __getitem__(self, name: str) -> Check:
        for check in self.checks:
            if check.name == name:
                return check
        raise KeyError(f"There is no check {name!r} in this report; it has {[c.name for c in self.checks]}.")

    def to_json(self) -> str:
        """The report as JSON; a value that is not finite becomes null."""
        rows = []
        for check in self.checks:
            row = asdict(check)
            rows.append({k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()})
        head = {"calculator": self.calculator, "precision": self.precision, "elements": list(self.elements)}
        return json.dumps({**head, "passed": self.passed, "checks": rows}, indent=1, ensure_ascii=False)

    @property
    def title(self) -> str:
        """One line: what was checked."""
        return f"{self.calculator}, {' '.join(self.elements)}, tolerances of {self.precision}"

    @property
    def summary(self) -> str:
        """One line: how it ended."""
        counts = [f"{sum(c.verdict == v for c in self.checks)} {v}" for v in COLOURS]
        return f"{', '.join(counts)}; {self.seconds:.0f} s"

    def lines(self) -> list[tuple[str, str, str]]:
        """Rows as printed: name, verdict (both padded), and the rest."""
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

        # a table of rich would break the cells; a property stays one line, however narrow the terminal
        text = Text(f"{self.title}\n", no_wrap=True, overflow="ignore")
        for name, verdict, rest in self.lines():
            text.append(f"{name}  ").append(verdict, COLOURS.get(verdict.strip(), "bold")).append(f"  {rest}\n")
        return text.append(self.summary)
