"""Molecular dynamics on the device."""

from latte_ase.simulate.dynamics import Summary, md
from latte_ase.simulate.ensembles import NVE, Bussi, CellRescaling, Ensemble, Langevin, NoseHooverChain
from latte_ase.simulate.run import BlewUp

__all__ = ["NVE", "BlewUp", "Bussi", "CellRescaling", "Ensemble", "Langevin", "NoseHooverChain", "Summary", "md"]
