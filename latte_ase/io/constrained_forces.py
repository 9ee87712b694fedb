"""Which components of stored forces a constraint took away.

ASE's `atoms.get_forces()` applies the constraints of the structure: it projects the forces, f -> P f, and what was taken away is
lost.  Forces that were stored this way obey P f = f, where true forces do not.  What a constraint acts on is found with
random forces r: the components where P r differs from r.
"""

from __future__ import annotations

from copy import deepcopy

import numpy as np
from ase import Atoms
from ase.constraints import FixCom, FixSymmetry

OBEYED = (FixCom, FixSymmetry)
"""Constraints that true forces obey by themselves: they sum up to 0, and have the symmetry of the structure."""
ROUNDED = 1e-5
"""eV/Angstrom: forces that differ by less are the same; files keep five digits or more."""


def known_components(atoms: Atoms, forces: np.ndarray) -> np.ndarray:
    """(atoms, 3) components of stored forces that no constraint of the structure took away.

    Where true forces happen to obey the constraints, for instance by symmetry, the components on which these act count as
    taken away; springs and external forces (`Hookean`, `ExternalForce`), which add forces, cannot be told from the numbers.

    Args:
        atoms: structure with its constraints.
        forces: (atoms, 3) eV/Angstrom, as they are stored.
    """
    constraints = [
        deepcopy(c) for c in atoms.constraints if type(c) not in OBEYED
    ]  # some note what they were applied to
    constraints = [c for c in constraints if not _changed(c, atoms, np.zeros_like(forces)).any()]
    taken = np.zeros(forces.shape, bool)
    for constraint in constraints:
        if _changed(constraint, atoms, forces).any():
            return np.ones(forces.shape, bool)
        taken |= _changed(constraint, atoms, np.random.default_rng(0).normal(size=forces.shape))
    return ~taken


def _changed(constraint, atoms: Atoms, forces: np.ndarray) -> np.ndarray:
    """(atoms, 3) components that the constraint changes."""
    adjusted = forces.copy()
    constraint.adjust_forces(atoms, adjusted)
    return np.abs(adjusted - forces) > ROUNDED
