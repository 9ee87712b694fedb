"""A structure compared with the domain of use while its pair list is reused: as strict as on a fresh list, and cheap.

A survey looks at all pairs of the list.  It notes those atoms and pairs that could leave the domain before any distance has
changed by the allowance a, and until then only these are looked at.  With G the deformation since the survey, s and S its smallest and
largest singular value, and m the two largest displacements |w_i| of w = u - u_survey G together, a distance d of the survey is
now between s d - m and S d + m.  So a pair that was farther than its limit R by a cannot be nearer than R while

    s (R + a) - m >= R,

and an atom that has enough neighbours nearer than r_c - a keeps enough of them within r_c while

    S (r_c - a) + m <= r_c.

Where either fails there is a new survey.  (Pairs that the list lacks are beyond r_c, by the rule of its reuse.)
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from math import sqrt
from typing import NamedTuple

import numpy as np

from latte_ase.geometry.neighbours import VerletList
from latte_ase.model.domain import ROUNDING, Domain, Excursion, FewNeighbours

ALLOWANCES = (1.0, 0.75, 0.5, 0.25)
"""Of the skin."""
LIFETIME = 12
"""Calls that a list serves in dynamics with the default skin: over these a survey's cost is spread."""


class _NearPairs(NamedTuple):
    """Pairs that are compared in every call: their rows of the list.

    Attributes:
        i, j: (suspects,) int, atoms.
        edge: (suspects, 3) at the list build, Angstrom.
        limits: (suspects,) squared distances in Angstrom^2, a little above those below which they are outside.
    """

    i: np.ndarray
    j: np.ndarray
    edge: np.ndarray
    limits: np.ndarray


class _Survey(NamedTuple):
    """What was seen when all pairs were looked at.

    Attributes:
        displacements: (atoms, 3) u then, Angstrom.
        deformation: (3, 3) F then.
        allowance: a in Angstrom.
        near: pairs that may come too close, one direction of each.
        counts: (atoms,) neighbours that an atom keeps.
        doubtful: (atoms,) bool, which of them may be too few.
        doubtful_elements: symbols of those atoms.
        loose: (pairs,) int, pairs of those atoms.
    """

    displacements: np.ndarray
    deformation: np.ndarray
    allowance: float
    near: _NearPairs
    counts: np.ndarray
    doubtful: np.ndarray
    doubtful_elements: tuple[str, ...]
    loose: np.ndarray


