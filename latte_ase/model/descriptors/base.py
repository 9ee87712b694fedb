"""Protocol of a descriptor.

A descriptor computes invariants of the neighbourhood of an atom, in one or several rounds of message passing.  After
every round but the last an atom has a state, and sends a message to its neighbours:

    own(t), sent(t) = update(t, neighbourhood, own(t-1), sent(t-1) of the neighbours),   features = own(last)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple, Protocol

from latte_ase.geometry.graph import Grouping


class Shared(NamedTuple):
    """Parameter that is the same for all species, and therefore has no axis of species in `tables`.

    Attributes:
        value: array of any shape.
    """

    value: Any


class Descriptor(Protocol):
    """Hyper-parameters of a descriptor and the functions of its parameters, which are a separate pytree.

    The features must be invariant under rotation, inversion, translation and permutation of atoms of one
    element; they must be 0 for an atom without neighbours; and the contribution of a neighbour must go to 0
    with its first two derivatives at the cutoff.
    """

    cutoff: float
    """Cutoff radius of a round in Angstrom."""

    @property
    def n_features(self) -> int:
        """Number of features of an atom."""
        ...

    @property
    def n_rounds(self) -> int:
        """Number of rounds of message passing; the interaction range is as many cutoffs."""
        ...

    def grouping(self, n_species: int) -> Grouping:
        """Grouping of atoms and neighbours by species in a structure of `n_species` elements.

        It is always `Grouping.MIXED` for a descriptor whose parameters depend on elements only through element
        vectors; all elements then share one network too.
        """
        ...

    def init(self, key, n_species: int) -> Any:
        """Random parameters for `n_species` elements, a pytree of arrays."""
        ...

    def tables(self, params) -> Any:
        """Parameters by species: a pytree of arrays with leading axis (species,), and of `Shared` ones."""
        ...

    def update(self, step: int, table, edges, neighbour_species, own, received) -> tuple[Any, Any]:
        """One round for a block of atoms.

        Args:
            step: number of the round, from 0.
            table: row of `tables` of the species of the block, or with `Grouping.MIXED` one row for each
                atom, (block, ...); of `Shared` parameters the value.
            edges: one array (block, k, 3) of pair vectors D per neighbour group, in Angstrom.
            neighbour_species: species of the neighbours, one array per group: (block,), or (block, k) where a
                group holds all species.
            own: state of these atoms after the round before; None in the first round.
            received: messages of the neighbours from the round before, per group a pytree of arrays
                (block, k, ...); None in the first round.

        Returns:
            State and message of the atoms, pytrees of arrays (block, ...); after the last round the
            features (block, n_features) and None.
        """
        ...

    def project(self, params) -> Any:
        """Parameters projected onto their allowed range; called after every step of the optimiser."""
        ...


class Local(ABC):
    """Base class of descriptors of one round; a subclass defines `features`."""

    n_rounds = 1

    def grouping(self, n_species: int) -> Grouping:
        """Blocks and neighbour groups of one species each, for any number of species."""
        return Grouping.SPECIES

    @abstractmethod
    def features(self, table, edges, neighbour_species) -> Any:
        """Invariants (block, n_features); arguments as in `Descriptor.update`."""

    def update(self, step: int, table, edges, neighbour_species, own, received):
        """Features and no message, see `Descriptor.update`."""
        return self.features(table, edges, neighbour_species), None

    def project(self, params):
        """Parameters unchanged: their range is not limited."""
        return params
