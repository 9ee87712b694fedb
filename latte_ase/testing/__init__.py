"""Consistency checks of ASE calculators.

The checks work for every ASE calculator and need only NumPy and ASE; they import neither JAX nor the rest of this
package.  They test whether the results of a calculator are consistent with each other and with the rules of ASE,
not how accurate they are.

Examples:
    >>> from latte_ase.testing import check_calculator
    >>> report = check_calculator(calc)
    >>> print(report)
    >>> assert report.passed, report.failures
"""

from latte_ase.testing.report import Check, Report
from latte_ase.testing.suite import PROPERTIES, check_calculator
from latte_ase.testing.tolerances import TOLERANCES, Tolerances

__all__ = ["PROPERTIES", "TOLERANCES", "Check", "Report", "Tolerances", "check_calculator"]
