"""How far to trust a potential: committees, their calibration, and what follows from them.

>>> trusted = uncertainty.last_layer("my-water", "train.extxyz", held_out="valid.extxyz")
>>> calc = LatteCalculator(trusted)
>>> calc.get_uncertainty(atoms).worst  # eV/Angstrom
"""

from latte_ase.model.committee import Committee, Uncertainty
from latte_ase.uncertainty.assessment import Assessment, assess
from latte_ase.uncertainty.ensemble import ensemble
from latte_ase.uncertainty.last_layer import last_layer
from latte_ase.uncertainty.observers import TooUncertain, log_above, stop_above
from latte_ase.uncertainty.selection import select

__all__ = [
    "Assessment",
    "Committee",
    "TooUncertain",
    "Uncertainty",
    "assess",
    "ensemble",
    "last_layer",
    "log_above",
    "select",
    "stop_above",
]
