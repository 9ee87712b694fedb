"""Evaluation of one large structure in chunks of its atoms.

A chunk is a region of space with its own atoms and copies of all that are within the potential's
reach of them.  The energy of its own atoms depends on nothing else, so with g_ij = dE/dD_ij of
the sum E of their energies,

    F_i += SUM_j g_ij,     F_j -= g_ij,     W += SUM_ij g_ij (x) D_ij

summed over all chunks gives what one graph of everything gives.  Pairs are listed chunk by chunk;
only positions and results exist for all atoms.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import NamedTuple

import jax
import numpy as np

from latte_ase.engine import out_of_memory
from latte_ase.engine.engine import Engine
from latte_ase.engine.output import Output
from latte_ase.engine.parts import of_each, split
from latte_ase.geometry.buckets import Buckets, parts_of
from latte_ase.geometry.graph import Packed, pack
from latte_ase.geometry.neighbours import Pairs, complete_cell, neighbour_list, reduction
from latte_ase.model.derivatives import pair_gradients
from latte_ase.model.domain import CloseContact, Excursion
from latte_ase.model.message_passing import PairGradients
from latte_ase.model.potential import Architecture
from latte_ase.model.program import AT_REST

ATOMS = 50_000
"""Atoms of a chunk.  Fewer need less memory, but list more atoms twice: a shell of one cutoff around each."""
BLOCK = 16


class Chunk(NamedTuple):
    """A region of a structure.

    Attributes:
        own: (own,) int, the atoms whose energies are computed here.
        atom: (own + others,) int, the atoms near them, their own first; an atom comes once for each image.
        positions: (own + others, 3) of these images, in Angstrom.
    """

    own: np.ndarray
    atom: np.ndarray
    positions: np.ndarray


def regions(fractional, lengths, atoms: int) -> list[np.ndarray]:
    """Atoms divided into regions of equal number, always across the longest direction.

    Args:
        fractional: (atoms, 3) coordinates.
        lengths: (3,) what one unit of each is in Angstrom.
        atoms: that a region may have.

    Returns:
        For each region (own,) int in ascending order; every atom is in one of them.
    """

    def divide(chosen, parts):
        if parts == 1:
            yield np.sort(chosen)
            return
        here = fractional[chosen]
        axis = int(np.argmax((here.max(axis=0) - here.min(axis=0)) * lengths))
        first = parts // 2
        border = len(chosen) * first // parts
        order = np.argpartition(here[:, axis], border)
        yield from divide(chosen[order[:border]], first)
        yield from divide(chosen[order[border:]], parts - first)

    return list(divide(np.arange(len(fractional)), -(-len(fractional) // atoms)))


def chunks(positions, cell, pbc, cutoff: float, atoms: int) -> Iterator[Chunk]:
    """The regions of a structure, each with everything within the cutoff, also across the borders of the cell.

    Args:
        positions: (atoms, 3) in Angstrom, anywhere.
        cell: (3, 3), rows are vectors; rows of non-periodic directions may be anything.
        pbc: (3,) bool.
        cutoff: in Angstrom.
        atoms: own atoms that a chunk may have.
    """
    pbc = np.broadcast_to(np.asarray(pbc, bool), 3)
    cell = complete_cell(cell, pbc)
    change = reduction(cell, pbc)  # only where the images are matters here, not which vectors count them
    cell = cell if change is None else change @ cell
    inverse = np.linalg.inv(cell)
    heights = 1 / np.linalg.norm(inverse, axis=0)  # between opposite faces of the cell
    fractional = positions @ inverse
    wraps = np.where(pbc, np.floor(fractional), 0.0)
    fractional -= wraps
    wrapped = positions - wraps @ cell
    reach = cutoff * (1 + 1e-9) / heights + 1e-12
    for own in regions(fractional, heights, atoms):
        here = fractional[own]
        low, high = here.min(axis=0) - reach, here.max(axis=0) + reach
        cells = [
            range(int(np.floor(a)), int(np.floor(b)) + 1) if periodic else range(1)
            for a, b, periodic in zip(low, high, pbc, strict=True)
        ]
        atom, where = [own], [wrapped[own]]
        for image in product(*cells):
            near = np.ones(len(fractional), bool)
            for x, a, b, s in zip(fractional.T, low, high, image, strict=True):
                near &= (x >= a - s) & (x <= b - s)
            if not any(image):
                near[own] = False
            found = np.flatnonzero(near)
            atom.append(found)
            where.append(wrapped[found] + np.array(image, float) @ cell)
        yield Chunk(own, np.concatenate(atom), np.concatenate(where))


class _Work(NamedTuple):
    """A chunk ready to be computed.

    Attributes:
        chunk: where it is.
        i, j: (pairs,) int, centres and neighbours among the atoms of the chunk.
        packed: those atoms whose surroundings matter; only own ones count.
    """

    chunk: Chunk
    i: np.ndarray
    j: np.ndarray
    packed: Packed


def evaluate(engine: Engine, atoms, atoms_per_chunk: int = ATOMS) -> Output:
    """Energies, forces and virial as of `Engine.evaluate`, in the memory of one chunk.

    Args:
        engine: of the potential; its list is neither used nor changed.
        atoms: the structure; not changed.
        atoms_per_chunk: atoms computed at a time.

    Raises:
        ValueError: as `Engine.evaluate`; `atoms_per_chunk` below 1.
        MemoryError: even a chunk is too large; says how many atoms would fit.
    """
    if atoms_per_chunk < 1:
        raise ValueError(f"atoms_per_chunk is {atoms_per_chunk}; 1 atom or more is needed.")
    if len(atoms) == 0:
        raise ValueError("The structure has no atoms; at least one is needed.")
    _refuse_what_is_not_finite(atoms.positions)
    potential = engine.potential
    species = potential.species(atoms.numbers)
    energies = potential.reference_energies[species]
    forces, virial = np.zeros((len(atoms), 3)), np.zeros((3, 3))
    blocks = min(len(atoms), atoms_per_chunk) // BLOCK + 2 * len(np.unique(species)) + 1  # one shape for all chunks
    buckets = Buckets(blocks=blocks, threads=_threads(engine), second_slack=0.4)

    def add(work, future):
        found = future.result()
        energies[work.chunk.own] += work.packed.gather(found.energies)[: len(work.chunk.own)]
        g = work.packed.gather_pairs(work.i, found.gradients).astype(np.float64)
        outward, inward = (
            np.column_stack([np.bincount(k, c, minlength=len(work.chunk.atom)) for c in g.T]) for k in (work.i, work.j)
        )
        np.add.at(forces, work.chunk.atom, outward - inward)  # in the order of the list: the same at every call
        return work.packed.gather(found.virials).sum(axis=0)

    with ThreadPoolExecutor(1) as pool:
        running = None
        reach = potential.architecture.interaction_range
        for chunk in chunks(atoms.positions, atoms.cell.array, atoms.pbc, reach, atoms_per_chunk):
            work = _prepare(chunk, species, potential.architecture, buckets, engine.dtype)  # while the last is computed
            if running is not None:
                virial += add(*running)
            running = work, pool.submit(_compute, engine, work)
        assert running is not None
        virial += add(*running)
    return Output(energies, forces, virial)


def excursions(engine: Engine, atoms, atoms_per_chunk: int = ATOMS) -> list[Excursion]:
    """Excursions as of `Engine.excursions`, in the memory of one chunk; arguments and errors as `evaluate`."""
    _refuse_what_is_not_finite(atoms.positions)
    domain, species = engine.domain, engine.potential.species(atoms.numbers)
    if not domain.known:
        return []
    present = np.unique(species)
    reach = domain.reach[np.ix_(present, present)].max()
    if domain.fewest is not None:
        reach = max(reach, domain.radius)
    nearest: dict[tuple[str, str], CloseContact] = {}
    counts = np.zeros(len(atoms), np.int64)
    for chunk in chunks(atoms.positions, atoms.cell.array, atoms.pbc, reach, atoms_per_chunk):
        i, j, _, edge, _ = neighbour_list(chunk.positions, np.zeros((3, 3)), False, reach)
        distances = np.linalg.norm(edge, axis=1)
        mine = (i < len(chunk.own)) & (distances < domain.radius)
        counts[chunk.own] = np.bincount(i[mine], minlength=len(chunk.own))
        for found in domain.contacts(species, chunk.atom[i], chunk.atom[j], distances):
            known = nearest.get(found.elements)
            if known is None or found.distance < known.distance:
                nearest[found.elements] = found
    close = sorted(nearest.values(), key=lambda contact: contact.distance)
    return [*close, *domain.sparse(species, counts)]


def _refuse_what_is_not_finite(positions):
    """Raise as `neighbour_list` does, which would number the atoms of a chunk."""
    strange = np.flatnonzero(~np.isfinite(positions).all(axis=1))
    if len(strange):
        neighbour_list(positions[: strange[0] + 1], np.zeros((3, 3)), False, 1.0)


def _prepare(chunk: Chunk, species, architecture: Architecture, buckets: Buckets, dtype) -> _Work:
    own, here = len(chunk.own), species[chunk.atom]
    pairs = neighbour_list(chunk.positions, np.zeros((3, 3)), False, architecture.cutoff)
    i, j = pairs.i, pairs.j
    if architecture.descriptor.n_rounds == 1:
        pairs, i, j, here = _of_own_atoms(pairs, own, here)
    grouping = architecture.descriptor.grouping(len(np.unique(here)))
    packed = pack(here, pairs, buckets.choose, dtype, block=BLOCK, grouping=grouping)
    packed.graph.is_atom.reshape(-1)[packed.layout.place[own:]] = 0
    return _Work(chunk, i, j, packed)


def _of_own_atoms(pairs: Pairs, own: int, species):
    """The pairs of own atoms, in the chunk's graph and as (i, j) of the chunk, and the species of that graph.

    A neighbour matters by its species alone, so one atom of each stands for all of that species.
    """
    mine = pairs.i < own
    i, j = pairs.i[mine], pairs.j[mine]
    present = np.unique(species)
    stand_in = own + np.searchsorted(present, species)
    none = np.broadcast_to(np.int64(0), (len(i), 3))
    mine = Pairs(i, stand_in[j], none, pairs.edge[mine], np.arange(len(i)))
    return mine, i, j, np.concatenate([species[:own], present])


def _threads(engine: Engine) -> int:
    """Parts of a chunk's graph; with several rounds they would need each other."""
    return engine.threads if engine.potential.architecture.descriptor.n_rounds == 1 else 1


def _compute(engine: Engine, work: _Work) -> PairGradients:
    """Pair gradients of a chunk, as NumPy arrays of the blocks in use."""
    evaluator, packed = engine.evaluator, work.packed
    parts = split(packed.graph, int(packed.used), parts_of(packed.shape.blocks, _threads(engine)))
    with (
        out_of_memory.explained(len(work.chunk.own), len(work.i), device=engine.device, dtype=engine.dtype),
        evaluator.counted(),
    ):
        found = of_each(evaluator, pair_gradients, parts, AT_REST)
        used = [jax.tree.map(lambda a, p=p: np.asarray(a)[: p.used], r) for r, p in zip(found, parts, strict=True)]
        return jax.tree.map(lambda *a: np.concatenate(a), *used)
