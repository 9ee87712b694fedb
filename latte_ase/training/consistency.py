"""Weak supervision by consistency: energies of displaced structures, for which there are no labels.

    Taylor (PITC):   E(r + u)                  =  E(r) - <u, F(r)>
    spatial (PISC):  E(r + v) - <u - v, F(r + v)>  =  E(r) - <u, F(r)>

with random displacements u, v of all atoms; the loss is the mean square of the difference per atom (arXiv:2405.08215, as
described there in words).  Where forces are the gradient of the energy both differences are of order |u|^2, so for these
potentials this is a smoothness prior, which helps most where labels are few or forces are missing.  How displacements were
drawn is not published: here every atom moves by the same length, in a direction of its own.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from latte_ase.model.derivatives import OfStructures, energies, of_structures
from latte_ase.model.program import Motion, Program, Weights
from latte_ase.training.batches import Batch
from latte_ase.training.config import TrainingConfig


def inconsistency(
    program: Program, weights: Weights, batch: Batch, predicted: OfStructures, key, config: TrainingConfig
):
    """Weighted sum of squares of both differences per atom over the structures of a batch, and their number.

    Args:
        program, weights: the potential.
        batch: structures, with pairs up to the cutoff and `config.skin`.
        predicted: predictions for the structures without displacements.
        key: random key of the displacements.
        config: `displacement` in Angstrom; `taylor_weight` and `spatial_weight`.
    """
    taylor, spatial = differences(program, weights, batch, predicted, key, config.displacement)
    n_structures = (_per_structure(batch.graph.is_atom, batch) > 0).sum()  # a batch may have room for more
    return config.taylor_weight * (taylor**2).sum() + config.spatial_weight * (spatial**2).sum(), n_structures


def differences(program: Program, weights: Weights, batch: Batch, predicted: OfStructures, key, displacement: float):
    """Both differences per structure and atom, (structures,) each in eV/atom; arguments as `inconsistency`."""
    u, v = (displacement * _directions(k, batch) for k in jax.random.split(key))
    displaced = energies(program, weights, batch.graph, Motion(u))
    elsewhere = of_structures(program, weights, batch.graph, len(batch.energy), Motion(v))
    expected = predicted.energy - _per_structure((u * predicted.forces).sum(axis=-1), batch)
    taylor = _per_structure(displaced, batch) - expected
    spatial = elsewhere.energy - _per_structure(((u - v) * elsewhere.forces).sum(axis=-1), batch) - expected
    return taylor / batch.n_atoms, spatial / batch.n_atoms


def _per_structure(values, batch: Batch):
    """Sums over structures (structures,) of values of atoms (blocks, block)."""
    return jax.ops.segment_sum(values.reshape(-1), batch.graph.structure.reshape(-1), len(batch.energy))


def _directions(key, batch: Batch):
    """Random unit vectors (blocks, block, 3), uniform on the sphere."""
    normal = jax.random.normal(key, batch.forces.shape, batch.forces.dtype)
    return normal / jnp.linalg.norm(normal, axis=-1, keepdims=True)
