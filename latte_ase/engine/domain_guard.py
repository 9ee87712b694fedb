"""Guard of a calculator: compares structures with the domain of use, and warns or raises where they are outside."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

from ase import Atoms

from latte_ase.engine import spatial_chunks
from latte_ase.engine.committee_watch import CommitteeWatch
from latte_ase.engine.engine import Engine
from latte_ase.geometry.structure import Structure
from latte_ase.model.domain import DomainError, DomainWarning, Excursion, describe


class DomainGuard:
    """Checks of structures one after the other, with a warning for each way to be outside that was not met before.

    Args:
        strict: whether `DomainError` is raised instead, every time.
        chunk: number of atoms above which distances and neighbours are found in chunks, and the committee is not asked.
    """

    def __init__(self, *, strict: bool, chunk: int | None):
        self._strict, self._chunk = strict, chunk
        self._warned: set[tuple[str, ...]] = set()
        self._committee = CommitteeWatch(strict=strict)

    def check(self, engine: Engine, atoms: Atoms | Structure, member_forces: Callable | None = None) -> None:
        """Compare distances, numbers of neighbours, and now and then the committee's forces, with the domain.

        Args:
            engine: of the potential.
            atoms: the structure.
            member_forces: function of a number of members that gives their forces (members, atoms, 3); default the engine's.
        """
        excursions = self._excursions(engine, atoms)
        if not excursions and not self._in_chunks(atoms):  # one that is outside already needs no committee to say so
            excursions = self._committee.excursions(engine, atoms, member_forces)
        self._tell(engine, excursions)

    def check_geometry(self, engine: Engine, atoms: Atoms | Structure) -> None:
        """The same without the committee, where only the energy is wanted: forces of members would take more time."""
        self._tell(engine, self._excursions(engine, atoms))

    def _in_chunks(self, atoms: Atoms | Structure) -> bool:
        return self._chunk is not None and len(atoms) > self._chunk

    def _excursions(self, engine: Engine, atoms: Atoms | Structure) -> Sequence[Excursion]:
        if self._chunk is not None and len(atoms) > self._chunk:
            return spatial_chunks.excursions(engine, atoms, self._chunk)
        return engine.excursions(atoms, () if self._strict else self._warned)

    def _tell(self, engine: Engine, excursions: Sequence[Excursion]) -> None:
        new = [e for e in excursions if self._strict or e.subject not in self._warned]
        if not new:
            return
        text = describe(engine.potential.metadata.get("name", "this model"), new)
        if self._strict:
            raise DomainError(text)
        self._warned.update(e.subject for e in new)
        # the caller's line is in ASE, many levels up; the text names the model and the atoms instead
        warnings.warn(text, DomainWarning, stacklevel=2)
