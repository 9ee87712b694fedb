"""Labels of a structure: energy, forces and stress in the units, signs and shapes of ASE.

They are read from `atoms.calc`, where ASE stores results.  `with_keys` stores them there from other names in a file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import all_properties
from ase.calculators.singlepoint import SinglePointCalculator
from ase.stress import full_3x3_to_voigt_6_stress, voigt_6_to_full_3x3_stress

from latte_ase.io.constrained_forces import known_components

LABELS = ("energy", "forces", "stress")
"""Names of labels, in eV, eV/Angstrom, and eV/Angstrom^3 with the sign of ASE, (1/V) dE/d(strain)."""
KEYS = (*LABELS, "virial")
"""Names for which a key can be given; a virial in eV, -dE/d(strain), becomes the stress -virial/V."""


def label(atoms: Atoms, name: str) -> Any:
    """A label of a structure; nothing is computed.

    Args:
        atoms: structure with results in its calculator.
        name: "energy", "forces" or "stress".

    Returns:
        float in eV, (atoms, 3) in eV/Angstrom as they are stored (see `known_forces`), or (3, 3) in eV/Angstrom^3; None where
        there is none, or no volume for a stress.

    Raises:
        ValueError: what is stored has another shape, or is no number.
    """
    stored = None if atoms.calc is None else atoms.calc.results.get(name)
    if stored is None or (name == "stress" and atoms.cell.rank < 3):
        return None
    return SHAPED[name](np.asarray(stored, float), len(atoms))


def known_forces(atoms: Atoms) -> np.ndarray:
    """(atoms, 3) components of the forces that are labels: none without forces, and not those that a constraint took away."""
    forces = label(atoms, "forces")
    return np.zeros((len(atoms), 3), bool) if forces is None else known_components(atoms, forces)


def labels_of(atoms: Atoms) -> dict[str, Any]:
    """Labels of a structure by name."""
    return {name: value for name in LABELS if (value := label(atoms, name)) is not None}


def has_label(atoms: Atoms, name: str) -> bool:
    """Whether a structure has a label; forces of which a constraint left nothing are none."""
    return label(atoms, name) is not None and (name != "forces" or bool(known_forces(atoms).any()))


def count_labels(frames: Sequence[Atoms]) -> dict[str, int]:
    """Numbers of frames with energy, forces and stress."""
    return {name: sum(has_label(atoms, name) for atoms in frames) for name in LABELS}


def with_keys(atoms: Atoms, keys: Mapping[str, str]) -> Atoms:
    """A copy whose labels are those under the names that are given.

    Args:
        atoms: structure.
        keys: names by label, such as {"energy": "REF_energy", "forces": "REF_forces"}, in `atoms.arrays`, `atoms.info` or the
            results of the calculator.  "virial" stands for a virial in eV, which becomes the stress -virial/V.  A label that
            is not among them is taken from the calculator as ever; one that is among them is taken from there alone, so that
            two sources are never mixed.

    Raises:
        ValueError: keys for something that is no label, or for both stress and virial.
    """
    _refuse_keys(keys)
    stored = {} if atoms.calc is None else atoms.calc.results
    renamed = {"stress" if name == "virial" else name for name in keys}
    results = {k: v for k, v in stored.items() if k in all_properties and k not in renamed}
    places = [atoms.arrays, atoms.info, stored]
    for name, key in keys.items():
        value = next((place[key] for place in places if key in place), None)
        if name == "virial":
            name, value = "stress", _stress(value, atoms)
        if value is not None:
            results[name] = value
    copy, computed_for = atoms.copy(), getattr(atoms.calc, "atoms", None)  # a moved structure stays recognisable
    copy.calc = SinglePointCalculator(computed_for if isinstance(computed_for, Atoms) else copy)
    copy.calc.results.update(results)  # as they are: `labelled_frames` says which is no number
    return copy


def voigt(stress: np.ndarray) -> np.ndarray:
    """Stress (6,) in the order xx yy zz yz xz xy, from (3, 3)."""
    return full_3x3_to_voigt_6_stress(stress)


def _refuse_keys(keys: Mapping[str, str]) -> None:
    unknown = sorted(set(keys) - set(KEYS))
    if unknown:
        raise ValueError(
            f"keys name {', '.join(unknown)}; the labels that a key can be given for are {', '.join(KEYS)}."
        )
    if {"stress", "virial"} <= set(keys):
        raise ValueError("keys name both stress and virial, which are one label; give one of them.")


def _stress(virial: Any, atoms: Atoms) -> np.ndarray | None:
    """The stress of a virial in eV; None where there is none, or no volume."""
    if virial is None or atoms.cell.rank < 3:
        return None
    return -_stress_shaped(np.asarray(virial, float), len(atoms)) / atoms.get_volume()


def _energy_shaped(value: np.ndarray, _: int) -> float:
    if value.size != 1:
        raise ValueError(f"an energy of shape {value.shape}, where one number in eV is needed")
    return value.item()


def _forces_shaped(value: np.ndarray, n_atoms: int) -> np.ndarray:
    if value.shape != (n_atoms, 3):
        raise ValueError(f"forces of shape {value.shape}, where {(n_atoms, 3)} in eV/Angstrom is needed")
    return value


def _stress_shaped(value: np.ndarray, _: int) -> np.ndarray:
    if value.size == 9:
        return 0.5 * (value.reshape(3, 3) + value.reshape(3, 3).T)
    if value.shape != (6,):
        raise ValueError(f"a stress of shape {value.shape}, where (6,) or (3, 3) in eV/Angstrom^3 is needed")
    return voigt_6_to_full_3x3_stress(value)


SHAPED = {"energy": _energy_shaped, "forces": _forces_shaped, "stress": _stress_shaped}
"""How what is stored becomes a label."""