class DomainWatch:
    """Compares a structure with a domain, by means of its pair list.

    Args:
        domain: of the potential.
        species: (atoms,) int.
        verlet: the list, at the potential's cutoff.
    """

    def __init__(self, domain: Domain, species, verlet: VerletList):
        self.domain, self.species, self._verlet = domain, np.asarray(species), verlet
        self._survey: _Survey | None = None
        self._sparse: list[FewNeighbours] | None = None  # of the present survey, when it was last counted
        self._farthest = domain.reach.max()

    @cached_property
    def _reach(self) -> np.ndarray:
        """(pairs,) in Angstrom: a pair that is nearer is outside."""
        pairs = self._verlet.pairs
        return self.domain.reach[self.species[pairs.i], self.species[pairs.j]]

    def excursions(self, displacements, deformation, told: Collection[tuple[str, ...]] = ()) -> list[Excursion]:
        """What is outside now.

        Args:
            displacements: (atoms, 3) u since the list build, Angstrom.
            deformation: (3, 3) F since then.
            told: subjects that need not be looked at again: where all elements that may have too few neighbours are among
                them, those found at the last survey stand for those of now.
        """
        if not self.domain.known:
            return []
        survey = self._survey
        if survey is None or not self._serves(survey, displacements, deformation):
            survey = self._survey = self._look_at_all(displacements, deformation)
            self._sparse = None
        found: list[Excursion] = []
        near = survey.near
        if len(near.i):
            squares = _squares(near.i, near.j, near.edge, displacements, deformation)
            if (squares < near.limits).any():
                found += self.domain.contacts(self.species, near.i, near.j, np.sqrt(squares))
        if len(survey.doubtful_elements):
            if self._sparse is None or any((element,) not in told for element in survey.doubtful_elements):
                pairs, loose = self._verlet.pairs, survey.loose
                centre = pairs.i[loose]
                squares = _squares(centre, pairs.j[loose], pairs.edge[loose], displacements, deformation)
                now = np.bincount(centre[squares < self.domain.radius**2], minlength=len(self.species))
                self._sparse = self.domain.sparse(self.species, np.where(survey.doubtful, now, survey.counts))
            found += self._sparse
        return found

    def _serves(self, survey: _Survey, displacements, deformation) -> bool:
        """Whether what the survey left out is still inside."""
        smallest = largest = 1.0
        moved = survey.displacements
        if not (deformation == survey.deformation).all():
            change = np.linalg.solve(survey.deformation, deformation)
            largest, _, smallest = np.linalg.svd(change, compute_uv=False)
            moved = moved @ change
        moved = displacements - moved
        squares = np.einsum("ia,ia->i", moved, moved)
        if len(squares) == 1:  # an atom alone meets its own images, which move with it
            return self._allows(survey.allowance, 0.0, smallest, largest)
        # twice the largest motion is a bound that costs less than the sum of the two largest
        return self._allows(survey.allowance, 2 * sqrt(squares.max()), smallest, largest) or self._allows(
            survey.allowance, float(np.sqrt(np.partition(squares, -2)[-2:]).sum()), smallest, largest
        )

    def _allows(self, allowance: float, motion: float, smallest: float, largest: float) -> bool:
        """Whether two atoms may approach or part by `motion` where the cell was scaled by factors between these."""
        radius = self.domain.radius
        if smallest * allowance - motion < max(1 - smallest, 0) * self._farthest:
            return False
        return self.domain.fewest is None or largest * (radius - allowance) + motion <= radius

    def _look_at_all(self, displacements, deformation) -> _Survey:
        pairs = self._verlet.pairs
        still = not displacements.any() and (deformation == np.eye(3)).all()
        squares = _squared(pairs.edge) if still else _squares(pairs.i, pairs.j, pairs.edge, displacements, deformation)
        forward, best = pairs.i <= pairs.j, None
        for share in ALLOWANCES:
            allowance = share * self._verlet.skin
            near = np.flatnonzero(forward & (squares < (self._reach + allowance) ** 2))
            counts, doubtful = self._counts(squares, allowance)
            loose = np.flatnonzero(doubtful[pairs.i]) if doubtful.any() else np.zeros(0, np.int64)
            cost = len(near) + len(loose) + len(squares) * (1 / share - 1) / LIFETIME
            if best is None or cost < best[0]:
                best = cost, (allowance, near, counts, doubtful, loose)
            if len(squares) * (1 / share - 1) / LIFETIME > best[0]:
                break
        assert best is not None
        allowance, near, counts, doubtful, loose = best[1]
        rows = _NearPairs(pairs.i[near], pairs.j[near], pairs.edge[near], self._reach[near] ** 2 * (1 + ROUNDING))
        elements = tuple(self.domain.elements[s] for s in np.unique(self.species[doubtful]))
        return _Survey(displacements.copy(), deformation.copy(), allowance, rows, counts, doubtful, elements, loose)

    def _counts(self, squares, allowance: float):
        """(atoms,) neighbours that stay until the next survey, and (atoms,) whether they, or those of the element on average, may
        be too few."""
        fewest, species = self.domain.fewest, self.species
        if fewest is None:
            return np.zeros(len(species), np.int64), np.zeros(len(species), bool)
        near = squares < max(self.domain.radius - allowance, 0) ** 2
        counts = np.bincount(self._verlet.pairs.i[near], minlength=len(species))
        atoms = np.bincount(species, minlength=len(fewest))
        average = np.bincount(species, counts, minlength=len(fewest)) / np.maximum(atoms, 1)
        return counts, (counts < fewest[species, 0]) | (average < fewest[:, 1])[species]


def _squares(i, j, edge, displacements, deformation) -> np.ndarray:
    """(pairs,) squared distances in Angstrom^2 now, of pairs with these edges at the list build."""
    edges = edge @ deformation
    edges += displacements[j]
    edges -= displacements[i]
    return _squared(edges)


def _squared(edges) -> np.ndarray:
    return np.einsum("pa,pa->p", edges, edges)
