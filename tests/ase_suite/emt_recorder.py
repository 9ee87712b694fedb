"""pytest plugin: ASE's own tests with EMT, or its stand-in, which keeps the structures that it is asked for.

    EMT_RECORD=FILE python -m pytest -p emt_recorder ...
    EMT_RECORD=FILE python -m pytest -p emt_substitute -p emt_recorder ...

FILE then holds up to EMT_PER_TEST (60) of the structures that each test computed, drawn at random.
"""

from __future__ import annotations

import os

import ase.calculators.emt
import numpy as np
import pytest
from ase.calculators.calculator import all_changes
from ase.io import write

PER_TEST = int(os.environ.get("EMT_PER_TEST", "60"))
VISITED: dict[str, list] = {}
SEEN: dict[str, int] = {}
CURRENT = [""]


class EMT(ase.calculators.emt.EMT):
    """EMT, or whatever stands in its place, that remembers."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, list(properties), system_changes)
        if np.isfinite(self.results["forces"]).all():
            remember(self.atoms)


def remember(atoms):
    """Reservoir sampling per test: every structure has the same chance."""
    kept = VISITED.setdefault(CURRENT[0], [])
    SEEN[CURRENT[0]] = seen = SEEN.get(CURRENT[0], 0) + 1
    copy = atoms.copy()
    copy.info.clear()
    copy.set_constraint()
    for name in set(copy.arrays) - {"numbers", "positions"}:
        del copy.arrays[name]
    place = np.random.default_rng([seen, len(CURRENT[0])]).integers(seen)
    if len(kept) < PER_TEST:
        kept.append(copy)
    elif place < PER_TEST:
        kept[place] = copy


# At import: ASE's own conftest binds the name before any hook is called.
ase.calculators.emt.EMT = EMT


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    CURRENT[0] = item.nodeid


def pytest_sessionfinish():
    write(os.environ["EMT_RECORD"], [atoms for kept in VISITED.values() for atoms in kept], format="extxyz")
