"""Train the potential that stands in for EMT when ASE's own tests run: python tests/ase_suite/train.py OUT.

EMT (ase.calculators.emt) labels structures that ASE's tests visit when they run with EMT or with the present
stand-in (tests/ase_suite/emt.safetensors), and others of the kinds they build: crystals, alloys, surfaces with
adsorbates, clusters, molecules, pairs of atoms at all distances, also with atoms too close to each other.  The
result is OUT/model.safetensors, made as tests/ase_suite/emt.safetensors was: in three rounds, each from the weights of the one
before, the last two with forces up to 80 eV/Angstrom too; the weights are a mean of the last two rounds (see README.md).
Two hours on two cores.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from itertools import combinations_with_replacement, product
from pathlib import Path

import jax
import numpy as np
from ase import Atoms
from ase.build import add_adsorbate, bulk, fcc100, fcc110, fcc111, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.cluster import Octahedron
from ase.collections import g2
from ase.io import read, write
from ase.optimize import FIRE
from embedded_atom import table
from run import HERE, files

import latte_ase
from latte_ase.io.model_file import save_model
from latte_ase.training.config import load_config
from latte_ase.training.dataset import prepare
from latte_ase.training.fit import fit
from latte_ase.training.folder import TrainingFolder
from latte_ase.training.history import epoch_bar

METALS = ("Al", "Ni", "Cu", "Pd", "Ag", "Pt", "Au")
LIGHT = ("H", "C", "N", "O")
ADSORBATES = ("H", "C", "N", "O", "CO", "OH", "N2", "H2", "NO", "CO2", "H2O", "NH3", "CH4")

MOST, HIGHEST = 20.0, 30.0  # largest force in eV/Angstrom of the first round, and energy in eV/atom
WALLS = 80.0  # the same of the others
ROUNDS = ((MOST, 40, 5e-3), (WALLS, 50, 4e-3), (WALLS, 36, 2.5e-3))  # largest force, epochs, rate
LAST = 0.7  # share of the last round in the weights
LARGEST = 64  # atoms
HARDEST = (
    "constraints/test_CO2linear_Au111.py",
    "constraints/test_fixinternals.py",
    "neb/test_dynamic_neb.py",
    "optimize/test_cellawarebfgs.py",
    "optimize/test_climb_fix_internals.py",
    "optimize/test_fire.py",
)

CONFIG = {
    "model": {
        "name": "emt",
        "descriptor": "embedded-atom",
        "cutoff": 5.85,
        "hidden": [32, 32],
        "linear": True,
        "repulsion": False,
        **table(METALS + LIGHT),
    },
    "data": {"train": "train.extxyz", "valid": "valid.extxyz"},
    "training": {"batch_size": 8, "optimiser": "adamw", "energy_weight": 50.0, "huber": 0.3, "seed": 0},
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


def far_out(rng):
    """Molecules, crystals, adatoms and clusters with atoms much too close to each other."""
    for name in [n for n in g2.names if set(molecule(n).symbols) <= set(LIGHT)] * 3:
        atoms = molecule(name)
        atoms.positions += rng.normal(0, rng.uniform(0.1, 0.35), atoms.positions.shape)
        yield atoms
    for metal in METALS * 12:
        atoms = bulk(metal) * (2, 2, 2)
        atoms.positions[0] += rng.normal(0, 0.5, 3)
        atoms.set_cell(atoms.cell.array * rng.uniform(0.94, 1.05), scale_atoms=True)
        atoms.positions += rng.normal(0, rng.uniform(0, 0.1), atoms.positions.shape)
        yield atoms
    for metal in METALS * 16:
        make = (fcc111, fcc100, fcc110)[rng.integers(3)]
        atoms = make(metal, (2, 2, int(rng.integers(1, 3))), vacuum=8.0)
        guest = metal if rng.random() < 0.5 else str(rng.choice(METALS + LIGHT))
        spot = rng.uniform(0, 1, 2) @ atoms.cell.array[:2, :2]
        add_adsorbate(atoms, guest, rng.uniform(0.9, 2.6), position=spot)
        atoms.positions += rng.normal(0, rng.uniform(0, 0.05), atoms.positions.shape)
        yield atoms
    for metal in METALS * 12:
        count = int(rng.integers(3, 14))
        atoms = Atoms(f"{metal}{count}", 2.2 * rng.normal(0, 1, (count, 3)))
        while min(atoms.get_all_distances()[np.triu_indices(count, 1)]) < 1.9:
            atoms.positions *= 1.03
        yield atoms
    for a, b in product(METALS + LIGHT, repeat=2):
        shortest = 0.5 if {a, b} <= set(LIGHT) else 0.9 if {a, b} & set(LIGHT) else 1.4
        for r in rng.uniform(shortest, shortest + 1.2, 3):
            yield Atoms([a, b], [(0, 0, 0), (0, 0, r)])


def visited(file: Path, tests=(), plugins=(), per_test=60):
    """What ASE's tests visit with EMT, or with the stand-in by the plugin `emt_substitute`; default all tests."""
    options = [part for name in (*plugins, "emt_recorder", "no:cacheprovider") for part in ("-p", name)]
    options += ["-o", "addopts=", "-q", "--timeout", "45", "--timeout-method", "signal"]
    environment = os.environ | {"PYTHONPATH": str(HERE), "EMT_RECORD": str(file), "EMT_PER_TEST": str(per_test)}
    chosen = [path for path in files() if not tests or str(path).endswith(tests)]
    with tempfile.TemporaryDirectory() as folder:  # tests may fail with the stand-in: that is why it is trained
        subprocess.run([sys.executable, "-m", "pytest", *options, *map(str, chosen)], cwd=folder, env=environment)
    return list(read(file, ":"))


