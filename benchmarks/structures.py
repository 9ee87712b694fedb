"""Structures for the benchmarks: liquid water of any size, from one small box beside this file.

    python benchmarks/structures.py     # makes that box again: 1 ps at 300 K with latte-water, a minute

The box holds 64 molecules at 0.0949 atoms/Å³ with about 50 neighbours within 5 Å.  Repeated, it gives
periodic boxes of 192, 1536, ... 998 784 atoms; spheres cut from it give any number of molecules.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.build import molecule
from ase.data import chemical_symbols
from ase.md.langevin import Langevin
from ase.optimize import FIRE

SAMPLE = Path(__file__).with_name("water.csv")
LENGTH = 12.648
"""Edge of the box in Angstrom."""
REPEATS = {
    192: (1, 1, 1), 384: (2, 1, 1), 768: (2, 2, 1), 1_536: (2, 2, 2), 6_144: (4, 4, 2), 12_288: (4, 4, 4),
    24_576: (8, 4, 4), 49_152: (8, 8, 4), 98_304: (8, 8, 8), 393_216: (16, 16, 8), 998_784: (17, 17, 18),
}  # fmt: skip
"""Sizes that are boxes; every other multiple of 3 is a sphere."""


def sample() -> Atoms:
    """The stored box: 192 atoms, order O H H O H H ..."""
    positions = np.loadtxt(SAMPLE, delimiter=",", comments="#")
    return Atoms("OHH" * (len(positions) // 3), positions=positions, cell=[LENGTH] * 3, pbc=True)


def water(atoms: int) -> Atoms:
    """Liquid water: a periodic box for the sizes in `REPEATS`, else a sphere in vacuum.

    Raises:
        ValueError: the number is no multiple of 3.
    """
    if atoms in REPEATS:
        return sample().repeat(REPEATS[atoms])
    if atoms < 3 or atoms % 3:
        raise ValueError(
            f"{atoms} atoms are no whole number of water molecules. Choose a multiple of 3; "
            f"periodic boxes have {', '.join(map(str, REPEATS))}."
        )
    return sphere(atoms // 3)


def sphere(molecules: int) -> Atoms:
    """The molecules nearest to a point of the liquid, without periodicity."""
    side = 1 + int(np.ceil((2.2 * molecules / 64) ** (1 / 3)))
    liquid = sample().repeat(side)
    oxygens = liquid.positions[::3]
    nearest = np.argsort(np.linalg.norm(oxygens - oxygens.mean(axis=0), axis=1))[:molecules]
    chosen = liquid[(3 * nearest[:, None] + np.arange(3)).ravel()]
    chosen.pbc = False
    chosen.cell = None
    return chosen


def alloy(atoms: Atoms, elements: int) -> Atoms:
    """The same positions with this many elements in equal shares, at random places."""
    numbers = 1 + np.arange(len(atoms)) % elements
    mixed = atoms.copy()
    mixed.numbers = np.random.default_rng(0).permutation(numbers)
    return mixed


def symbols(elements: int) -> tuple[str, ...]:
    """The first elements of the periodic table."""
    return tuple(chemical_symbols[1 : elements + 1])


def _equilibrated(seed: int = 7) -> Atoms:
    """64 molecules on a lattice, relaxed, then 1 ps at 300 K; molecules are whole."""
    from latte_ase import LatteCalculator

    rng = np.random.default_rng(seed)
    one = molecule("H2O")
    box = Atoms(cell=[LENGTH] * 3, pbc=True)
    for corner in np.ndindex(4, 4, 4):
        turned = one.copy()
        turned.rotate(rng.uniform(0, 360), rng.normal(size=3), center="COM")
        turned.positions += (np.array(corner) + 0.5) * LENGTH / 4
        box += turned
    box.calc = LatteCalculator.from_pretrained("latte-water")
    FIRE(box, logfile=os.devnull, maxstep=0.1).run(fmax=1.0, steps=100)
    Langevin(box, 0.5 * units.fs, temperature_K=300, friction=0.02 / units.fs, fixcm=False, rng=rng).run(2000)
    return box


if __name__ == "__main__":
    text = "liquid water, 300 K, from latte-water; positions in Angstrom, O H H in turn"
    np.savetxt(SAMPLE, _equilibrated().positions, fmt="%.3f", delimiter=",", header=text)
