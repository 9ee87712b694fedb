"""Labelled structures in arrays on disk, which are made ase.Atoms one by one when they are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import dict2constraint
from ase.io.jsonio import decode, encode

from latte_ase.io.frame_weights import WEIGHT, frame_weight
from latte_ase.io.labels import labels_of
from latte_ase.io.ragged_arrays import RaggedArrays, write_ragged


class StoredStructures(Sequence[Atoms]):
    """Structures with labels, weights and constraints, as `write_structures` stored them; other results are not kept.

    Args:
        folder: of the arrays.
    """

    def __init__(self, folder: Path):
        self.arrays = RaggedArrays(folder)

    def __len__(self) -> int:
        return len(self.arrays)

    @overload
    def __getitem__(self, item: int) -> Atoms: ...
    @overload
    def __getitem__(self, item: slice) -> list[Atoms]: ...
    def __getitem__(self, item):
        if isinstance(item, slice):
            return [self[k] for k in range(*item.indices(len(self)))]
        stored = self.arrays[item]
        atoms = Atoms(
            np.array(stored["numbers"]), np.array(stored["positions"]), cell=stored["cell"], pbc=stored["pbc"]
        )
        if len(stored["constraints"]):
            atoms.set_constraint([dict2constraint(d) for d in decode(stored["constraints"].tobytes().decode())])
        weight = float(stored["weight"][0])
        if weight != 1:
            atoms.info[WEIGHT] = weight
        results: dict[str, Any] = {name: np.array(stored[name]) for name in ("forces", "stress") if len(stored[name])}
        if len(stored["energy"]):
            results["energy"] = float(stored["energy"][0])
        atoms.calc = SinglePointCalculator(atoms)
        atoms.calc.results.update(results)
        return atoms


def write_structures(folder: Path, structures: Iterable[Atoms], facts: Mapping[str, Any]) -> None:
    """Store structures; raises as `write_ragged`.

    Args:
        folder: for the arrays.
        structures: labelled, each read when it is stored.
        facts: kept beside the arrays.
    """
    write_ragged(folder, map(_arrays_of, structures), facts)


def _arrays_of(atoms: Atoms) -> dict[str, np.ndarray]:
    labels = labels_of(atoms)
    constraints = encode([c.todict() for c in atoms.constraints]).encode() if atoms.constraints else b""
    energy = [labels["energy"]] if "energy" in labels else []
    return {
        "numbers": np.asarray(atoms.numbers, np.int16),
        "positions": np.asarray(atoms.positions, np.float64),
        "cell": np.asarray(atoms.cell.array, np.float64),
        "pbc": np.asarray(atoms.pbc, bool),
        "energy": np.array(energy, np.float64),
        "forces": np.asarray(labels.get("forces", np.zeros((0, 3))), np.float64),
        "stress": np.asarray(labels.get("stress", np.zeros((0, 3))), np.float64),
        "weight": np.array([frame_weight(atoms)]),
        "constraints": np.frombuffer(constraints, np.uint8),
    }
