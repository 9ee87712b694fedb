"""Domain of use of a potential: the range of its training set, and which parts of a structure are outside.

The domain consists of the elements, of the closest approach of each pair of elements (`training.dataset.closest_approaches`),
and of the fewest neighbours of each element (`training.dataset.fewest_neighbours`).  Outside it, energies and forces are
extrapolated.  `engine.domain_watch` compares a structure with it while a pair list is reused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from typing import NamedTuple

import numpy as np

ROUNDING = 1e-6
"""A distance shorter by less than this fraction may be the training set's own, read back from a file; and shells of a crystal
that lie at the cutoff are counted alike whatever their last digits are."""

LISTED = 5
"""Atoms that a message names."""


class DomainWarning(UserWarning):
    """Warning of a structure outside the domain of use of its model."""


class DomainError(ValueError):
    """Error of a strict calculator for a structure outside the domain of use of its model."""


class CloseContact(NamedTuple):
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

    @property
    def subject(self) -> tuple[str, ...]:
        """Key of this kind of excursion, of which there is one warning."""
        return self.elements

    def __str__(self):
        pair, (i, j) = "-".join(self.elements), self.atoms
        if self.limit == 0:
            return f"{pair} neighbours (atoms {i} and {j}, {self.distance:.3f} Å) never occurred in its training set"
        return (
            f"{pair} at {self.distance:.3f} Å (atoms {i} and {j}) is closer than the {self.limit:.3f} Å where its "
            "training set ends"
        )


class FewNeighbours(NamedTuple):
    """An element that has fewer neighbours than in the training set.

    Attributes:
        element: its symbol.
        atom: index of the atom that has fewest; None where it is the average over all atoms of the element that is too small.
        count: neighbours within the cutoff, of the atom or on average.
        limit: the fewest of the training set, of an atom or on average.
        cutoff: in Angstrom.
    """

    element: str
    atom: int | None
    count: float
    limit: float
    cutoff: float

    @property
    def subject(self) -> tuple[str, ...]:
        """Key of this kind of excursion, of which there is one warning."""
        return (self.element,)

    def __str__(self):
        if self.atom is None:
            return (
                f"{self.element} has {self.count:.1f} neighbours within {self.cutoff:g} Å on average over its atoms, fewer than "
                f"the {self.limit:.1f} where its training set ends"
            )
        number = f"{self.count:.0f} neighbour{'' if self.count == 1 else 's'}" if self.count else "no neighbour"
        return (
            f"{self.element} with {number} within {self.cutoff:g} Å (atom {self.atom}) has fewer than the "
            f"{ceil(self.limit)} where its training set ends"
        )


class UncertainForces(NamedTuple):
    """Forces that the committee is more uncertain of than anywhere in the domain.

    Attributes:
        formula: of the structure.
        atoms: indices of the atoms, the least certain first.
        sigma: largest standard deviation of a force vector in eV/Angstrom.
        limit: the largest in the domain, in eV/Angstrom.
    """

    formula: str
    atoms: tuple[int, ...]
    sigma: float
    limit: float

    @property
    def subject(self) -> tuple[str, ...]:
        """Key of this kind of excursion, of which there is one warning."""
        return ("forces", self.formula)

    def __str__(self):
        more = len(self.atoms) - LISTED
        named = ", ".join(map(str, self.atoms[:LISTED])) + (f" and {more} more" if more > 0 else "")
        many = len(self.atoms) > 1
        return (
            f"the force{'s' if many else ''} on atom{'s' if many else ''} {named} of {self.formula} {'are' if many else 'is'} uncertain by "
            f"{'up to ' if many else ''}{self.sigma:.2g} eV/Å by its committee, where {self.limit:.2g} is the most in its training set"
        )


Excursion = CloseContact | FewNeighbours | UncertainForces


@dataclass(frozen=True)
class Domain:
    """Range of the training set of a model.

    Attributes:
        elements: symbols.
        closest: (species, species) closest approach in Angstrom; 0 for a pair that never met.
        cutoff: in Angstrom.
        fewest: (species, 2) fewest neighbours within the cutoff, of an atom and on average over the atoms of the element in a
            structure; None where the model does not say.
        isolated: whether E0 are energies of isolated atoms, so that an atom without a neighbour is inside the domain.
    """

    elements: tuple[str, ...]
    closest: np.ndarray
    cutoff: float
    fewest: np.ndarray | None = None
    isolated: bool = False

    @cached_property
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

    @property
    def neighbours(self) -> dict[str, tuple[int, float]]:
        """Fewest neighbours within the cutoff of each element of the training set: of an atom, and on average."""
        if self.fewest is None:
            return {}
        return {e: (ceil(n), float(average)) for e, (n, average) in zip(self.elements, self.fewest, strict=True)}

    @property
    def radius(self) -> float:
        """Neighbours are counted up to here, in Angstrom: the cutoff but for rounding."""
        return self.cutoff * (1 - ROUNDING)

    @property
    def reach(self) -> np.ndarray:
        """(species, species) in Angstrom: a pair that is nearer is outside; one that never met, anywhere within the cutoff."""
        return np.where(self.closest == 0, self.cutoff, np.minimum(self.closest * (1 - ROUNDING), self.cutoff))

    def contacts(self, species, i, j, distances) -> list[CloseContact]:
        """The pairs that are outside: for each pair of elements the nearest one, the nearest first.

        Args:
            species: (atoms,) int.
            i, j: (pairs,) int, atoms.
            distances: (pairs,) in Angstrom.
        """
        if not self.known:
            return []
        outside = np.flatnonzero(distances < self.reach[species[i], species[j]])
        outside = outside[np.argsort(distances[outside], kind="stable")]
        found: dict[tuple[int, int], CloseContact] = {}
        for k in outside:
            a, b = sorted((int(species[i[k]]), int(species[j[k]])))
            if (a, b) not in found:
                names, atoms = (self.elements[a], self.elements[b]), (int(i[k]), int(j[k]))
                found[a, b] = CloseContact(names, atoms, float(distances[k]), float(self.closest[a, b]))
        return list(found.values())

    def sparse(self, species, counts) -> list[FewNeighbours]:
        """The elements that have too few neighbours: the atom with fewest, or else the average over all.

        Args:
            species: (atoms,) int.
            counts: (atoms,) neighbours nearer than `radius`.
        """
        found = []
        if self.fewest is None or not self.known:
            return found
        for s in np.unique(species):
            atoms = np.flatnonzero((species == s) & ((counts > 0) | (not self.isolated)))
            if len(atoms) == 0:
                continue
            lowest, (limit, average) = atoms[np.argmin(counts[atoms])], self.fewest[s].tolist()
            name, mean = self.elements[s], float(counts[atoms].mean())
            if counts[lowest] < limit:
                found.append(FewNeighbours(name, int(lowest), float(counts[lowest]), limit, self.cutoff))
            elif mean < average:
                found.append(FewNeighbours(name, None, mean, average, self.cutoff))
        return found


def describe(name: str, excursions: Sequence[Excursion]) -> str:
    """One sentence for a warning or an error."""
    listed = "; ".join(map(str, excursions))
    return (
        f"This structure is outside the range of {name}: {listed}. Energies and forces there are extrapolated; check "
        "the structure, or fine-tune on frames like it (latte_ase.finetune)."
    )
