"""Physics of latte-monbtaw: elements, mixing energies of alloys, and dynamics of the equimolar alloy.

    python models/latte-monbtaw/check.py MODEL FRAMES       # FRAMES: monbtaw/train.extxyz

Elastic response of the elements is that of `models/strained.py`: the energies of the set's own strained crystals by DFT and
by the model.  Mixing energies are those of the set's alloy frames of 16 atoms,

    E(alloy) / N - SUM_s x_s E(crystal of s) / atom

by DFT and by the model, each with its own crystals.  The dynamics are 50 ps of NVT: of the elements, 54 atoms, at 300 K and at
80 % of the melting point, which end with an error if an atom leaves the model's domain; and of a random Mo-Nb-Ta-W crystal of 128
atoms at 300 K, which is outside it (no frame holds more than two elements, nor thermal motion of alloys) and shows only whether
it stays a crystal.  Prints Markdown.
"""

import sys
from pathlib import Path

import numpy as np
from ase.build import bulk
from ase.io import read

import latte_ase
from latte_ase import LatteCalculator

sys.path.insert(0, str(Path(__file__).parents[1]))
import strained
from crystal import displacement

MELTING = {"Mo": 2896, "Nb": 2750, "Ta": 3290, "W": 3695}
"""Experimental melting points of the elements, K (CRC Handbook)."""
EDGE = 3.24
"""Angstrom, of the equimolar alloy: about the mean of the elements' edges."""


def crystal_energies(crystals: dict, model) -> dict[str, tuple[float, float]]:
    """The lowest energy of each element's crystal, eV/atom, by DFT and by the model on that frame."""
    found = {}
    for symbol, frames in crystals.items():
        dft = [atoms.get_potential_energy() / len(atoms) for _, atoms in frames]
        lowest = frames[int(np.argmin(dft))][1]
        found[symbol] = min(dft), next(iter(latte_ase.predict(model, [lowest], dtype="float64"))).energy / len(lowest)
    return found


def mixing(frames, elements: dict, model) -> dict[str, np.ndarray]:
    """Mixing energies (frames, 2) in meV/atom by DFT and by the model, by pair of elements."""
    alloys = [atoms for atoms in frames if atoms.info["group"].endswith("_SS") and len(set(atoms.symbols)) > 1]
    found: dict[str, list] = {}
    for atoms, own in zip(alloys, latte_ase.predict(model, alloys, dtype="float64"), strict=True):
        energies = np.array([atoms.get_potential_energy(), own.energy])
        pure = sum(np.array(elements[symbol]) for symbol in atoms.symbols)
        found.setdefault("-".join(sorted(set(atoms.symbols))), []).append(1e3 * (energies - pure) / len(atoms))
    return {pair: np.array(rows) for pair, rows in sorted(found.items())}


def alloy():
    """A random equimolar crystal."""
    atoms = bulk("W", "bcc", a=EDGE, cubic=True) * (4, 4, 4)
    atoms.symbols = np.random.default_rng(0).permutation(np.repeat(list(MELTING), len(atoms) // len(MELTING)))
    return atoms


def main(model: str, path: str) -> None:
    """Print all tables."""
    frames = read(path, ":")
    for symbol in MELTING:
        strained.main(model, symbol, path)
        print()
    found = {symbol: strained.unmoved(frames, symbol) for symbol in MELTING}
    elements = crystal_energies(found, model)
    print(
        "| pair | frames | mean mixing energy, DFT and model (meV/atom) | MAE (meV/atom) |\n| --- | --- | --- | --- |"
    )
    for pair, rows in mixing(frames, elements, model).items():
        dft, own = rows.T
        print(f"| {pair} | {len(rows)} | {dft.mean():.1f}, {own.mean():.1f} | {np.abs(own - dft).mean():.1f} |")
    print()
    print("| 50 ps of NVT | |\n| --- | --- |")
    strict = LatteCalculator.from_pretrained(model, strict=True)
    for symbol, crystals in found.items():
        atoms = bulk(symbol, "bcc", a=strained.usual_edge(crystals), cubic=True) * (3, 3, 3)
        for temperature in (300, round(0.8 * MELTING[symbol])):
            moved = displacement(atoms.copy(), strict, temperature)
            print(f"| {symbol} at {temperature} K | stays in its domain, {moved:.2f} Å from sites |", flush=True)
    moved = displacement(alloy(), LatteCalculator.from_pretrained(model), 300)
    print(f"| Mo-Nb-Ta-W at 300 K | {moved:.2f} Å from sites |")


if __name__ == "__main__":
    main(*sys.argv[1:])
