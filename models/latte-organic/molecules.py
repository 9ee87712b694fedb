"""The molecules that latte-organic is taught and those that judge it.

Sources: a public list of SMILES (one per line), `small.smi` beside this file, and capped peptides of one and two residues.  A molecule
whose canonical SMILES, or that of its neutral form, has a SHA-256 that begins with 00 to 0c belongs to the test list.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import product
from pathlib import Path

import numpy as np
from rdkit import Chem, RDLogger
from rdkit.Chem.MolStandardize import rdMolStandardize

ELEMENTS = frozenset(["H", "C", "N", "O", "F", "P", "S", "Cl"])
ION_SHARE = 5
"""Of 16 singly charged molecules of the list that are kept."""
SIDE_CHAINS = (
    "", "C", "C(C)C", "CC(C)C", "[C@@H](C)CC", "Cc1ccccc1", "Cc1ccc(O)cc1", "Cc1c[nH]c2ccccc12", "CO", "[C@@H](C)O", "CS", "CCSC",
    "CC(N)=O", "CCC(N)=O", "Cc1c[nH]cn1", "CC(=O)O", "CCC(=O)O", "CC(=O)[O-]", "CCC(=O)[O-]", "CCCC[NH3+]", "CCCNC(N)=[NH2+]",
    "Cc1c[nH]c[nH+]1",
)  # fmt: skip
"""Of the amino acids but proline, in several states of protonation."""


@dataclass(frozen=True)
class Molecule:
    """A molecule and how many frames of it are wanted.

    Attributes:
        smiles: canonical SMILES.
        charge: total charge, in e.
        frames: number of structures.
    """

    smiles: str
    charge: int
    frames: int

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical SMILES."""
        return sha256(self.smiles.encode()).hexdigest()


def read(smiles: str, frames: int = 2) -> Molecule | None:
    """Molecule of a SMILES; None for other elements, radicals, salts, charges beyond one, or what RDKit cannot read."""
    found = Chem.MolFromSmiles(smiles)
    if found is None or "." in smiles or abs(Chem.GetFormalCharge(found)) > 1:
        return None
    if any(atom.GetSymbol() not in ELEMENTS or atom.GetNumRadicalElectrons() for atom in found.GetAtoms()):
        return None
    return Molecule(Chem.MolToSmiles(found), Chem.GetFormalCharge(found), frames)


def in_test_list(molecule: Molecule) -> bool:
    """Whether this molecule, or the same one with other protons, judges."""
    neutral = Chem.MolToSmiles(rdMolStandardize.Uncharger().uncharge(Chem.MolFromSmiles(molecule.smiles)))
    return any(sha256(smiles.encode()).hexdigest()[:2] <= "0c" for smiles in (molecule.smiles, neutral))


def listed(path: Path) -> Iterator[Molecule]:
    """Molecules of the public list; more frames where there is phosphorus, fewer ions than there are."""
    for line in path.read_text().split("\n"):
        found = read(line.split()[0]) if line.split() else None
        if found is None or (found.charge and int(found.digest[-1], 16) >= ION_SHARE):
            continue
        yield Molecule(found.smiles, found.charge, 6 if "P" in found.smiles or "p" in found.smiles else 2)


def small() -> list[Molecule]:
    """Small molecules, solvents and common ions of `small.smi`."""
    lines = Path(__file__).with_name("small.smi").read_text().split("\n")
    return [found for line in lines if line and (found := read(line.split()[0], frames=10))]


def peptides() -> list[Molecule]:
    """All capped amino acids, and every fifth capped pair of them."""
    residues = [f"N[C@@H]({chain})C(=O)" if chain else "NCC(=O)" for chain in SIDE_CHAINS] + ["N1CCC[C@H]1C(=O)"]
    pairs = [first + second for first, second in product(residues, residues)][::5]
    found = [read(f"CC(=O){residue}NC", frames=10) for residue in residues]
    return [m for m in found + [read(f"CC(=O){pair}NC", frames=3) for pair in pairs] if m]


def all_molecules(path: Path) -> tuple[list[Molecule], list[Molecule]]:
    """Molecules to learn and molecules of the test list, each once, in a random order that is always the same."""
    RDLogger.DisableLog("rdApp.*")
    unique = {m.smiles: m for m in [*listed(path), *peptides(), *small()]}
    ordered = [unique[smiles] for smiles in sorted(unique)]
    shuffled = [ordered[k] for k in np.random.default_rng(0).permutation(len(ordered))]
    test = [in_test_list(m) for m in shuffled]
    return [m for m, t in zip(shuffled, test, strict=True) if not t], [
        m for m, t in zip(shuffled, test, strict=True) if t
    ]
