"""Energies, forces and stress of many structures: batches, one compiled call each, in order.

The list of pairs is made on the host while the batches before are computed.  On a CPU several
batches are computed at once, one per core: one batch is too small to keep two cores busy.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import jax
import numpy as np
from ase import Atoms
from ase.io import iread
from ase.stress import full_3x3_to_voigt_6_stress

from latte_ase.calculator import LatteCalculator
from latte_ase.engine import spatial_chunks
from latte_ase.engine.engine import Engine
from latte_ase.engine.fork import refuse_fork
from latte_ase.engine.jit import Traces, jit
from latte_ase.geometry import neighbours
from latte_ase.geometry.all_pairs import Frames, frames_of, is_molecule, molecule_pairs
from latte_ase.geometry.batching import Numbered, Shapes, batches
from latte_ase.geometry.graph import Graph, Shape, fill, join, lay_out
from latte_ase.geometry.neighbours import Pairs, neighbour_list
from latte_ase.io.pretrained import load_model
from latte_ase.model import derivatives
from latte_ase.model.domain import DomainError
from latte_ase.model.potential import Architecture, Potential, device_constants

ATOMS_ON_CPU, ATOMS_ON_GPU = 2048, 16384
"""Atoms of a batch.  On a CPU a batch should stay in the cache of a core."""
DENSE_SHARE = 0.5
"""Of the pairs of a molecule: where more are within the cutoff, all are kept, and only edges change."""
MOLECULES_KEPT = 64
"""Molecules whose graphs are kept."""


@dataclass(frozen=True)
class Prediction:
    """What a model says about one structure.

    Attributes:
        energy: eV.
        energies: (atoms,) eV, site energies.
        forces: (atoms, 3) eV/Angstrom, or None where only energies were asked for.
        stress: (6,) eV/Angstrom^3, Voigt order xx yy zz yz xz xy; None without a volume, or as forces.
    """

    energy: float
    energies: np.ndarray
    forces: np.ndarray | None
    stress: np.ndarray | None


def predict(
    model: Any,
    structures: str | Path | Atoms | Iterable[Atoms | str | Path],
    *,
    forces: bool = True,
    batch: int | None = None,
    chunk: int = spatial_chunks.ATOMS,
    device=None,
    dtype: str | None = None,
    progress: Callable | None = None,
) -> Iterator[Prediction]:
    """Results for thousands of structures, much faster than one after the other.

    >>> for atoms, result in zip(frames, predict("latte-water", frames)):
    ...     print(len(atoms), result.energy, result.forces)

    Structures are read as they are needed and results come as they are ready, so that neither has
    to fit into memory.  The numbers are those of `LatteCalculator`.

    Args:
        model: a `LatteCalculator`, or what `latte_ase.load_model` takes.
        structures: file that `ase.io.iread` reads, or iterable of ase.Atoms and files, of any sizes, cells and pbc.
        forces: also forces and stress; energies alone take less than half the time.
        batch: atoms computed at once; default 2048 on a CPU, 16384 elsewhere.
        chunk: a structure of more atoms than this is computed in pieces of so many, in little memory.
        device, dtype: as for `LatteCalculator`; default: the calculator's own.
        progress: wraps the iteration over structures, for example `rich.progress.track`.

    Returns:
        Iterator of `Prediction` in the order of the structures.

    Raises:
        FileNotFoundError: there is no such file.
        DomainError: the model is a strict calculator, and a structure is outside its domain; says which one.
        ValueError: a structure without atoms, with an unknown element, a position that is not finite or a
            bad cell; says which one.
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
    show = progress or iter
    if isinstance(structures, (str, Path, Atoms)):
        found = show(_opened(structures))
    else:
        found = chain.from_iterable(map(_opened, show(structures)))
    if isinstance(model, LatteCalculator) and model.strict:
        found = _inside(model, found)
    return _predict(_Batches(engine, batch, chunk, forces), found)


def _opened(item) -> Iterable[Atoms]:
    """The structure, or those of the file, one after the other."""
    if not isinstance(item, (str, Path)):
        return (item,)
    path = Path(item).expanduser()
    if not path.exists():
        raise FileNotFoundError(f"There is no file {item}. Give the path of a file of structures.")
    return iread(path, ":")


