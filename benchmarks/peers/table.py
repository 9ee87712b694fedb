"""Reports of `latte-ase check --json`, side by side, as the table of docs/conformance.md.

python benchmarks/peers/table.py "latte-si float64=si64.json" "mlip=mlip.json"
"""

import json
import sys
from pathlib import Path


def cell(check: dict) -> str:
    """Verdict and value: of what failed in bold, with the unit where there is one."""
    if check["verdict"] == "not applicable":
        return "–"
    if check["value"] is None:
        value = "raises" if check["detail"].startswith("raised") else "not finite"
    else:
        value = f"{check['value']:.1e} {check['unit']}" if check["unit"] else f"{check['value']:.0f}"
    return f"pass {value}" if check["verdict"] == "pass" else f"**fail** {value}"


def table(reports: dict[str, dict]) -> str:
    """One row per property, one column per report, and a last row of counts."""
    columns = {name: {check["name"]: check for check in report["checks"]} for name, report in reports.items()}
    rows = [["property", *reports], ["---"] * (len(reports) + 1)]
    for name in next(iter(columns.values())):
        rows.append([name, *(cell(column[name]) for column in columns.values())])
    verdicts = [[check["verdict"] for check in column.values()] for column in columns.values()]
    rows.append(["pass / fail / –", *(
        f"{found.count('pass')} / {found.count('fail')} / {found.count('not applicable')}" for found in verdicts
    )])  # fmt: skip
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    files = dict(argument.rsplit("=", 1) for argument in sys.argv[1:])
    print(table({name: json.loads(Path(file).read_text()) for name, file in files.items()}))
