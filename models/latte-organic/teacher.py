"""SO3LR, the teacher (so3krates-torch 0.2.1, MIT, weights inside): energies and forces of many structures at once."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from so3krates_torch.calculator.so3 import SO3LRCalculator
from so3krates_torch.data.atomic_data import AtomicData
from so3krates_torch.data.utils import KeySpecification, config_from_atoms
from so3krates_torch.tools.torch_geometric.dataloader import DataLoader

LARGEST_FORCE = 25.0
"""eV/Angstrom: structures with a larger force on an atom are left out."""
ATOMS = 400
"""In one call, which is four times as fast as calls for one molecule each."""
KEYS = KeySpecification(info_keys={"total_charge": "charge"}, arrays_keys={})


class Teacher:
    """SO3LR in single precision on one thread; the long range ends at 12 Angstrom, as in its calculator for ASE."""

    def __init__(self):
        torch.set_num_threads(1)
        self._calculator = SO3LRCalculator(default_dtype="float32")

    def labelled(self, structures: Iterable[Atoms]) -> Iterator[Atoms]:
        """The structures with energy (eV) and forces (eV/Angstrom) as results; `info["charge"]` is the total charge.

        Those with a force above `LARGEST_FORCE`, or with positions or labels that are not finite, are left out.
        """
        part: list[Atoms] = []
        for atoms in structures:
            if not np.isfinite(atoms.positions).all():
                continue  # MMFF's dynamics seldom fails
            if part and sum(map(len, part)) + len(atoms) > ATOMS:
                yield from self._together(part)
                part = []
            part.append(atoms)
        if part:
            yield from self._together(part)

    def _together(self, structures: list[Atoms]) -> Iterator[Atoms]:
        calculator = self._calculator
        data = [
            AtomicData.from_config(
                config_from_atoms(atoms, key_specification=KEYS),
                z_table=calculator.z_table,
                cutoff=calculator.r_max,
                cutoff_lr=calculator.r_max_lr,
            )
            for atoms in structures
        ]
        batch = next(iter(DataLoader(data, batch_size=len(data), shuffle=False)))
        found = calculator.models[0](batch.to_dict(), compute_stress=False)
        ends = np.cumsum([len(atoms) for atoms in structures])[:-1]
        # a sum in single precision loses 0.3 meV
        energies = np.split(found["node_energy"].detach().double().numpy().ravel(), ends)
        forces = np.split(found["forces"].detach().double().numpy(), ends)
        for atoms, energy, force in zip(structures, energies, forces, strict=True):
            if np.isfinite(energy).all() and np.linalg.norm(force, axis=1).max() < LARGEST_FORCE:
                atoms.calc = SinglePointCalculator(atoms, energy=float(energy.sum()), forces=force)
                yield atoms