def generated(rng):
    """All kinds, as made and, but for those with atoms too close, after a few steps downhill."""
    for make in (crystals, surfaces, clusters, molecules, pairs, far_out):
        for atoms in make(rng):
            yield atoms
            if make not in (pairs, far_out):
                atoms = atoms.copy()
                atoms.calc = EMT()
                if usual(atoms):
                    FIRE(atoms, logfile=os.devnull, maxstep=0.1).run(fmax=0.05, steps=int(rng.integers(4, 16)))
                    yield atoms


def usual(atoms, most=MOST) -> bool:
    """Whether the structure is not farther up on a repulsive wall."""
    return np.abs(atoms.get_forces()).max() < most and atoms.get_potential_energy() < HIGHEST * len(atoms)


def labelled(structures):
    """Copies with EMT's energies and forces; what is too high or too large is left out."""
    frames = []
    for atoms in structures:
        copy = atoms.copy()
        copy.info.clear()
        copy.calc = EMT()
        if len(copy) <= LARGEST and usual(copy, WALLS):
            energy, forces = copy.get_potential_energy(), copy.get_forces()
            copy.calc = SinglePointCalculator(copy, energy=energy, forces=forces)
            frames.append(copy)
    return frames


def main(out: Path):
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    structures = [*generated(rng), *visited(out / "emt.extxyz")]
    structures += visited(out / "substitute.extxyz", plugins=("emt_substitute",))
    structures += visited(out / "hard.extxyz", HARDEST, per_test=300)
    structures += visited(out / "hard_substitute.extxyz", HARDEST, ("emt_substitute",), per_test=300)
    frames = labelled(structures)
    # of dimers and small clusters, most are far from anything that is relaxed
    held = np.array([len(a) > 4 for a in frames]) & (rng.random(len(frames)) < 0.04)
    sets = [[a for a, k in zip(frames, keep, strict=True) if k] for keep in (~held, held)]
    rounds = list(trained(sets, out))
    params = jax.tree.map(lambda a, b: (1 - LAST) * a + LAST * b, *(p.params for p in rounds[-2:]))
    # EMT is defined at all distances: its stand-in claims no domain of use, and warns of none
    constants = rounds[-1].constants
    unlimited = constants | {"repulsion_range": np.zeros_like(constants["repulsion_range"])}
    save_model(replace(rounds[-1], params=params, constants=unlimited), out / "model.safetensors")


def trained(sets, out: Path):
    """The potential after every round; a round's frames and what it writes are in OUT/round1 and so on."""
    alone = {e: Atoms(e, calculator=EMT()).get_potential_energy() for e in METALS + LIGHT}
    potential = None
    for number, (most, epochs, rate) in enumerate(ROUNDS, start=1):
        folder = out / f"round{number}"
        folder.mkdir(exist_ok=True)
        chosen = [[a for a in frames if usual(a, most)] for frames in sets]
        data = {"train": str(folder / "train.extxyz"), "valid": str(folder / "valid.extxyz")}
        for path, frames in zip(data.values(), chosen, strict=True):
            write(path, frames)
        training = CONFIG["training"] | {"epochs": epochs, "rate": rate}
        config = CONFIG | {"data": data | {"reference_energies": alone}, "training": training}
        if potential is None:
            potential = latte_ase.train(config, out=folder).potential
        else:
            prepared = [prepare(potential, frames) for frames in chosen]
            place, settings = TrainingFolder(folder, f"round {number}", epochs), load_config(config).training
            with epoch_bar(f"round {number}", epochs) as show:
                potential = fit(potential, settings, *prepared, folder=place, report=show).potential
        yield potential


if __name__ == "__main__":
    main(Path(sys.argv[1]))
