"""Labelled structures: reading, checking, and batches for the device.

Labels are looked for where ASE puts them, in `atoms.calc`; energies are total energies in eV.
Neighbour lists are built once per frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms
from ase.io import read

from latte_ase.graph import Arrangement, Graph, Shape, capacity, choose_block, fill, join, lay_out
from latte_ase.neighbours import Pairs, neighbour_list, volume
from latte_ase.potential import Potential

MORE = 100
"""Times as many frames as there are: how far dynamics should go before they leave the domain of their training set."""
TAIL = 20
"""Frames whose shortest distances say how the distribution ends."""
MOST = 0.05
"""Of a distance, that it is extrapolated at most."""


@dataclass(frozen=True)
class Frame:
    """One structure with its labels and its pairs.

    Attributes:
        species: (atoms,) index into the model's elements.
        pairs: within the cutoff, or a little more.
        energy: eV, or None.
        forces: (atoms, 3) eV/Angstrom, or None.
        stress: (3, 3) eV/Angstrom^3, or None.
        volume: Angstrom^3; 1 where the cell has none.
    """

    species: np.ndarray
    pairs: Pairs
    energy: float | None
    forces: np.ndarray | None
    stress: np.ndarray | None
    volume: float


class Batch(NamedTuple):
    """A graph of several structures and its labels; a weight of 0 stands for "no label".

    Attributes:
        graph: the structures.
        energy: (structures,) eV, without E0.
        n_atoms: (structures,) float; 1 where padded.
        forces: (blocks, block, 3) eV/Angstrom.
        stress: (structures, 3, 3) eV/Angstrom^3.
        volume: (structures,) Angstrom^3.
        has_energy, has_stress: (structures,) 0 or 1.
        has_forces: (blocks, block) 0 or 1.
    """

    graph: Graph
    energy: np.ndarray
    n_atoms: np.ndarray
    forces: np.ndarray
    stress: np.ndarray
    volume: np.ndarray
    has_energy: np.ndarray
    has_forces: np.ndarray
    has_stress: np.ndarray


def read_frames(source, index: str = ":") -> list[Atoms]:
    """Structures from a file that `ase.io.read` knows, or from an iterable of Atoms and files.

    Raises:
        FileNotFoundError, ValueError: no file; no structure in it.
    """
    if isinstance(source, Atoms):
        return [source]
    if isinstance(source, (str, Path)):
        path = Path(source).expanduser()
        if not path.exists():
            raise FileNotFoundError(f"There is no file {source}. Give the path of a file of labelled structures.")
        frames = read(path, index)
        frames = [frames] if isinstance(frames, Atoms) else list(frames)
    else:
        frames = [atoms for item in source for atoms in read_frames(item, index)]
    if not frames:
        raise ValueError(f"{source} holds no structure; at least one is needed.")
    return frames


def label(atoms: Atoms, name: str) -> Any:
    """A stored result of `atoms`, or None; nothing is computed."""
    return None if atoms.calc is None else atoms.calc.results.get(name)


def count_labels(frames: Sequence[Atoms]) -> dict[str, int]:
    """How many frames have energy, forces, stress."""
    return {name: sum(label(a, name) is not None for a in frames) for name in ("energy", "forces", "stress")}


def require_labels(
    frames: Sequence[Atoms], names: Iterable[str], origin="the training set", *, otherwise: str = ""
) -> dict[str, int]:
    """Check that every frame has the labels, and that they are its own; returns `count_labels`.

    Args:
        frames: structures with labels in their calculators.
        names: of "energy", "forces", "stress".
        origin: where the frames come from, for the message.
        otherwise: what else can be done where a label {name} is missing, for the message.

    Raises:
        ValueError: a label is missing, no number, that of another structure, or a force that a constraint took away;
            says which, in which frame, and how to write it.
    """
    names, counts = tuple(names), count_labels(frames)
    for name in names:
        if counts[name] < len(frames):
            missing = next(k for k, a in enumerate(frames) if label(a, name) is None)
            raise ValueError(
                f"{counts[name]} of {len(frames)} frames of {origin} have {name} (frame {missing} has none).{_alike(frames[missing], name)} "
                f"In extended XYZ the label is called '{name}' (energy=... in the comment line, forces:R:3 in Properties); "
                "in Python, atoms.calc = SinglePointCalculator(atoms, energy=..., forces=...) stores labels."
                f"{' ' * bool(otherwise)}{otherwise.format(name=LABEL_WEIGHTS[name])}"
            )
    for k, atoms in enumerate(frames):
        for name in LABEL_WEIGHTS:
            value = label(atoms, name)
            if value is not None and not np.isfinite(np.asarray(value, float)).all():
                raise ValueError(
                    f"The label {name!r} of frame {k} of {origin} is not finite. Leave the frame out, or that label."
                )
        if _stale(atoms):
            raise ValueError(
                f"The labels of frame {k} of {origin} are those of another structure: its atoms moved after the calculation, "
                "or frames share one calculator. Store labels with each frame: "
                "atoms.calc = SinglePointCalculator(atoms, energy=..., forces=...)."
            )
    if "forces" in names:
        _refuse_constrained_forces(frames, origin)
    return counts


LABEL_WEIGHTS = {"energy": "energy", "forces": "force", "stress": "stress"}
"""What a label's weight is called in the configuration, without "_weight"."""


