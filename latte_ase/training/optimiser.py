"""Optimisers: Muon for matrices, Adam for all else; with clipping, warm-up and a cosine.

Muon replaces the gradient of a matrix, averaged over the last steps, by the nearest matrix with orthonormal rows or
columns, found by five steps of a Newton-Schulz iteration (K. Jordan et al., kellerjordan.github.io/posts/muon, 2024), so
that an update has the same size in all directions, and not in the few that the gradient prefers.  Scaled to the root mean
square of Adam's usual update (arXiv:2502.16982), it takes the same rate.
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
"""Root mean square of an update at rate 1: that of Adam (arXiv:2502.16982)."""


def optimiser(config: TrainingConfig, n_steps: int) -> optax.GradientTransformation:
    """The optimiser of this configuration; decay acts on weight matrices only.

    Args:
        config: which one, rates and weights.
        n_steps: length of the schedule.
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
    """Raise ValueError where `mixing_decay` would do nothing to what is trained, or move a mixing that is to stay random."""
    descriptor = potential.architecture.descriptor
    there = any(jax.tree.leaves(_named("mixing")(trained)))
    if config.mixing_decay > 0 and (not there or getattr(descriptor, "mixing", "") == "random"):
        raise ValueError(
            f"mixing_decay is {config.mixing_decay}, but no mixing of {type(descriptor).__name__} is learned here. Set it to 0; to "
            "leave it out is not enough where a preset has it."
        )


def _named(kind: str):
    """A function that tells which parameters are matrices of this kind, or factors of their changes: a tree of bool."""
    return partial(jax.tree_util.tree_map_with_path, lambda path, _: kind in jax.tree_util.keystr(path))


def _matrices(params):
    """Axes of the parameters that are matrices, None of the others; a matrix with one row or column is a vector."""

    def axes(path, leaf):
        if path and path[-1].key in MATRICES and leaf.ndim >= 2 and min(leaf.shape[-2:]) > 1:
            return MuonDimensionNumbers(leaf.ndim - 2, leaf.ndim - 1)
        return None

    return jax.tree_util.tree_map_with_path(axes, params)
