"""Energies, forces and stress of many structures, in batches of one compiled call each, in order.

Neighbour lists are built on the host while earlier batches are computed.  On a CPU several batches are computed at the
same time, one per core.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from latte_ase.calculator import LatteCalculator
from latte_ase.engine import spatial_chunks
from latte_ase.engine.engine import Engine
from latte_ase.engine.fork import refuse_fork
from latte_ase.engine.output import stress
from latte_ase.geometry import neighbours
from latte_ase.geometry.all_pairs import Frames, frames_of, is_molecule, molecule_pairs
from latte_ase.geometry.batching import Numbered, batches
from latte_ase.geometry.buckets import Buckets
from latte_ase.geometry.graph import Graph, join, pack
from latte_ase.geometry.neighbours import Pairs, neighbour_list
from latte_ase.geometry.structure import Structure
from latte_ase.io.pretrained import load_model
from latte_ase.io.structures import StructureSource, iterate_structures
from latte_ase.model import derivatives
from latte_ase.model.domain import DomainError
from latte_ase.model.potential import Potential

ATOMS_ON_CPU, ATOMS_ON_GPU = 2048, 16384
"""Number of atoms of a batch; on a CPU a batch should fit into the cache of a core."""
DENSE_SHARE = 0.5
"""Fraction of the pairs of a molecule within the cutoff above which all pairs are kept, and only vectors change."""
SECOND_SLACK = 0.4
"""Free space of a second bucket of nearly the same size: structures of similar size then compile at most twice."""
MOLECULES_KEPT = 64
"""Number of molecules whose graphs are kept."""


@dataclass(frozen=True)
class Prediction:
    """Results of a model for one structure.

    Attributes:
        energy: energy in eV.
        energies: (atoms,) site energies in eV.
        forces: (atoms, 3) in eV/Angstrom; None where only energies are computed.
        stress: (6,) in eV/Angstrom^3, Voigt order xx yy zz yz xz xy; None without a volume, or without forces.
    """

    energy: float
    energies: np.ndarray
    forces: np.ndarray | None
    stress: np.ndarray | None


def predict(
    model: Any,
    structures: StructureSource,
    *,
    forces: bool = True,
    batch: int | None = None,
    chunk: int = spatial_chunks.ATOMS,
    device: Any = None,
    dtype: str | None = None,
    progress: Callable | None = None,
) -> Iterator[Prediction]:
    """Energies, forces and stress of many structures, computed in batches.

    Structures are read when they are needed and results are yielded when they are ready, so neither has to fit into
    memory.  The results are those of `LatteCalculator`.

    Args:
        model: a `LatteCalculator`, or what `latte_ase.load_model` takes.
        structures: file that `ase.io.iread` reads, also FILE@INDEX, or iterable of ase.Atoms and files, of any sizes, cells and
            pbc; a structure may be changed after it was yielded.
        forces: whether forces and stress are computed; energies alone take less than half the time.
        batch: number of atoms in a batch; default 2048 on a CPU, 16384 elsewhere.
        chunk: largest number of atoms that is computed in one piece; larger structures are computed in chunks.
        device: as for `LatteCalculator`; default: that of the calculator.
        dtype: as for `LatteCalculator`; default: that of the calculator.
        progress: wrapper of the iteration over structures, for example `rich.progress.track`.

    Returns:
        Iterator of results in the order of the structures.

    Raises:
        FileNotFoundError: there is no such file.
        DomainError: the model is a strict calculator, and a structure is outside its domain.
        ValueError: a structure without atoms, with an unknown element, a position that is not finite or a bad cell; a file that
            ASE cannot read.

    Examples:
        >>> for atoms, result in zip(frames, predict("latte-water", frames)):
        ...     print(len(atoms), result.energy, result.forces)
    """
    if isinstance(model, LatteCalculator):
        same = device is None and dtype in (None, model.engine.dtype.name)
        engine = model.engine if same else Engine(
            model.potential, device=device or model.engine.device, dtype=dtype or model.engine.dtype.name
        )  # fmt: skip
    else:
        engine = Engine(load_model(model), device=device, dtype=dtype or "float32")
    for name, value in (("batch", batch), ("chunk", chunk)):
        if value is not None and value < 1:
            raise ValueError(f"{name} is {value}; 1 atom or more is needed.")
    found = map(Structure.of, iterate_structures(structures, progress=progress))
    if isinstance(model, LatteCalculator) and model.strict:
        found = _inside(model, found)
    return _predict(_Batches(engine, batch, chunk, forces), found)


def _inside(calc: LatteCalculator, structures: Iterable[Structure]) -> Iterator[Structure]:
    """The structures, each looked at by a strict calculator before it goes on."""
    for index, atoms in enumerate(structures):
        try:
            if len(atoms):
                calc.watch_domain(atoms)
        except DomainError as error:
            raise DomainError(f"Structure {index}: {error}") from None
        yield atoms


def _predict(work: _Batches, structures) -> Iterator[Prediction]:
    refuse_fork()
    running: deque = deque()
    done: dict[int, Prediction] = {}
    following = 0
    pool = ThreadPoolExecutor(work.threads)
    try:
        for group in batches(structures, work.atoms):
            if len(group[0].atoms) > work.chunk:
                running.append(pool.submit(work.in_chunks, group[0]))
            else:
                running.append(pool.submit(work.compute, work.prepare(group)))
            while running and (len(running) > work.threads + 1 or running[0].done()):
                done.update(running.popleft().result())
            while following in done:
                yield done.pop(following)
                following += 1
        while running:
            done.update(running.popleft().result())
            while following in done:
                yield done.pop(following)
                following += 1
    finally:
        pool.shutdown(wait=True, cancel_futures=True)  # an iteration that ends early leaves no thread behind


class _Prepared(NamedTuple):
    """A batch on the host.

    Attributes:
        group: its structures.
        species: (atoms,) of all of them.
        place: (atoms,) in the flat order of the graph.
        used: blocks that hold atoms.
        graph: padded arrays.
        pairs: their number.
    """

    group: list[Numbered]
    species: np.ndarray
    place: np.ndarray
    used: np.int32
    graph: Graph
    pairs: int


class _Batches:
    """What happens to a batch: prepared here, computed in another thread, split there."""

    def __init__(self, engine: Engine, atoms: int | None, chunk: int, forces: bool):
        on_cpu = engine.device.platform == "cpu"
        self.engine, self.chunk, self.forces = engine, chunk, forces
        self.atoms = atoms or (ATOMS_ON_CPU if on_cpu else ATOMS_ON_GPU)
        self.threads = engine.threads
        elements = 1 if engine.potential.architecture.shared else len(engine.potential.elements)
        self.blocks = _blocks(elements)
        self.buckets = [
            Buckets(blocks=-(-self.atoms // block) + min(elements, 8), second_slack=SECOND_SLACK)
            for block in self.blocks
        ]
        self._frames: dict[bytes, Frames | None] = {}

    def prepare(self, group: list[Numbered]) -> _Prepared:
        """Pairs and padded arrays."""
        try:
            prepared = self._same_molecule(group) or self._any(group)
        except ValueError as error:
            raise _blame(self.engine.potential, group) or error from None
        self.engine.stats.list_builds += len(group)
        places = prepared.graph.is_atom[: prepared.used].size * sum(g.edges.shape[2] for g in prepared.graph.groups)
        self.engine.stats.padding_waste = 1 - prepared.pairs / max(places, 1)
        return prepared

    def _any(self, group) -> _Prepared:
        sizes = np.array([len(atoms) for _, atoms in group])
        species = self.engine.potential.species(np.concatenate([atoms.numbers for _, atoms in group]))
        pairs = _pairs(group, sizes, self.engine.potential.cutoff)
        kind, grouping = is_molecule(group[0].atoms), self._grouping(species, sizes)
        packed = pack(
            species, pairs, self.buckets[kind].choose, self.engine.dtype, block=self.blocks[kind], grouping=grouping
        )
        return _Prepared(group, species, packed.layout.place, packed.used, packed.graph, len(pairs.i))

    def _same_molecule(self, group) -> _Prepared | None:
        """The same for frames of one molecule, where most of its pairs are within the cutoff."""
        first = group[0].atoms
        if not is_molecule(first):
            return None
        name, copies = first.numbers.tobytes(), max(1, self.atoms // len(first))
        if any(atoms.numbers.tobytes() != name for _, atoms in group):
            return None
        positions = _positions(group)
        species = self.engine.potential.species(first.numbers)
        if name not in self._frames:
            if 2 * len(group) < copies:
                return None  # not worth it
            if len(self._frames) > MOLECULES_KEPT:
                self._frames.clear()
            near = len(molecule_pairs(first.positions, [len(first)], self.engine.potential.cutoff).i)
            self._frames[name] = None
            if near > DENSE_SHARE * len(first) * (len(first) - 1):
                grouping = self._grouping(species, [len(first)])
                self._frames[name] = frames_of(
                    species, copies, self.blocks[True], self.buckets[True].tight, self.engine.dtype, grouping=grouping
                )
        frames = self._frames[name]
        if frames is None:
            return None
        return _Prepared(
            group,
            np.tile(species, len(group)),
            frames.layout.place[: len(positions)],
            np.int32(frames.layout.need.blocks),
            frames.with_positions(positions),
            frames.pairs * len(group) // copies,
        )

    def _grouping(self, species, sizes):
        """For the structure with most elements."""
        elements = len(self.engine.potential.elements)
        present = np.unique(np.repeat(np.arange(len(sizes)), sizes) * elements + species) // elements
        return self.engine.potential.architecture.descriptor.grouping(int(np.bincount(present).max()))

    def compute(self, prepared: _Prepared) -> dict[int, Prediction]:
        """Results by their place in the stream."""
        function = derivatives.derivatives if self.forces else derivatives.energies
        evaluator, shapes = self.engine.evaluator, tuple(g.edges.shape for g in prepared.graph.groups)
        with evaluator.compiling((function, shapes)):
            found = evaluator(function, prepared.graph, used=prepared.used)
        return self._split(prepared, found)

    def in_chunks(self, member: Numbered) -> dict[int, Prediction]:
        """The same for one huge structure."""
        index, atoms = member
        try:
            output = spatial_chunks.evaluate(self.engine, atoms, self.chunk)
        except ValueError as error:
            raise ValueError(f"Structure {index}: {error}") from error
        if not self.forces:
            return {index: Prediction(output.energy, output.energies, None, None)}
        voigt = output.results(neighbours.volume(atoms.cell.array)).get("stress")
        return {index: Prediction(output.energy, output.energies, output.forces, voigt)}

    def _split(self, prepared: _Prepared, found) -> dict[int, Prediction]:
        """Results in the order of the graph, structure by structure."""

        def gather(values):
            return values.reshape(-1, *values.shape[2:])[prepared.place].astype(np.float64)

        sizes = np.array([len(atoms) for _, atoms in prepared.group])
        ends = np.cumsum(sizes)
        starts = ends - sizes
        energies = gather(found.energies if self.forces else found)
        energies += self.engine.potential.reference_energies[prepared.species]
        totals = np.add.reduceat(energies, starts).tolist()
        forces, stresses = None, [None] * len(sizes)
        if self.forces:
            forces, virials = gather(found.forces), np.add.reduceat(gather(found.virials), starts)
            volumes = [neighbours.volume(atoms.cell.array) for _, atoms in prepared.group]
            stresses = [stress(w, v) if v else None for w, v in zip(virials, volumes, strict=True)]
        spans = zip(prepared.group, totals, starts.tolist(), ends.tolist(), stresses, strict=True)
        return {
            index: Prediction(total, energies[start:end], None if forces is None else forces[start:end], voigt)
            for (index, _), total, start, end, voigt in spans
        }


def _blocks(elements: int) -> tuple[int, int]:
    """Atoms per block for structures that are no molecules, and for molecules.

    Large blocks save loops but leave half a block empty for each element, and with many neighbours
    they leave the cache.  Frames of aspirin took 187 microseconds of a core in blocks of 32 and 165 in
    blocks of 64; for dense structures see `graph.choose_block`.
    """
    return (16 if elements <= 12 else 8), (64 if elements <= 4 else 32 if elements <= 8 else 16)


def _positions(group):
    positions = np.concatenate([atoms.positions for _, atoms in group])
    if not np.isfinite(positions).all():
        raise ValueError("A position is not finite.")
    return positions


def _pairs(group, sizes, cutoff) -> Pairs:
    if is_molecule(group[0].atoms):
        return molecule_pairs(_positions(group), sizes, cutoff)
    lists = [neighbour_list(a.positions, a.cell.array, a.pbc, cutoff) for _, a in group]
    return join(lists, sizes)[0]


def _blame(potential: Potential, group) -> ValueError | None:
    """The error of the first structure that has one by itself."""
    for index, atoms in group:
        try:
            potential.species(atoms.numbers)
            neighbour_list(atoms.positions, atoms.cell.array, atoms.pbc, potential.cutoff)
        except ValueError as error:
            return ValueError(f"Structure {index}: {error}")
    return None
