"""Crystals and their names, and the list of those that only judge.

A crystal is known by its reduced formula and its prototype, of a crystal of a set the symbol of its space group.  Those for which
the SHA-256 of both begins with 00 to 0c, a twentieth, are the test list, and are never trained on.
"""

from hashlib import sha256
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols


class Crystal(NamedTuple):
    """A crystal and what it is called.

    Attributes:
        atoms: its cell.
        name: reduced formula and prototype.
    """

    atoms: Atoms
    name: str

    @property
    def judges(self) -> bool:
        """Whether it is on the test list."""
        return sha256(self.name.encode()).hexdigest()[:2] <= "0c"


def reduced_formula(numbers) -> str:
    """Symbols in alphabetical order with counts divided by their greatest common divisor."""
    symbols, counts = np.unique([chemical_symbols[z] for z in numbers], return_counts=True)
    counts = counts // np.gcd.reduce(counts)
    return "".join(f"{s}{n if n > 1 else ''}" for s, n in zip(symbols, counts, strict=True))
