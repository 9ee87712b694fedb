"""Uncertainty of the predictions of a potential: committees, their calibration, observers, and active learning.

Examples:
    >>> potential = uncertainty.last_layer("my-water", "train.extxyz", held_out="valid.extxyz")
    >>> calc = LatteCalculator(potential)
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
