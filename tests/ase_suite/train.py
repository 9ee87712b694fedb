"""Train the potential that stands in for EMT when ASE's own tests run: python tests/ase_suite/train.py OUT.

EMT (ase.calculators.emt) labels structures that ASE's tests visit when they run with EMT, and others of the
kinds they build: crystals, alloys, surfaces with adsorbates, clusters, molecules, pairs of atoms at all
distances.  The result is OUT/model.safetensors; tests/ase_suite/emt.safetensors is a copy of it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from itertools import combinations_with_replacement, product
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import add_adsorbate, bulk, fcc100, fcc110, fcc111, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.cluster import Octahedron
from ase.collections import g2
from ase.io import read, write
from ase.optimize import FIRE
from run import HERE, files

import latte_ase

METALS = ("Al", "Ni", "Cu", "Pd", "Ag", "Pt", "Au")
LIGHT = ("H", "C", "N", "O")
ADSORBATES = ("H", "C", "N", "O", "CO", "OH", "N2", "H2", "NO", "CO2", "H2O", "NH3", "CH4")

MOST, HIGHEST = 8.0, 6.0  # eV/Angstrom and eV/atom: beyond that EMT is all wall
LARGEST = 40  # atoms

CONFIG = {
    "model": {
        "name": "emt",
        "descriptor": "reduced",
        "contractions": "16,-",  # EMT is a function of sums over neighbours that know no angle
        "n_radial": 12,
        "cutoff": 5.8,
        "hidden": [32, 32],
        "repulsion": False,
    },
    "data": {"train": "train.extxyz", "valid": "valid.extxyz"},
    "training": {
        "epochs": 80,
        "batch_size": 8,
        "rate": 5e-3,
        "weight_decay": 0.0,
        "energy_weight": 300.0,
        "seed": 0,
    },
    "card": {"level_of_theory": "EMT", "data": "labels of ase.calculators.emt.EMT on generated structures"},
}


def crystals(rng):
    """fcc, bcc, hcp and simple cubic metals, strained, rattled, some with vacancies; alloys."""
    for metal in METALS * 20:
        atoms = bulk(metal) * (2, 2, 2)
        atoms.set_cell(atoms.cell.array * rng.uniform(0.95, 1.05), scale_atoms=True)
        yield strained(atoms, rng, 0.02, rng.uniform(0, 0.12))
    for metal, structure in product(METALS, ("fcc", "fcc", "bcc", "hcp", "sc")):
        volume = bulk(metal).get_volume() * rng.uniform(0.75, 1.4)
        edge = (volume * {"fcc": 4, "bcc": 2, "hcp": 2**0.5, "sc": 1}[structure]) ** (1 / 3)
        atoms = bulk(metal, structure, a=edge) * (2, 2, 2)
        yield strained(atoms, rng)
        if structure == "fcc":
            atoms = bulk(metal, "fcc", a=edge, cubic=True) * (2, 1, 1)
            atoms.symbols[rng.integers(len(atoms))] = rng.choice(METALS + LIGHT)
            atoms.symbols[rng.integers(len(atoms))] = rng.choice(METALS)
            del atoms[rng.integers(len(atoms))]
            yield strained(atoms, rng)
    for _ in range(60):
        atoms = bulk("Cu", a=rng.uniform(3.5, 4.2), cubic=True) * (2, 1, 1)
        atoms.symbols = rng.choice(rng.choice(METALS, 2), len(atoms))
        yield strained(atoms, rng)


def strained(atoms, rng, strain=0.03, displacement=0.1):
    """The same, with a general cell and displaced atoms."""
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.normal(0, strain, (3, 3))), scale_atoms=True)
    atoms.positions += rng.normal(0, displacement, (len(atoms), 3))
    return atoms


def surfaces(rng):
    """Slabs with adsorbates at random places and heights, and islands of another metal."""
    for _ in range(220):
        make = (fcc111, fcc100, fcc110)[rng.integers(3)]
        atoms = make(str(rng.choice(METALS)), (2, 2, 3), vacuum=6.0)
        for _ in range(rng.integers(0, 3)):
            guest = molecule(str(rng.choice(ADSORBATES))) if rng.random() < 0.7 else Atoms(str(rng.choice(METALS)))
            guest.rotate(rng.uniform(0, 360), "y")
            guest.rotate(rng.uniform(0, 360), "z")
            spot = rng.uniform(0, 1, 2) @ atoms.cell.array[:2, :2]
            add_adsorbate(atoms, guest, rng.uniform(0.9, 3.0), position=spot)
        atoms.pbc = (True, True, rng.random() < 0.3)
        atoms.positions += rng.normal(0, rng.uniform(0, 0.15), (len(atoms), 3))
        yield atoms


def clusters(rng):
    """Octahedra, also of two metals."""
    for metal in METALS * 4:
        atoms = Octahedron(metal, 3, cutoff=rng.integers(0, 2))
        atoms.symbols[rng.random(len(atoms)) < rng.choice([0, 0.3])] = rng.choice(METALS)
        atoms.positions *= rng.uniform(0.9, 1.1)
        atoms.positions += rng.normal(0, rng.uniform(0, 0.15), (len(atoms), 3))
        yield atoms


def molecules(rng):
    """The g2 molecules of H, C, N, O, distorted, alone and in pairs."""
    names = [n for n in g2.names if set(molecule(n).symbols) <= set(LIGHT)]
    for name in names * 4:
        atoms = molecule(name)
        atoms.positions *= rng.uniform(0.95, 1.25)
        atoms.positions += rng.normal(0, rng.uniform(0, 0.1), (len(atoms), 3))
        if rng.random() < 0.3:
            other = molecule(str(rng.choice(names)))
            other.translate(rng.normal(0, 1, 3) * 4)
            if np.linalg.norm(atoms.positions[:, None] - other.positions, axis=-1).min() > 0.8:
                atoms += other
        yield atoms


def pairs(rng):
    """Two to four atoms of every pair of elements, from the repulsive wall to the cutoff."""
    for a, b in combinations_with_replacement(METALS + LIGHT, 2):
        shortest = 0.5 if {a, b} <= set(LIGHT) else 1.1 if {a, b} & set(LIGHT) else 1.8
        for r in np.linspace(shortest, 5.6, 9) + rng.uniform(0, 0.4, 9):
            yield Atoms([a, b], [(0, 0, 0), (0, 0, r)])
        for _ in range(2):
            yield Atoms([a, b, a, b], rng.uniform(shortest, shortest + 1.5) * np.eye(4)[:, :3])


def visited(file: Path):
    """What ASE's tests visit with EMT."""
    options = ["-p", "emt_recorder", "-p", "no:cacheprovider", "-o", "addopts=", "-q"]
    environment = os.environ | {"PYTHONPATH": str(HERE), "EMT_RECORD": str(file)}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "pytest", *options, *map(str, files())], cwd=folder, env=environment, check=True
        )
    return read(file, ":")


