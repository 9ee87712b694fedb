"""Run ASE's own tests that use EMT, with a LatteCalculator in its place: python tests/ase_suite/run.py [pytest options]

Every file of ase.test that imports EMT is run, unchanged, as it is installed.  With --table FILE the
result is also written as a Markdown table, one line per file.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as tree
from collections import Counter, defaultdict
from pathlib import Path

import ase.test

HERE = Path(__file__).parent
ROOT = Path(ase.test.__file__).parent
IMPORTS_EMT = re.compile(
    r"^\s*from ase\.calculators\.emt import|^\s*(?:from ase\.calculators|import).*\bEMT\b", re.MULTILINE
)


def files() -> list[Path]:
    """Test files of the installed ASE that import EMT, and those whose fixtures do."""
    with_fixtures = [p.parent for p in ROOT.rglob("conftest.py") if IMPORTS_EMT.search(p.read_text(encoding="utf-8"))]
    return [
        path
        for path in sorted(ROOT.rglob("test_*.py"))
        if IMPORTS_EMT.search(path.read_text(encoding="utf-8")) or any(f in path.parents for f in with_fixtures)
    ]


def run(options: list[str], report: Path) -> int:
    """pytest on those files in an empty folder; its exit status."""
    command = [sys.executable, "-m", "pytest", "-p", "emt_substitute", "-p", "no:cacheprovider", "-o", "addopts="]
    command += [
        "-q",
        "--timeout",
        "120",
        "--timeout-method",
        "signal",
        "-n",
        str(os.cpu_count() or 1),
        "--dist",
        "loadfile",
        f"--junit-xml={report}",
        *options,
    ]
    path = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))
    with tempfile.TemporaryDirectory() as folder:
        # workers and tests compile the same few functions: let them share what was compiled
        cache = os.environ.get("JAX_COMPILATION_CACHE_DIR", str(Path(folder) / "compiled"))
        # some tests start ASE's command
        commands = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        environment = os.environ | {
            "PATH": commands,
            "PYTHONPATH": path,
            "JAX_COMPILATION_CACHE_DIR": cache,
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            # a worker for each core: the threads of their linear algebra would wait for each other
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        return subprocess.run([*command, *map(str, files())], cwd=folder, env=environment).returncode


def table(report: Path) -> str:
    """One line per file: tests that pass, that are skipped as with EMT, and the quoted lines of the others."""
    sys.path.insert(0, str(HERE))
    from emt_substitute import REASONS, not_passing

    counts: dict[str, Counter] = defaultdict(Counter)
    for case in tree.parse(report).getroot().iter("testcase"):
        name = next(
            (p.get("value", "") for p in case.iter("property") if p.get("name") == "file"), "skipped as a whole"
        )
        skipped = case.find("skipped")
        kind = "passes"
        if case.find("failure") is not None or case.find("error") is not None:
            kind = "FAILS"
        elif skipped is not None:
            message = skipped.get("message") or ""
            kind = next((why for why in REASONS.values() if why in message), "skipped")
        counts[name][kind] += 1
    quoted = defaultdict(list)
    for test, (kind, line) in not_passing().items():
        quoted[test.partition("::")[0]].append(f"`{test.partition('::')[2]}` {REASONS[kind]}: `{line}`")
    kinds = ["passes", *REASONS.values(), "skipped"]
    lines = [f"| file | {' | '.join(kinds)} by ASE | the lines |", "| --- |" + " --- |" * (len(kinds) + 1)]
    for name in sorted(counts):
        assert not counts[name]["FAILS"], f"{name} fails and is not in not_passing.toml"
        cells = " | ".join(str(counts[name][kind]) for kind in kinds)
        lines.append(f"| {name} | {cells} | {'<br>'.join(quoted[name])} |")
    total = sum(counts.values(), Counter())
    lines.append(f"| **all** | {' | '.join(f'**{total[kind]}**' for kind in kinds)} | |")
    return "\n".join(lines) + "\n"


def main() -> int:
    options = sys.argv[1:]
    target = None
    if "--table" in options:
        at = options.index("--table")
        target = Path(options[at + 1])
        del options[at : at + 2]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        status = run(options, report)
        if target and status == 0:
            target.write_text(table(report), encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main())
