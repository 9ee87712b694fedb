"""Sets of instructions for which the native kernel is compiled: the compiler's options, and which of them this processor has."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from pathlib import Path

SETS: dict[str, tuple[str, ...]] = {
    "avx512": ("-march=x86-64-v4",),
    "avx2": ("-march=x86-64-v3",),
    "sse4": ("-march=x86-64-v2",),
    "neon": ("-march=armv8-a",),
}
"""Options by name, the fastest set of each family first."""
NEEDS = {
    "avx512": {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx2", "fma", "bmi2"},
    "avx2": {"avx2", "fma", "bmi1", "bmi2", "f16c", "movbe"},
    "sse4": {"sse4_2", "ssse3", "popcnt"},
}
"""Flags of the processor that a set needs, as Linux names them."""
ARM = ("aarch64", "arm64")


def of_sources() -> str:
    """Checksum of the sources: a library that was built from others may expect other arguments, and is not loaded."""
    files = sorted((Path(__file__).parent / "src").iterdir())
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def of_machine() -> list[str]:
    """Sets for the family of this processor."""
    if platform.machine() in ARM:
        return ["neon"]
    return [name for name in SETS if name != "neon"] if platform.machine() in ("x86_64", "AMD64") else []


@cache
def supported(name: str) -> bool:
    """Whether this processor has a set."""
    if name == "neon":
        return platform.machine() in ARM
    return name in of_machine() and NEEDS[name] <= _flags()


def _flags() -> set[str]:
    """Flags of the processor; none where the system does not tell."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return set()
    return {flag for line in path.read_text().splitlines() if line.startswith("flags") for flag in line.split()}
