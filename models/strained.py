"""Strained crystals of a training set: what their energies say of stress and elastic constants, by DFT and by the model.

    python models/strained.py MODEL SYMBOL FRAMES     # for example latte-ni Ni metals/Ni_train.extxyz

Takes the frames of FRAMES that are the crystal of SYMBOL with unmoved atoms and one component of strain, and fits

    E = E0 + V (s n + C11 n^2 / 2 + ...)    n = strain along one axis          E = E0 + V C44 (2 n)^2 / 2 + ...    n = shear

to the energies of DFT, and to those of the model on the same frames; strain is Lagrange's, 0 where most of the frames have
their edges, and V is the volume there.  A negative stress s means that the crystal wants to be larger.  Prints rows of a
Markdown table.
"""

import sys
from statistics import mode
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.data import atomic_numbers, reference_states
from ase.io import read
from ase.units import GPa

import latte_ase

UNMOVED = 0.02
"""eV/Angstrom: atoms of frames with larger forces have moved."""
LARGEST = 0.06
"""Strains that are fitted."""
SMALL = 2e-4
"""Strains that count as none: the cells are written with few digits."""


class Energies(NamedTuple):
    """Strains (frames,), and energies (frames,) in eV/atom of DFT and of the model."""

    strain: np.ndarray
    dft: np.ndarray
    model: np.ndarray


def unmoved(frames, symbol: str) -> list[tuple[int, Atoms]]:
    """Frames that are cubic cells of the element in its crystal, so many along an edge, with atoms on their sites."""
    count = len(bulk(symbol, reference_states[atomic_numbers[symbol]]["symmetry"], cubic=True))
    found = []
    for atoms in frames:
        times = round((len(atoms) / count) ** (1 / 3))
        if set(atoms.symbols) != {symbol} or len(atoms) != times**3 * count:
            continue
        if np.abs(atoms.get_forces()).max() < UNMOVED:
            found.append((times, atoms))
    return found


def usual_edge(crystals) -> float:
    """The commonest edge of a cubic cell, Angstrom."""
    return mode(round(length, 4) for times, atoms in crystals for length in atoms.cell.lengths() / times)


def strained(crystals, a: float, model) -> tuple[Energies, Energies]:
    """Crystals strained along one axis, and those that are sheared; `a` is the edge of a cell without strain, Angstrom."""
    along, across = [], []
    for times, atoms in crystals:
        deformation = atoms.cell.array / (times * a)
        strain = 0.5 * (deformation @ deformation.T - np.eye(3))
        shears, axial = (sorted(part, key=abs) for part in (strain[np.triu_indices(3, 1)], np.diag(strain)))
        if abs(shears[-1]) < SMALL and abs(axial[-2]) < SMALL:
            along.append((axial[-1], atoms))
        elif abs(shears[-2]) < SMALL:
            across.append((shears[-1], atoms))
    return _energies(along, model), _energies(across, model)


def _energies(rows, model) -> Energies:
    rows = [(strain, atoms) for strain, atoms in rows if abs(strain) < LARGEST]
    predictions = latte_ase.predict(model, [atoms for _, atoms in rows], dtype="float64")
    own = [p.energy / len(atoms) for p, (_, atoms) in zip(predictions, rows, strict=True)]
    dft = [atoms.get_potential_energy() / len(atoms) for _, atoms in rows]
    return Energies(*(np.array(column) for column in ([strain for strain, _ in rows], dft, own)))


def along_an_axis(strain, energy, volume: float) -> tuple[float, float]:
    """Stress and C11 in GPa from energies in eV/atom, volume in Angstrom^3 per atom."""
    degree = min(4, len(np.unique(strain.round(3))) - 1)
    slope = np.polynomial.Polynomial.fit(strain, energy, degree).convert().coef / volume / GPa
    return slope[1], 2 * slope[2]


def sheared(strain, energy, volume: float) -> float:
    """C44 in GPa; arguments as for `along_an_axis`."""
    powers = np.stack([np.ones(len(strain)), (2 * strain) ** 2, (2 * strain) ** 4], axis=1)
    return 2 * np.linalg.lstsq(powers, energy)[0][1] / volume / GPa


def main(model: str, symbol: str, path: str) -> None:
    """Print the rows of one element."""
    crystals = unmoved(read(path, ":"), symbol)
    a = usual_edge(crystals)
    axial, shear = strained(crystals, a, model)
    volume = a**3 * crystals[0][0] ** 3 / len(crystals[0][1])
    print(f"| {symbol}, edge {a:.3f} Å | model | DFT |\n| --- | --- | --- |")
    if len(axial.strain):
        dft, own = (along_an_axis(axial.strain, energies, volume) for energies in axial[1:])
        print(f"| stress (GPa), {len(axial.strain)} frames | {own[0]:.2f} | {dft[0]:.2f} |")
        print(f"| C11 (GPa) | {own[1]:.0f} | {dft[1]:.0f} |")
    if len(shear.strain):
        dft, own = (sheared(shear.strain, energies, volume) for energies in shear[1:])
        print(f"| C44 (GPa), {len(shear.strain)} frames | {own:.0f} | {dft:.0f} |")


if __name__ == "__main__":
    main(*sys.argv[1:])