def _inside(calc: LatteCalculator, structures: Iterable[Atoms]) -> Iterator[Atoms]:
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

    def finish():
        results, calls, compilations = running.popleft().result()
        work.engine.stats.calls += calls
        work.engine.stats.compilations += compilations
        done.update(results)

    try:
        for group in batches(structures, work.atoms):
            if len(group[0].atoms) > work.chunk:
                running.append(pool.submit(work.in_chunks, group[0]))
            else:
                running.append(pool.submit(work.compute, work.prepare(group)))
            while running and (len(running) > work.threads + 1 or running[0].done()):
                finish()
            while following in done:
                yield done.pop(following)
                following += 1
        while running:
            finish()
            while following in done:
                yield done.pop(following)
                following += 1
    finally:
        pool.shutdown(wait=True, cancel_futures=True)  # whoever breaks off leaves no thread behind


class _Prepared(NamedTuple):
    """A batch on the host."""

    group: list[Numbered]
    sizes: np.ndarray
    species: np.ndarray
    place: np.ndarray
    used: int
    shape: Shape
    graph: Graph


class _Batches:
    """What happens to a batch: prepared here, computed in another thread, split here."""

    def __init__(self, engine: Engine, atoms: int | None, chunk: int, forces: bool):
        on_cpu = engine.device.platform == "cpu"
        self.engine, self.chunk, self.forces = engine, chunk, forces
        self.atoms = atoms or (ATOMS_ON_CPU if on_cpu else ATOMS_ON_GPU)
        self.threads = engine.threads
        elements = 1 if engine.potential.architecture.shared else len(engine.potential.elements)
        self.blocks = _blocks(elements)
        extra = min(elements, 8)
        self.shapes = tuple(Shapes(-(-self.atoms // block) + extra) for block in self.blocks)
        self.on_cpu = on_cpu
        self._frames: dict[bytes, Frames | None] = {}
        self._compiled: set[Shape] = set()
        self._compiling = Lock()
        with engine.precision():
            weights = (engine.potential.params, device_constants(engine.potential))
            cast = jax.tree.map(lambda a: np.asarray(a, engine.dtype), weights)
            self.weights = jax.device_put(cast, engine.device)

    def prepare(self, group: list[Numbered]) -> _Prepared:
        """Pairs and padded arrays."""
        try:
            prepared, pairs = self._same_molecule(group) or self._any(group)
        except ValueError as error:
            raise _blame(self.engine.potential, group) or error from None
        self.engine.stats.list_builds += len(group)
        self.engine.stats.padding_waste = 1 - pairs / max(prepared.shape.places, 1)
        return prepared

    def _any(self, group) -> tuple[_Prepared, int]:
        sizes = np.array([len(atoms) for _, atoms in group])
        species = self.engine.potential.species(np.concatenate([atoms.numbers for _, atoms in group]))
        pairs = _pairs(group, sizes, self.engine.potential.cutoff)
        kind = is_molecule(group[0].atoms)
        layout = lay_out(species, pairs, self.blocks[kind], grouping=self._grouping(species, sizes))
        shape = self.shapes[kind].choose(layout.need)
        graph = fill(layout, pairs, 0, shape, self.engine.dtype)
        return _Prepared(group, sizes, species, layout.place, layout.need.blocks, shape, graph), len(pairs.i)

    def _same_molecule(self, group) -> tuple[_Prepared, int] | None:
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
                choose = partial(self.shapes[True].choose, exact=True)
                grouping = self._grouping(species, [len(first)])
                self._frames[name] = frames_of(
                    species, copies, self.blocks[True], choose, self.engine.dtype, grouping=grouping
                )
        frames = self._frames[name]
        if frames is None:
            return None
        sizes, species = np.full(len(group), len(first)), np.tile(species, len(group))
        place = frames.layout.place[: len(positions)]
        prepared = _Prepared(
            group, sizes, species, place, frames.layout.need.blocks, frames.shape, frames.with_positions(positions)
        )
        return prepared, frames.pairs * len(group) // copies

    def _grouping(self, species, sizes):
        """For the structure with most elements."""
        elements = len(self.engine.potential.elements)
        present = np.unique(np.repeat(np.arange(len(sizes)), sizes) * elements + species) // elements
        return self.engine.potential.architecture.descriptor.grouping(int(np.bincount(present).max()))

    def compute(self, prepared: _Prepared):
        """Results by their place in the stream; calls and compilations it took."""
        shape = prepared.shape
        if shape in self._compiled:
            result, compilations = self._call(prepared.graph, prepared.used)
        else:
            with self._compiling:  # two threads would compile the same function twice
                result, compilations = self._call(prepared.graph, prepared.used)
                self._compiled.add(shape)
        return self._split(prepared, result), 1, compilations

    def in_chunks(self, member: Numbered):
        """The same for one huge structure."""
        index, atoms = member
        try:
            output = spatial_chunks.evaluate(self.engine, atoms, self.chunk)
        except ValueError as error:
            raise ValueError(f"Structure {index}: {error}") from error
        volume, forces = neighbours.volume(atoms.cell.array), None
        stress = _stress(output.virial, volume) if self.forces and volume else None
        if self.forces:
            forces = output.forces
        return {index: Prediction(output.energy, output.energies, forces, stress)}, 0, 0

    def _call(self, graph, used):
        before = _traces.count
        function = _derivatives if self.forces else _energies
        dtype, blocks = self.engine.dtype, len(graph.species)
        # a CPU computes the blocks in use one by one, in its cache; a GPU all together
        at_once, used = (1, np.int32(used)) if self.on_cpu else (blocks, None)
        rest, unit = np.zeros((*graph.is_atom.shape, 3), dtype), np.eye(3, dtype=dtype)[None]
        with self.engine.precision():
            result = function(
                self.engine.potential.architecture, at_once, *self.weights, graph, rest, unit, used
            )  # fmt: skip
            result = jax.device_get(result)
        return result, _traces.count - before

    def _split(self, prepared: _Prepared, result) -> dict[int, Prediction]:
        def gather(values):
            return values.reshape(-1, *values.shape[2:])[prepared.place].astype(np.float64)

        ends = np.cumsum(prepared.sizes)
        starts = ends - prepared.sizes
        energies = gather(result[0]) + self.engine.potential.reference_energies[prepared.species]
        totals = np.add.reduceat(energies, starts).tolist()
        forces = gather(result[1]) if self.forces else None
        stresses: list = [None] * len(ends)
        volumes = neighbours.volume(np.array([atoms.cell.array for _, atoms in prepared.group]))
        if self.forces and volumes.any():
            virials = np.add.reduceat(gather(result[2]), starts)
            stresses = [_stress(w, v) if v else None for w, v in zip(virials, volumes, strict=True)]
        results = {}
        spans = zip(prepared.group, totals, starts.tolist(), ends.tolist(), stresses, strict=True)
        for (index, _), total, start, end, stress in spans:
            own = None if forces is None else forces[start:end]
            results[index] = Prediction(total, energies[start:end], own, stress)
        return results


def _blocks(elements: int) -> tuple[int, int]:
    """Atoms per block for structures that are no molecules, and for molecules.

    Large blocks save loops but leave half a block empty for each element, and with many neighbours
    they leave the cache.  Frames of aspirin took 187 microseconds of a core in blocks of 32 and 165 in
    blocks of 64; for dense structures see `graph.choose_block`.
    """
    return (16 if elements <= 12 else 8), (64 if elements <= 4 else 32 if elements <= 8 else 16)


def _stress(virial, volume):
    return full_3x3_to_voigt_6_stress(virial) / volume


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


_traces = Traces()


@partial(jit, static_argnums=(0, 1))
def _derivatives(architecture: Architecture, at_once, *arrays_and_used):
    _traces.count += 1
    *arrays, used = arrays_and_used
    return tuple(derivatives.derivatives(architecture, *arrays, used=used, at_once=at_once))


@partial(jit, static_argnums=(0, 1))
def _energies(architecture: Architecture, at_once, *arrays_and_used):
    _traces.count += 1
    *arrays, used = arrays_and_used
    return (derivatives.energies(architecture, *arrays, used=used, at_once=at_once),)