def _alike(atoms: Atoms, name: str) -> str:
    """A sentence about what the frame has under similar names."""
    found = sorted(key for key in {*atoms.info, *atoms.arrays} if name.rstrip("s") in key.lower())
    return f" It has {', '.join(found)}: is that it?" if found else ""


def _stale(atoms: Atoms) -> bool:
    """Whether the labels were computed for another structure; shifts, as a whole or by lattice vectors, are none."""
    then = getattr(atoms.calc, "atoms", None)
    if not isinstance(then, Atoms):
        return False
    if len(then) != len(atoms) or (then.numbers != atoms.numbers).any():
        return True
    if not np.allclose(then.cell.array[then.pbc], atoms.cell.array[then.pbc], rtol=0, atol=CHANGED):
        return True
    moved = atoms.positions - then.positions
    moved -= moved[0]
    periods = np.where(then.pbc[:, None], then.cell.array, 0.0)
    moved -= np.rint(moved @ np.linalg.pinv(periods)) @ periods
    return bool(np.abs(moved).max() > CHANGED)


CHANGED = 1e-3
"""Angstrom: a change of positions that makes labels those of another structure.  Files round positions to 1e-8 or so."""


def _refuse_constrained_forces(frames: Sequence[Atoms], origin: str) -> None:
    forces = [np.asarray(label(atoms, "forces")) for atoms in frames]
    held = [f[c.index] for f, a in zip(forces, frames, strict=True) for c in a.constraints if isinstance(c, FixAtoms)]
    if any(map(np.size, held)) and not any(f.any() for f in held) and any(f.any() for f in forces):
        raise ValueError(
            f"The forces on all atoms that FixAtoms holds are 0 in {origin}: they were stored with the constraint applied. "
            "Store atoms.get_forces(apply_constraint=False); if they are the true forces, take the constraint off."
        )


def prepare(potential: Potential, frames: Sequence[Atoms], *, skin: float = 0.0) -> list[Frame]:
    """Species, labels, and pairs within the cutoff and `skin` (Angstrom), of every structure."""
    return [_prepare_one(potential, atoms, skin) for atoms in frames]


def _prepare_one(potential, atoms, skin) -> Frame:
    energy, forces, stress = (label(atoms, name) for name in ("energy", "forces", "stress"))
    if stress is not None:
        stress = np.asarray(stress, float)
        stress = stress[[[0, 5, 4], [5, 1, 3], [4, 3, 2]]] if stress.shape == (6,) else stress.reshape(3, 3)
    return Frame(
        potential.species(atoms.numbers),
        neighbour_list(atoms.positions, atoms.cell.array, atoms.pbc, potential.cutoff + skin),
        None if energy is None else float(energy),
        None if forces is None else np.asarray(forces, float),
        stress,
        float(volume(atoms.cell.array)) or 1.0,
    )


