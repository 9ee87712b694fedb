"""The domain of use of a potential: its elements, its pairs of elements, how close they came (`dataset.closest_approaches`).

What leaves the domain of the training set is extrapolation.  The check runs on the host at every
call and looks only at the few pairs that can have come close: those nearer than their limit plus
twice the skin when the pair list was built.  (The reuse rule of `neighbours.VerletList` lets a
distance shrink by no more than the skin while the cell stays or shrinks; the second skin covers
cells that grew meanwhile.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from latte_ase.geometry.neighbours import Pairs

ROUNDING = 1e-6
"""A distance shorter by less than this fraction may be the training set's own, read back from a file."""


class DomainWarning(UserWarning):
    """A structure left the range that the model was trained on."""


class DomainError(ValueError):
    """The same, where the calculator was told to be strict."""


class Excursion(NamedTuple):
    """The nearest pair of two elements outside the domain.

    Attributes:
        elements: their symbols, sorted as the model's.
        atoms: indices of the two atoms.
        distance: in Angstrom.
        limit: closest approach of the training set in Angstrom; 0 if the two never met there.
    """

    elements: tuple[str, str]
    atoms: tuple[int, int]
    distance: float
    limit: float

    def __str__(self):
        pair, (i, j) = "-".join(self.elements), self.atoms
        if self.limit == 0:
            return f"{pair} neighbours (atoms {i} and {j}, {self.distance:.3f} Å) never occurred in its training set"
        return (
            f"{pair} at {self.distance:.3f} Å (atoms {i} and {j}) is closer than the {self.limit:.3f} Å where its "
            "training set ends"
        )


class Suspects(NamedTuple):
    """Pairs that have to be looked at while a pair list serves.

    Attributes:
        i, j: (suspects,) int.
        edge: (suspects, 3) D at the list build, Angstrom.
        limit: (suspects,) shortest allowed distance in Angstrom; 0 forbids the pair at any distance.
        kind: (suspects, 2) species of the two, in ascending order.
    """

    i: np.ndarray
    j: np.ndarray
    edge: np.ndarray
    limit: np.ndarray
    kind: np.ndarray


@dataclass(frozen=True)
class Domain:
    """What a model was trained on.

    Attributes:
        elements: symbols.
        closest: (species, species) closest approach in Angstrom; 0 for a pair that never met.
        cutoff: in Angstrom.
    """

    elements: tuple[str, ...]
    closest: np.ndarray
    cutoff: float

    @property
    def known(self) -> bool:
        """False for a potential that was never trained: it has no domain to leave."""
        return bool(np.any(self.closest > 0))

    @property
    def pairs(self) -> dict[tuple[str, str], float]:
        """Closest approach in Angstrom of each pair of elements of the training set."""
        return {
            (a, b): float(self.closest[i, j])
            for i, a in enumerate(self.elements)
            for j, b in enumerate(self.elements)
            if i <= j and self.closest[i, j] > 0
        }

    def suspects(self, species, pairs: Pairs, skin: float) -> Suspects:
        """The pairs of a fresh list (cutoff + skin) that may leave the domain while it serves.

        Args:
            species: (atoms,) int.
            pairs: the list.
            skin: in Angstrom.
        """
        species = np.asarray(species)
        limit = self.closest[species[pairs.i], species[pairs.j]]
        near = np.einsum("pa,pa->p", pairs.edge, pairs.edge) < (limit + 2 * skin) ** 2
        chosen = (pairs.i <= pairs.j) & (near | (limit == 0)) & self.known
        i, j = pairs.i[chosen], pairs.j[chosen]
        kind = np.sort(np.stack([species[i], species[j]], axis=1), axis=1)
        return Suspects(i, j, pairs.edge[chosen], limit[chosen], kind)

    def excursions(self, suspects: Suspects, displacements, deformation) -> list[Excursion]:
        """What is outside now: for each pair of elements the nearest one.

        Args:
            suspects: from `suspects`.
            displacements: (atoms, 3) u since the list build, Angstrom.
            deformation: (3, 3) F since then.
        """
        edge = suspects.edge @ deformation + displacements[suspects.j] - displacements[suspects.i]
        distance = np.sqrt(np.einsum("pa,pa->p", edge, edge))
        reach = np.where(suspects.limit == 0, self.cutoff, suspects.limit * (1 - ROUNDING))
        outside = distance < reach
        if not outside.any():
            return []
        outside = np.flatnonzero(outside)
        outside = outside[np.argsort(distance[outside], kind="stable")]
        found: dict[tuple[int, int], Excursion] = {}
        for k in outside:
            a, b = (int(s) for s in suspects.kind[k])
            if (a, b) not in found:
                names, atoms = (self.elements[a], self.elements[b]), (int(suspects.i[k]), int(suspects.j[k]))
                found[a, b] = Excursion(names, atoms, float(distance[k]), float(suspects.limit[k]))
        return list(found.values())


def describe(name: str, excursions: Sequence[Excursion]) -> str:
    """One sentence for a warning or an error."""
    listed = "; ".join(map(str, excursions))
    return (
        f"This structure is outside the range of {name}: {listed}. Energies and forces there are extrapolated; check "
        "the structure, or fine-tune on frames like it (latte_ase.finetune)."
    )
