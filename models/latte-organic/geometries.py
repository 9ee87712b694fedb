"""Structures of molecules, dimers and clusters, moved by the force field MMFF at many temperatures."""

from collections.abc import Iterator, Sequence

import numpy as np
from ase import Atoms, units
from ase.data import vdw_radii
from molecules import Molecule
from rdkit import Chem
from rdkit.Chem import AllChem, rdForceFieldHelpers
from scipy.spatial.transform import Rotation

WATER = Molecule("O", 0, 1)
FRICTION, TIMESTEP, STEPS = 0.02, 1.0, 300
"""Per fs, fs, and steps of Langevin dynamics before a structure is taken."""
KCAL = units.kcal / units.mol
SMALL = 10
"""Heavy atoms that a molecule of a dimer has at most."""


def embedded(molecule: Molecule, rng: np.random.Generator) -> Chem.Mol | None:
    """A conformer by ETKDG, relaxed by MMFF; None where there is none, or MMFF does not know its atoms."""
    made = Chem.AddHs(Chem.MolFromSmiles(molecule.smiles))
    if AllChem.EmbedMolecule(made, randomSeed=int(rng.integers(2**31)), maxAttempts=3):
        return None
    if rdForceFieldHelpers.MMFFGetMoleculeProperties(made) is None:
        return None
    rdForceFieldHelpers.MMFFOptimizeMolecule(made)
    return made


def as_atoms(made: Chem.Mol, positions: np.ndarray, **info) -> Atoms:
    """Structure with its total charge, for the teacher, and what else is known of it."""
    atoms = Atoms([atom.GetSymbol() for atom in made.GetAtoms()], positions)
    atoms.info = {"charge": Chem.GetFormalCharge(made), **info}
    return atoms


def moved(made: Chem.Mol, temperature: float, rng: np.random.Generator, *, steps: int = STEPS) -> np.ndarray:
    """Positions after Langevin dynamics (BAOAB, Leimkuhler and Matthews, doi 10.1093/amrx/abs010) with MMFF."""
    properties = rdForceFieldHelpers.MMFFGetMoleculeProperties(made)
    field = rdForceFieldHelpers.MMFFGetMoleculeForceField(made, properties, ignoreInterfragInteractions=False)
    conformer = made.GetConformer()
    x = conformer.GetPositions()
    masses = np.array([atom.GetMass() for atom in made.GetAtoms()])[:, None]
    dt = TIMESTEP * units.fs
    kept = np.exp(-FRICTION * TIMESTEP)
    kick = np.sqrt((1 - kept**2) * units.kB * temperature / masses)
    v = np.sqrt(units.kB * temperature / masses) * rng.normal(size=x.shape)

    def acceleration(x: np.ndarray) -> np.ndarray:
        conformer.SetPositions(x)
        field.Initialize()  # CalcGrad alone uses the distances of an earlier call
        return -KCAL * np.reshape(field.CalcGrad(), (-1, 3)) / masses

    a = acceleration(x)
    for _ in range(steps):
        v = v + dt / 2 * a
        x = x + dt / 2 * v
        v = kept * v + kick * rng.normal(size=x.shape)
        x = x + dt / 2 * v
        a = acceleration(x)
        v = v + dt / 2 * a
    return x


def conformers(molecule: Molecule, rng: np.random.Generator, temperatures: tuple[float, float]) -> Iterator[Atoms]:
    """One structure for each frame that is wanted, a new conformer for every second, at random temperatures (K)."""
    made = None
    for k in range(molecule.frames):
        if k % 2 == 0:
            made = embedded(molecule, rng)
        if made is None:
            return
        temperature = rng.uniform(*temperatures)
        kind = "ion" if molecule.charge else "molecule"
        yield as_atoms(made, moved(Chem.Mol(made), temperature, rng), kind=kind, temperature=round(temperature))