def batch_shapes(
    frames: Sequence[Frame], size: int, *, arrangement: Arrangement = Arrangement.SPECIES
) -> tuple[Shape, ...]:
    """Buckets for batches of `size` of these frames, smallest first; the last holds any batch.

    Where frames are alike there is one.  Where they are not, the worst batch (the largest frames,
    with the densest among them) can need a hundred times the places of a usual one: the first
    bucket then holds nine of ten random batches, and each further one has at least four times the
    places.  They depend on the frames alone, so a resumed training sees the same ones.
    """
    if arrangement is Arrangement.MIXED:
        counts = np.array([[len(f.species)] for f in frames])
    else:
        n_species = 1 + max(int(f.species.max()) for f in frames)
        counts = np.array([np.bincount(f.species, minlength=n_species) for f in frames])
    block = choose_block(size * counts.mean(axis=0).astype(int))
    needs = [lay_out(f.species, f.pairs, block, arrangement=arrangement).need.neighbours for f in frames]
    groups = max(len(n) for n in needs)
    neighbours = np.array([n + (0,) * (groups - len(n)) for n in needs])

    def shape(need) -> Shape:
        blocks, *widths = (int(x) for x in need)
        return Shape(blocks, block, tuple(capacity(max(n, 1)) for n in widths), arrangement)

    def blocks_of(atoms):
        return (-(-atoms // block)).sum(axis=-1)

    worst = np.array([blocks_of(np.sort(counts, axis=0)[-size:].sum(axis=0)), *neighbours.max(axis=0)])
    draws = np.random.default_rng(0).integers(len(frames), size=(200, size))
    usual = np.column_stack([blocks_of(counts[draws].sum(axis=1)), neighbours[draws].max(axis=1)])
    usual = np.ceil(np.quantile(usual, 0.9, axis=0))
    largest = shape(worst)
    shapes = []
    while 2 * (bucket := shape(np.minimum(usual, worst))).places < largest.places:
        if not shapes or bucket.places >= 4 * shapes[-1].places:
            shapes.append(bucket)
        usual = 2 * usual
    return (*shapes, largest)


def make_batch(frames: Sequence[Frame], reference_energies, shapes: Sequence[Shape], size: int, dtype) -> Batch:
    """Pack frames into one batch of `size` structures; missing ones are padding.

    Args:
        frames: at most `size`.
        reference_energies: (species,) E0 in eV, subtracted from the labels in float64.
        shapes: from `batch_shapes`; the first that holds these frames is taken.
        size: number of structures of the batch.
        dtype: of the arrays.
    """
    pairs, structure = join([f.pairs for f in frames], [len(f.species) for f in frames])
    species = np.concatenate([f.species for f in frames])
    layout = lay_out(species, pairs, shapes[0].block, arrangement=shapes[0].arrangement)
    shape = next(s for s in shapes if s.holds(layout.need))
    graph = fill(layout, pairs, structure, shape, dtype)
    places = shape.blocks * shape.block
    energy, n_atoms, volume = np.zeros(size), np.ones(size), np.ones(size)
    has_energy, has_stress, stress = np.zeros(size), np.zeros(size), np.zeros((size, 3, 3))
    forces, has_forces = np.zeros((places, 3)), np.zeros(places)
    start = 0
    for b, frame in enumerate(frames):
        n_atoms[b], volume[b] = len(frame.species), frame.volume
        if frame.energy is not None:
            energy[b] = frame.energy - np.asarray(reference_energies)[frame.species].sum()
            has_energy[b] = 1
        if frame.stress is not None:
            stress[b], has_stress[b] = frame.stress, 1
        place = layout.place[start : start + len(frame.species)]
        if frame.forces is not None:
            forces[place], has_forces[place] = frame.forces, 1
        start += len(frame.species)
    leading = (shape.blocks, shape.block)
    arrays = (
        energy, n_atoms, forces.reshape(*leading, 3), stress, volume,
        has_energy, has_forces.reshape(leading), has_stress,
    )  # fmt: skip
    return Batch(graph, *(a.astype(dtype) for a in arrays))


def fit_reference_energies(energies, compositions) -> np.ndarray:
    """E0 per species by least squares of total energies on compositions.

    Args:
        energies: (structures,) eV.
        compositions: (structures, species) numbers of atoms.

    Returns:
        (species,) eV.  Where compositions cannot tell species apart (only H2O, say) the solution
        of least norm: right in sum, meaningless one by one; 0 without structures.
    """
    if len(energies) == 0:
        return np.zeros(np.shape(compositions)[1])
    return np.linalg.lstsq(np.asarray(compositions, float), np.asarray(energies, float), rcond=None)[0]


def given_reference_energies(energies: Mapping[str, float], elements: Sequence[str]) -> np.ndarray:
    """E0 (species,) in eV of energies by symbol.

    Raises:
        ValueError: an element has none; names it.
    """
    missing = [e for e in elements if e not in energies]
    if missing:
        raise ValueError(
            f"Reference energies are given for {', '.join(energies)}, but not for {', '.join(missing)}. Give those of "
            "all elements ([data.reference_energies], the file of isolated atoms), or none at all for least squares."
        )
    return np.array([energies[e] for e in elements], np.float64)


def compositions(frames: Sequence[Frame], n_species: int) -> np.ndarray:
    """(structures, species) numbers of atoms."""
    return np.array([np.bincount(f.species, minlength=n_species) for f in frames], int).reshape(-1, n_species)


def closest_approaches(frames: Sequence[Frame], n_species: int) -> np.ndarray:
    """How close each pair of species would come in `MORE` times as many such frames.

        R = r_1 - min(theta log(MORE), MOST r_1),     theta = SUM_{n < k} (r_k - r_n) / (k - 1)

    with r_1 <= r_2 <= ... the shortest distances in the frames where the pair occurs, and k = `TAIL` or all of them: the
    smallest values of a sample end in a tail that is nearly exponential (Weissman, J. Am. Stat. Assoc. 73, 812
    (1978)).  With r_1 itself, every dynamics longer than the training set would leave the domain of its own distribution.

    Args:
        frames: prepared frames.
        n_species: number of species.

    Returns:
        (species, species) R in Angstrom; 0 for a pair that never meets.
    """
    nearest = np.full((TAIL + 1, n_species**2), np.inf)  # in ascending order, and room for one more frame
    for frame in frames:
        kind = frame.species[frame.pairs.i] * n_species + frame.species[frame.pairs.j]
        nearest[-1] = np.inf
        np.minimum.at(nearest[-1], kind, np.linalg.norm(frame.pairs.edge, axis=1))
        closer = nearest[-1] < nearest[-2]
        nearest[:, closer] = np.sort(nearest[:, closer], axis=0)
    limits = [_approach(column[np.isfinite(column)]) for column in nearest[:TAIL].T]
    return np.array(limits).reshape(n_species, n_species)


def _approach(nearest) -> float:
    """R from the smallest distances, in ascending order; 0 without any."""
    if len(nearest) == 0:
        return 0.0
    spread = np.mean(nearest[-1] - nearest[:-1]) if len(nearest) > 1 else 0.0
    return float(nearest[0] - min(spread * np.log(MORE), MOST * nearest[0]))


def split(n: int, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices (training, held out) of a reproducible random split; at least one held out.

    Raises:
        ValueError: none would be left to train on.
    """
    held = max(1, round(fraction * n))
    if held >= n:
        raise ValueError(
            f"{held} of {n} frames would be held out (fraction {fraction:g}), and none left to train on. Give more frames, "
            "a smaller fraction, or a set of held-out frames."
        )
    order = np.random.default_rng(seed).permutation(n)
    return np.sort(order[held:]), np.sort(order[:held])