def labelled(seed=0):
    """All of them with EMT's energies and forces, as made and after a few steps downhill.

    Those that are far out on a repulsive wall are left out.
    """
    rng = np.random.default_rng(seed)
    for make in (crystals, surfaces, clusters, molecules, pairs):
        for atoms in make(rng):
            atoms.calc = EMT()
            if usual(atoms):
                yield frame(atoms)
            if make is not pairs:
                FIRE(atoms, logfile=None, maxstep=0.1).run(fmax=0.05, steps=int(rng.integers(4, 16)))
                yield frame(atoms)


def usual(atoms) -> bool:
    """Whether the structure is not far up on a repulsive wall."""
    return np.abs(atoms.get_forces()).max() < MOST and atoms.get_potential_energy() < HIGHEST * len(atoms)


def frame(atoms):
    """A copy that keeps energy and forces."""
    copy = atoms.copy()
    copy.info.clear()
    copy.calc = SinglePointCalculator(copy, energy=atoms.get_potential_energy(), forces=atoms.get_forces())
    return copy


def main(out: Path):
    out.mkdir(parents=True, exist_ok=True)
    frames = list(labelled())
    for atoms in visited(out / "visited.extxyz"):
        atoms.calc = EMT()
        if len(atoms) <= LARGEST and usual(atoms):
            frames.append(frame(atoms))
    held = np.random.default_rng(1).permutation(len(frames)) < len(frames) // 20
    for name, keep in (("train", ~held), ("valid", held)):
        write(out / f"{name}.extxyz", [a for a, k in zip(frames, keep, strict=True) if k])
    alone = {e: Atoms(e, calculator=EMT()).get_potential_energy() for e in METALS + LIGHT}
    config = CONFIG | {"data": {k: str(out / v) for k, v in CONFIG["data"].items()} | {"reference_energies": alone}}
    trained = latte_ase.train(config, out=out).potential
    # EMT is defined at all distances: its stand-in claims no domain of use, and warns of none
    unlimited = trained.constants | {"repulsion_range": np.zeros_like(trained.constants["repulsion_range"])}
    replace(trained, constants=unlimited).save(out / "model.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
