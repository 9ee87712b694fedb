"""Mobile atoms and degrees of freedom of a structure, and the structures that dynamics refuses."""

from __future__ import annotations

import numpy as np
from ase.constraints import FixAtoms

from latte_ase.simulate.ensembles import ENSEMBLES, Ensemble

STILL = 1e-6
"""Largest ratio of the total momentum to the sum of the momenta of the atoms that counts as zero."""


def mobile_atoms(atoms) -> np.ndarray:
    """Mask of the atoms that FixAtoms does not hold.

    Returns:
        (atoms,) bool.

    Raises:
        NotImplementedError: a constraint other than FixAtoms.
        ValueError: there is no atom, every atom is fixed, or a mobile one has no mass.
    """
    if len(atoms) == 0:
        raise ValueError("The structure has no atoms; at least one is needed.")
    mobile = np.ones(len(atoms), bool)
    for constraint in atoms.constraints:
        if not isinstance(constraint, FixAtoms):
            raise NotImplementedError(
                f"The structure has the constraint {type(constraint).__name__}; dynamics on the device knows only "
                "FixAtoms. Take it off (atoms.set_constraint()), or run ASE's own dynamics (ase.md) with this calculator."
            )
        mobile[constraint.index] = False
    if not mobile.any():
        raise ValueError(f"All {len(atoms)} atoms are fixed; at least one must be free to move.")
    masses = atoms.get_masses()
    wrong = np.flatnonzero(mobile & ~(np.isfinite(masses) & (masses > 0)))
    if len(wrong):
        raise ValueError(
            f"Atom {wrong[0]} ({atoms.symbols[wrong[0]]}) has the mass {masses[wrong[0]]} u; a mobile atom needs one "
            "larger than 0 (atoms.set_masses)."
        )
    return mobile


def degrees_of_freedom(atoms, mobile, ensemble: Ensemble) -> int:
    """Number of degrees of freedom, from which the temperature is computed.

    It is three for each mobile atom, less three where the total momentum is zero and the dynamics conserves it.
    Without periodicity the angular momentum is treated likewise, with two degrees of freedom for linear structures.
    (`Atoms.get_temperature` of ASE does not subtract these.)

    Raises:
        ValueError: there is no degree of freedom; or the thermostat scales velocities, which are all zero.
    """
    if ensemble.scales_velocities and not atoms.get_momenta()[mobile].any():
        raise ValueError(
            f"{type(ensemble).__name__} scales velocities, but all are zero. Set them first, for example with "
            "ase.md.velocitydistribution.MaxwellBoltzmannDistribution."
        )
    freedom = 3 * int(mobile.sum())
    if ensemble.conserves_momentum and mobile.all():
        momenta, arms = atoms.get_momenta(), atoms.positions - atoms.get_center_of_mass()
        size = np.linalg.norm(momenta, axis=1)
        if np.linalg.norm(momenta.sum(axis=0)) <= STILL * size.sum():
            freedom -= 3
            spins = np.linalg.norm(np.cross(arms, momenta).sum(axis=0))
            if not atoms.pbc.any() and spins <= STILL * (size @ np.linalg.norm(arms, axis=1)):
                freedom -= {0: 0, 1: 2}.get(int(np.linalg.matrix_rank(arms, tol=1e-6)), 3)
    if freedom == 0:
        raise ValueError(
            f"The structure has no degree of freedom: {len(atoms)} atom at rest whose momentum is conserved. Give it "
            "a velocity, more atoms, or Langevin dynamics."
        )
    return freedom


def require_fitting(atoms, ensemble: Ensemble, mobile) -> None:
    """Check that an ensemble can be used with a structure.

    Raises:
        TypeError: `ensemble` is not an ensemble.
        ValueError: the ensemble changes the cell, but the cell is not periodic or atoms are fixed in it.
    """
    if not isinstance(ensemble, Ensemble):
        raise TypeError(
            f"ensemble is {ensemble!r}; an object is needed, one of {', '.join(ENSEMBLES)} of latte_ase.simulate, "
            "such as Langevin(temperature_K=300, friction=0.01 / units.fs)."
        )
    name = type(ensemble).__name__
    if ensemble.changes_cell and not atoms.pbc.all():
        raise ValueError(
            f"{name} scales the cell, but pbc is {atoms.pbc.tolist()}. Only a structure that is periodic along all "
            "three directions has a pressure; take a constant-volume ensemble."
        )
    if ensemble.changes_cell and not mobile.all():
        raise ValueError(
            f"{name} scales the cell and all positions with it, but {int((~mobile).sum())} atoms are fixed. Free them, "
            "or take a constant-volume ensemble."
        )
