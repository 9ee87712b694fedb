"""Optimisers: Muon for matrices and Adam for other parameters, with clipping, warm-up and a cosine schedule.

Muon replaces the gradient of a matrix, averaged over the last steps, by the closest matrix with orthonormal rows or
columns, from five steps of a Newton-Schulz iteration (K. Jordan et al., kellerjordan.github.io/posts/muon, 2024), so
that an update has the same size in all directions.  The update is scaled to the root mean square of a typical update of
Adam (arXiv:2502.16982), so that the learning rates are the same.
"""

from __future__ import annotations

from functools import partial

import jax
import optax
from optax.contrib import MuonDimensionNumbers, muon

from latte_ase.model.potential import Potential
from latte_ase.training.config import TrainingConfig
from latte_ase.training.parametrisation import MATRICES

RMS = 0.2
"""Root mean square of an update at a learning rate of 1, that of Adam (arXiv:2502.16982)."""


def optimiser(config: TrainingConfig, n_steps: int) -> optax.GradientTransformation:
    """Optimiser of a configuration; weight decay acts on matrices only.

    Args:
        config: kind of optimiser, learning rate and weight decay.
        n_steps: length of the schedule in steps.
    """
    warm = max(1, round(config.warmup * n_steps))
    rate = optax.warmup_cosine_decay_schedule(
        0.05 * config.rate, config.rate, warm, max(n_steps, warm + 1), 0.01 * config.rate
    )
    descent = optax.adam(1.0)
    if config.optimiser == "muon":
        descent = muon(1.0, consistent_rms=RMS, muon_weight_dimension_numbers=_matrices)
    return optax.chain(
        optax.clip_by_global_norm(config.clip),
        descent,
        optax.add_decayed_weights(-config.weight_decay, mask=_named("kernel")),
        optax.add_decayed_weights(-config.mixing_decay, mask=_named("mixing")),
        optax.scale_by_schedule(rate),
    )


def refuse_idle_decay(config: TrainingConfig, potential: Potential, trained) -> None:
    """Check that `mixing_decay` has parameters to act on; ValueError where it has none, or where they stay random."""
    descriptor = potential.architecture.descriptor
    there = any(jax.tree.leaves(_named("mixing")(trained)))
    if config.mixing_decay > 0 and (not there or getattr(descriptor, "mixing", "") == "random"):
        raise ValueError(
            f"mixing_decay is {config.mixing_decay}, but no mixing of {type(descriptor).__name__} is learned here. Set it to 0; to "
            "leave it out is not enough where a preset has it."
        )


def _named(kind: str):
    """Function that masks the parameters that are matrices of a kind, or factors of their changes: a tree of bool."""
    return partial(jax.tree_util.tree_map_with_path, lambda path, _: kind in jax.tree_util.keystr(path))


def _matrices(params):
    """Matrix axes of parameters; None for those that are no matrices, or have only one row or column."""

    def axes(path, leaf):
        if path and path[-1].key in MATRICES and leaf.ndim >= 2 and min(leaf.shape[-2:]) > 1:
            return MuonDimensionNumbers(leaf.ndim - 2, leaf.ndim - 1)
        return None

    return jax.tree_util.tree_map_with_path(axes, params)
