"""What a descriptor is.

A descriptor turns the neighbourhood of an atom into invariants, in one round or in several.  After every round but
the last an atom keeps something, sends something to its neighbours, and has received what they sent:

    own(t), sent(t) = update(t, neighbourhood, own(t-1), sent(t-1) of the neighbours),   features = own(last)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple, Protocol

from latte_ase.geometry.graph import Grouping


class Shared(NamedTuple):
    """A parameter that is the same for all species, and so has no axis of species in `tables`.

    Attributes:
        value: any array.
    """

    value: Any


class Descriptor(Protocol):
    """Hyper-parameters of a descriptor; its parameters live outside, in a pytree.

    A descriptor must give features that are invariant under rotation, inversion, translation and
    exchange of like atoms, that are 0 for an atom without neighbours, and that go to 0 with
    their first two derivatives as a neighbour leaves the cutoff.
    """

    cutoff: float
    """Radius in Angstrom beyond which no neighbour counts in a round."""

    @property
    def n_features(self) -> int:
        """Number of features of an atom."""
        ...

    @property
    def n_rounds(self) -> int:
        """Number of rounds; an atom feels what is within as many cutoffs."""
        ...

    def grouping(self, n_species: int) -> Grouping:
        """How atoms and neighbours are to be sorted for structures of so many elements.

        Always `Grouping.MIXED` for a descriptor whose parameters know of elements by embeddings
        only; then all elements share one network too.
        """
        ...

    def init(self, key, n_species: int) -> Any:
        """Random parameters for so many elements."""
        ...

    def tables(self, params) -> Any:
        """What an atom needs: a pytree of arrays with leading axis (species,), and of `Shared`."""
        ...

    def update(self, step: int, table, edges, neighbour_species, own, received) -> tuple[Any, Any]:
        """One round for a block of atoms.

        Args:
            step: number of the round, from 0.
            table: one row of `tables`, the species of the block; in `Grouping.MIXED` one for
                each atom, (block, ...); and the value of what is `Shared`.
            edges: one array (block, k, 3) per neighbour group, D in Angstrom.
            neighbour_species: the neighbours' species, per group (block,), of a group of all species (block, k).
            own: what these atoms kept, from the round before; None at first.
            received: per group what the neighbours sent, arrays (block, k, ...); None at first.

        Returns:
            What the atoms keep and what they send, pytrees of arrays (block, ...); in the last
            round the features (block, n_features), and None.
        """
        ...

    def project(self, params) -> Any:
        """The parameters moved back into their domain; called after every optimiser step."""
        ...


class Local(ABC):
    """A descriptor of one round: a subclass has `features(table, edges, neighbour_species)`, arguments as in `update`."""

    n_rounds = 1

    def grouping(self, n_species: int) -> Grouping:
        """Blocks and groups of one species, however many there are."""
        return Grouping.SPECIES

    @abstractmethod
    def features(self, table, edges, neighbour_species) -> Any:
        """Invariants (block, n_features)."""

    def update(self, step: int, table, edges, neighbour_species, own, received):
        """The features, and nothing to send."""
        return self.features(table, edges, neighbour_species), None

    def project(self, params):
        """Any parameters are allowed."""
        return params