def at_contact(fixed: Chem.Mol, other: Chem.Mol, closeness: float, rng: np.random.Generator) -> Chem.Mol:
    """Both; the other is turned at random and brought up from a random direction until the distance of one pair is `closeness` times
    the sum of their van der Waals radii."""
    x, y = fixed.GetConformer().GetPositions(), other.GetConformer().GetPositions()
    turned = x.mean(0) + (y - y.mean(0)) @ Rotation.random(rng=rng).as_matrix()
    direction = rng.normal(size=3)
    direction /= np.linalg.norm(direction)
    radii = [np.array([vdw_radii[atom.GetAtomicNum()] for atom in m.GetAtoms()]) for m in (fixed, other)]
    allowed = closeness * (radii[0][:, None] + radii[1])
    placed = turned
    for distance in np.arange(30.0, 0.0, -0.1):
        placed = turned + distance * direction
        if (np.linalg.norm(x[:, None] - placed, axis=-1) < allowed).any():
            break
    both = Chem.CombineMols(fixed, other)
    both.GetConformer().SetPositions(np.concatenate([x, placed]))
    Chem.SanitizeMol(both)
    return both


def dimers(
    molecules: Sequence[Molecule], count: int, rng: np.random.Generator, temperatures: tuple[float, float]
) -> Iterator[Atoms]:
    """Pairs of small molecules, every third with water: half as they were placed, half moved by MMFF."""
    choice = [m for m in molecules if Chem.MolFromSmiles(m.smiles).GetNumHeavyAtoms() <= SMALL]
    for k in range(count):
        pair = [choice[i] for i in rng.integers(len(choice), size=2)]
        if k % 3 == 0:
            pair[1] = WATER
        parts = [embedded(molecule, rng) for molecule in pair]
        if abs(sum(molecule.charge for molecule in pair)) > 1 or None in parts:
            continue
        temperature = rng.uniform(*temperatures)
        for part in parts:
            part.GetConformer().SetPositions(moved(Chem.Mol(part), temperature, rng, steps=STEPS // 3))
        both = at_contact(*parts, rng.uniform(0.7, 1.3), rng)
        x = both.GetConformer().GetPositions() if k % 2 else moved(Chem.Mol(both), temperature, rng)
        yield as_atoms(both, x, kind="dimer", temperature=round(temperature))


def clusters(
    molecules: Sequence[Molecule], count: int, rng: np.random.Generator, temperatures: tuple[float, float]
) -> Iterator[Atoms]:
    """Three to ten molecules of water, or a molecule with two to eight of them, or three to five of one small molecule."""
    choice = [m for m in molecules if Chem.MolFromSmiles(m.smiles).GetNumHeavyAtoms() <= SMALL]
    neutral = [m for m in choice if not m.charge and Chem.MolFromSmiles(m.smiles).GetNumHeavyAtoms() <= 5] or [WATER]
    for k in range(count):
        some, one = choice[rng.integers(len(choice))], neutral[rng.integers(len(neutral))]
        names = [[WATER] * rng.integers(3, 11), [some] + [WATER] * rng.integers(2, 9), [one] * rng.integers(3, 6)][
            k % 3
        ]
        parts = [embedded(molecule, rng) for molecule in names]
        if None in parts:
            continue
        made = parts[0]
        for part in parts[1:]:
            made = at_contact(made, part, 0.9, rng)
        temperature = rng.uniform(min(300.0, temperatures[0]), min(500.0, temperatures[1]))
        yield as_atoms(made, moved(Chem.Mol(made), temperature, rng), kind="cluster", temperature=round(temperature))


def structures(
    molecules: Sequence[Molecule], rng: np.random.Generator, temperatures: tuple[float, float]
) -> Iterator[Atoms]:
    """Frames of each molecule, and for a hundred molecules fifty pairs and fifteen clusters."""
    for molecule in molecules:
        for atoms in conformers(molecule, rng, temperatures):
            atoms.info["molecule"] = f"m{molecule.digest[:12]}"
            yield atoms
    yield from dimers(molecules, len(molecules) // 2, rng, temperatures)
    yield from clusters(molecules, 15 * len(molecules) // 100, rng, temperatures)
