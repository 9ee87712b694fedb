"""What a descriptor is."""

from __future__ import annotations

from typing import Any, Protocol


class Descriptor(Protocol):
    """Hyper-parameters of a descriptor; its parameters live outside, in a pytree.

    A descriptor must give features that are invariant under rotation, inversion, translation and
    exchange of like atoms, that are 0 for an atom without neighbours, and that go to 0 with
    their first two derivatives as a neighbour leaves the cutoff.
    """

    cutoff: float
    """Radius in Angstrom beyond which no neighbour counts."""

    @property
    def n_features(self) -> int:
        """Number of features of an atom."""
        ...

    def init(self, key, n_species: int) -> Any:
        """Random parameters for so many elements."""
        ...

    def tables(self, params) -> Any:
        """What an atom of each species needs: a pytree with leading axis (species,)."""
        ...

    def features(self, table, edges, kinds) -> Any:
        """Features of a block of atoms of one species.

        Args:
            table: one row of `tables`.
            edges: one array (block, k, 3) per neighbour group, D in Angstrom.
            kinds: one array (block,) per neighbour group, the neighbours' species.

        Returns:
            (block, n_features).
        """
        ...

    def project(self, params) -> Any:
        """The parameters moved back into their domain; called after every optimiser step."""
        ...
