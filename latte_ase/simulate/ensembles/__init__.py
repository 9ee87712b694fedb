"""Statistical ensembles of molecular dynamics, as pure step functions."""

from latte_ase.simulate.ensembles.base import Ensemble
from latte_ase.simulate.ensembles.bussi import Bussi
from latte_ase.simulate.ensembles.cell_rescaling import CellRescaling
from latte_ase.simulate.ensembles.langevin import Langevin
from latte_ase.simulate.ensembles.nose_hoover import NoseHooverChain
from latte_ase.simulate.ensembles.nve import NVE

ENSEMBLES: dict[str, type[Ensemble]] = {c.__name__: c for c in (NVE, Langevin, Bussi, NoseHooverChain, CellRescaling)}
"""All ensembles by name."""

__all__ = ["ENSEMBLES", "NVE", "Bussi", "CellRescaling", "Ensemble", "Langevin", "NoseHooverChain"]
