"""Loss and error sums of a batch.

L = w_E <((E - E*)/N)^2>_structures + w_F <(F - F*)^2>_components + w_S <(s - s*)^2>_components
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from latte_ase.dataset import Batch
from latte_ase.derivatives import derivatives
from latte_ase.potential import Architecture


class Errors(NamedTuple):
    """Sums over a batch; add them over batches, then divide.

    Attributes:
        energy_abs, energy_sq: of |E - E*|/N in eV/atom and its square, over structures.
        forces_abs, forces_sq: of |F - F*| in eV/Angstrom and its square, over components.
        stress_sq: of (s - s*)^2 in eV^2/Angstrom^6, over components.
        n_energy, n_forces, n_stress: numbers of terms in the sums.
    """

    energy_abs: Any
    energy_sq: Any
    forces_abs: Any
    forces_sq: Any
    stress_sq: Any
    n_energy: Any
    n_forces: Any
    n_stress: Any


def errors(architecture: Architecture, params, constants, batch: Batch) -> Errors:
    """Error sums of a batch; see `Errors`."""
    graph, size = batch.graph, len(batch.energy)
    zero = jnp.zeros((*graph.is_atom.shape, 3), graph.is_atom.dtype)
    unit = jnp.broadcast_to(jnp.eye(3, dtype=zero.dtype), (size, 3, 3))
    result = derivatives(architecture, params, constants, graph, zero, unit)
    owner = graph.structure.reshape(-1)
    total = jax.ops.segment_sum(result.energies.reshape(-1), owner, size)
    virial = jax.ops.segment_sum(result.virials.reshape(-1, 3, 3), owner, size)
    stress = 0.5 * (virial + jnp.swapaxes(virial, 1, 2)) / batch.volume[:, None, None]
    energy = batch.has_energy * (total - batch.energy) / batch.n_atoms
    forces = batch.has_forces[..., None] * (result.forces - batch.forces)
    stress = batch.has_stress[:, None, None] * (stress - batch.stress)
    return Errors(
        jnp.abs(energy).sum(),
        (energy**2).sum(),
        jnp.abs(forces).sum(),
        (forces**2).sum(),
        (stress**2).sum(),
        batch.has_energy.sum(),
        3 * batch.has_forces.sum(),
        9 * batch.has_stress.sum(),
    )


def loss(sums: Errors, weights: tuple[float, float, float]):
    """Weighted mean squared errors; weights of energy, forces, stress."""
    means = (
        sums.energy_sq / jnp.maximum(sums.n_energy, 1),
        sums.forces_sq / jnp.maximum(sums.n_forces, 1),
        sums.stress_sq / jnp.maximum(sums.n_stress, 1),
    )
    return sum(w * m for w, m in zip(weights, means, strict=True))
