"""Molecules that a text stands for: `smiles:CCO`, for which RDKit makes a conformer, and `molecule:CH3CH2OH`, a name that ASE knows."""

from __future__ import annotations

import difflib

import numpy as np
from ase import Atoms
from ase.build import molecule
from ase.collections import g2

SMILES, NAME = "smiles:", "molecule:"
CONFORMERS = 5
"""Of a SMILES string, of which the best is taken."""


def is_named_molecule(source: str) -> bool:
    """Whether a text stands for a molecule and not for a file."""
    return source.startswith((SMILES, NAME))


def named_molecule(source: str) -> Atoms:
    """Structure of a molecule, without cell.

    Args:
        source: "smiles:" and a SMILES string, or "molecule:" and a name that `ase.build.molecule` knows.

    Returns:
        The structure.  Of a SMILES string it is the conformer of lowest energy of a few, relaxed with the force field MMFF94, and
        `info["charge"]` is its formal charge; the same one for the same string and version of RDKit.

    Raises:
        ImportError: RDKit, which a SMILES string needs, is missing.
        ValueError: ASE has no molecule of that name, or the string is no SMILES, or no conformer can be made of it.
    """
    if source.startswith(SMILES):
        return _of_smiles(source.removeprefix(SMILES))
    name = source.removeprefix(NAME)
    if name not in g2.names:
        close = difflib.get_close_matches(name, g2.names, n=3)
        hint = f" Did you mean {' or '.join(close)}?" if close else ""
        raise ValueError(
            f"ASE has no molecule {name!r}.{hint} It knows those of ase.build.molecule, such as CH3CH2OH and C6H6; give others as SMILES, "
            "such as smiles:CCO."
        )
    return molecule(name)


def _of_smiles(smiles: str) -> Atoms:
    try:
        from rdkit import Chem, rdBase
        from rdkit.Chem import rdDistGeom, rdForceFieldHelpers
    except ImportError as error:
        raise ImportError(
            f"{SMILES}{smiles} needs the package rdkit: pip install 'latte_ase[molecules]'. Without it give a name that ASE knows, such "
            f"as {NAME}CH3CH2OH, or a file."
        ) from error
    with rdBase.BlockLogs():  # what is wrong is raised
        plain = Chem.MolFromSmiles(smiles)
        if plain is None or not plain.GetNumAtoms():
            raise ValueError(
                f"{smiles!r} is no SMILES string that RDKit {rdBase.rdkitVersion} reads; ethanol is smiles:CCO."
            )
        whole = Chem.AddHs(plain)
        found = list(rdDistGeom.EmbedMultipleConfs(whole, CONFORMERS, randomSeed=1))
        if not found:
            raise ValueError(
                f"RDKit finds no conformer of {smiles!r}. Make a structure of it in another way, and give its file."
            )
        if rdForceFieldHelpers.MMFFHasAllMoleculeParams(whole):
            energies = [energy for _, energy in rdForceFieldHelpers.MMFFOptimizeMoleculeConfs(whole, maxIters=2000)]
            found = [found[int(np.argmin(energies))]]
    numbers = [atom.GetAtomicNum() for atom in whole.GetAtoms()]
    positions = whole.GetConformer(found[0]).GetPositions()
    return Atoms(numbers, positions, info={"charge": Chem.GetFormalCharge(whole)})
