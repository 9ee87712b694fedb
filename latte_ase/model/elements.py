"""Chemical symbols of atomic numbers, of which there are 118."""

from __future__ import annotations

from collections.abc import Iterable

from ase.data import chemical_symbols

LAST_ELEMENT = len(chemical_symbols) - 1
"""Atomic number of the last element that has a name, Og."""


def symbols_of(numbers: Iterable[int]) -> list[str]:
    """Chemical symbols, in the order of the atoms.

    Args:
        numbers: (atoms,) atomic numbers.

    Raises:
        ValueError: a number is that of no element, such as 0, which stands for a ghost atom.
    """
    numbers = [int(z) for z in numbers]
    strange = sorted({z for z in numbers if not 1 <= z <= LAST_ELEMENT})
    if strange:
        ghosts = " 0 is a ghost atom: leave such atoms out, del atoms[atoms.numbers == 0]." if 0 in strange else ""
        raise ValueError(
            f"There is no element of the atomic number {', '.join(map(str, strange))}; numbers from 1 (H) to {LAST_ELEMENT} "
            f"({chemical_symbols[-1]}) are allowed.{ghosts}"
        )
    return [chemical_symbols[z] for z in numbers]
