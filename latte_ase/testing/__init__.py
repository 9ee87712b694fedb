"""Checks of any ASE calculator, for whoever writes or uses one.

>>> from latte_ase.testing import check_calculator
>>> report = check_calculator(calc)
>>> print(report)
>>> assert report.passed, report.failures

Nothing here knows LATTE or JAX: it works on every calculator, with NumPy and ASE alone.  What it
does not judge is how good the numbers are; only that they belong together.
"""

from latte_ase.testing.report import Check, Report
from latte_ase.testing.suite import PROPERTIES, check_calculator
from latte_ase.testing.tolerances import TOLERANCES, Tolerances

__all__ = ["PROPERTIES", "TOLERANCES", "Check", "Report", "Tolerances", "check_calculator"]
