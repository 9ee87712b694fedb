"""Relaxation of many crystals at once by a few labels of each: the volume first, then atoms and cell."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from ase import Atoms
from ase.stress import voigt_6_to_full_3x3_stress
from crystals import Crystal

LONGEST, STRAINED = 0.2, 0.05
"""Largest displacement in Angstrom, and largest component of strain, of a step of relaxation."""
FIRST, SMALLEST, LARGEST = 0.08, 0.02, 0.4
"""First, smallest and largest length of a step of relaxation in Angstrom^2/eV."""
ARM = 1.4
"""Angstrom: a strain counts as a displacement of every atom by so much times it."""
VOLUMES, SWOLLEN = 4, 0.15
"""Steps that change only the volume, and by how much of its logarithm at most."""
MODULUS, MODULI = 0.25, (0.03, 2.0)
"""Bulk modulus at first, and the smallest and largest that are believed, eV/Angstrom^3."""

Label = Callable[[Iterable[Atoms]], Iterator[Atoms]]
"""Labels structures, and leaves some out."""


class Relaxation:
    """First the volume alone by the rule of the secant, then atoms and cell by steps of Barzilai and Borwein; labels come from outside."""

    def __init__(self, crystal: Crystal):
        self.crystal = crystal
        self.atoms = crystal.atoms
        self._taken = 0
        self._before: tuple[np.ndarray, np.ndarray] | None = None
        self._modulus = MODULUS
        self._last: tuple[float, float] | None = None

    def step(self) -> None:
        """Move `atoms`, which are labelled, on."""
        self.atoms = self._other_volume() if self._taken < VOLUMES else self._downhill()
        self._taken += 1

    def _other_volume(self) -> Atoms:
        pressure, size = -self.atoms.get_stress()[:3].mean(), np.log(self.atoms.get_volume())
        if self._last is not None and abs(size - self._last[1]) > 1e-4:
            modulus = -(pressure - self._last[0]) / (size - self._last[1])
            # beyond the inflection of the energy there is no modulus: go on as far as is allowed
            self._modulus = np.clip(modulus, *MODULI) if modulus > 0 else MODULI[0]
        self._last = pressure, size
        atoms = Atoms(self.atoms.numbers, self.atoms.positions, cell=self.atoms.cell, pbc=True)
        change = np.clip(pressure / self._modulus, -SWOLLEN, SWOLLEN)
        atoms.set_cell(atoms.cell.array * np.exp(change / 3), scale_atoms=True)
        return atoms

    def _downhill(self) -> Atoms:
        atoms, n = self.atoms, len(self.atoms)
        virial, arm = -atoms.get_volume() * voigt_6_to_full_3x3_stress(atoms.get_stress()), ARM * np.sqrt(n)
        force = np.concatenate([atoms.get_forces(), virial / arm])
        length = FIRST
        if self._before is not None:
            moved, change = self._before[0], self._before[1] - force
            length = np.clip((moved**2).sum() / max((moved * change).sum(), 1e-9), SMALLEST, LARGEST)
        step = length * force
        step[:n] *= min(1.0, LONGEST / max(np.linalg.norm(step[:n], axis=1).max(), 1e-9))
        step[n:] *= min(1.0, STRAINED / max(np.abs(step[n:] / arm).max(), 1e-9))
        self._before = step, force
        moved_atoms = Atoms(atoms.numbers, atoms.positions + step[:n], cell=atoms.cell, pbc=True)
        moved_atoms.set_cell(atoms.cell.array @ (np.eye(3) + step[n:] / arm), scale_atoms=True)
        return moved_atoms


def relaxed(crystals: Iterable[Crystal], label: Label, steps: int) -> tuple[list[Crystal], list[Atoms]]:
    """The crystals after so many steps, and the labelled structures on the way; those that cannot be labelled are dropped."""
    walks, frames = [Relaxation(crystal) for crystal in crystals], []
    for k in range(steps + 1):
        for walk in walks:
            walk.atoms.info = {"crystal": walk.crystal.name, "kind": "relaxation", "step": k}
        found = list(label([walk.atoms for walk in walks]))
        frames += [atoms.copy() for atoms in found]
        for copy, atoms in zip(frames[-len(found) :], found, strict=True):
            copy.calc = atoms.calc
        labelled = {id(atoms) for atoms in found}
        walks = [walk for walk in walks if id(walk.atoms) in labelled]
        if k < steps:
            for walk in walks:
                walk.step()
    return [Crystal(walk.atoms, walk.crystal.name) for walk in walks], frames
