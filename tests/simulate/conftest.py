"""A small silicon crystal in motion, and calculators whose loops are compiled once."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from ase import units
from ase.build import bulk

from latte_ase import LatteCalculator, load_model
from latte_ase.simulate import NVE, Bussi, CellRescaling, Langevin, NoseHooverChain

ENSEMBLES = {
    "NVE": NVE(),
    "Langevin": Langevin(temperature_K=500, friction=0.01 / units.fs),
    "Bussi": Bussi(temperature_K=500, taut=50 * units.fs),
    "NoseHooverChain": NoseHooverChain(temperature_K=500, tdamp=50 * units.fs),
    "CellRescaling": CellRescaling(
        temperature_K=500,
        pressure_au=1 * units.GPa,
        taut=50 * units.fs,
        taup=200 * units.fs,
        compressibility_au=0.01 / units.GPa,
    ),
}


@pytest.fixture(scope="session")
def ensembles():
    """{name: one of each ensemble}, with settings for the crystal of `silicon`."""
    return ENSEMBLES


@cache
def _potential():
    return load_model("latte-si")


@pytest.fixture
def calculator():
    """Function (**options) -> a new calculator of latte-si: float64, a thin skin."""
    return lambda **options: LatteCalculator(_potential(), **{"dtype": "float64", "skin": 0.3, **options})


@pytest.fixture
def silicon():
    """Eight atoms at 1000 K whose total momentum is zero."""
    atoms, rng = bulk("Si", a=5.469, cubic=True), np.random.default_rng(5)
    momenta = np.sqrt(units.kB * 1000 * atoms.get_masses()[:, None]) * rng.normal(size=(8, 3))
    atoms.set_momenta(momenta - momenta.mean(axis=0))
    return atoms
