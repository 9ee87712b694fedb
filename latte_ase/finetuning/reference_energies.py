"""E0 of another level of theory: it shifts total energies by electronvolts per atom, no business of the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from latte_ase.dataset import label
from latte_ase.potential import Potential


def with_those_of(base: Potential, potential: Potential) -> Potential:
    """The potential with the E0 of the base model for the elements that this knows."""
    known = dict(zip(base.elements, base.reference_energies, strict=True))
    energies = [known.get(e, e0) for e, e0 in zip(potential.elements, potential.reference_energies, strict=True)]
    return replace(potential, reference_energies=np.array(energies))


def moved(frames: Sequence[Atoms], start: Potential, end: Potential) -> list[Atoms]:
    """Copies whose energies count from the E0 of `end` instead of those of `start`; elements as in `end`."""
    shift = end.reference_energies - with_those_of(start, end).reference_energies
    copies = []
    for atoms in frames:
        copy, change = atoms.copy(), shift[end.species(atoms.numbers)].sum()
        labels = {name: label(atoms, name) for name in ("energy", "forces", "stress")}
        labels = {name: value for name, value in labels.items() if value is not None}
        copy.calc = SinglePointCalculator(copy, **labels | {"energy": labels["energy"] + change})
        copies.append(copy)
    return copies
