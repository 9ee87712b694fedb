"""One optimiser step: gradient, update, projection into the domain, moving average."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from latte_ase.compilation import jit
from latte_ase.potential import Architecture
from latte_ase.training.config import TrainingConfig
from latte_ase.training.loss import errors, loss


class State(NamedTuple):
    """What changes during training.

    Attributes:
        params: trainable parameters.
        average: their exponential moving average.
        optimiser: state of the optax transformation.
        step: () int32.
    """

    params: Any
    average: Any
    optimiser: Any
    step: Any


def optimiser(config: TrainingConfig, n_steps: int, trainable=None) -> optax.GradientTransformation:
    """Clipping, AdamW with warm-up and cosine; decay acts on the networks' weight matrices only.

    Args:
        config: rates and weights.
        n_steps: length of the schedule.
        trainable: pytree of bool like the parameters; the others stay. None trains all.
    """
    warm = max(1, round(config.warmup * n_steps))
    rate = optax.warmup_cosine_decay_schedule(
        0.05 * config.rate, config.rate, warm, max(n_steps, warm + 1), 0.01 * config.rate
    )

    def decayed(params):
        def is_kernel(path, _):
            return "kernel" in jax.tree_util.keystr(path)

        return jax.tree_util.tree_map_with_path(is_kernel, params)

    chain = optax.chain(
        optax.clip_by_global_norm(config.clip),
        optax.adamw(rate, weight_decay=config.weight_decay, mask=decayed),
    )
    if trainable is None:
        return chain
    labels = jax.tree.map(lambda t: "train" if t else "keep", trainable)
    return optax.multi_transform({"train": chain, "keep": optax.set_to_zero()}, labels)


def make_step(
    architecture: Architecture, transformation: optax.GradientTransformation, config: TrainingConfig
) -> Callable:
    """Compiled function (state, constants, batch) -> (state, Errors of the batch)."""
    weights = (config.energy_weight, config.force_weight, config.stress_weight)

    def objective(params, constants, batch):
        sums = errors(architecture, params, constants, batch, config.huber)
        return loss(sums, weights), sums

    @jit
    def step(state: State, constants, batch):
        gradient, sums = jax.grad(objective, has_aux=True)(state.params, constants, batch)
        updates, optimiser = transformation.update(gradient, state.optimiser, state.params)
        params: Any = optax.apply_updates(state.params, updates)
        projected = architecture.descriptor.project(params["descriptor"])
        params = {**params, "descriptor": projected}
        # early on the average would remember the random start: let it follow
        decay = jnp.minimum(config.ema, (1 + state.step) / (10 + state.step))
        average = jax.tree.map(lambda a, p: a + (1 - decay) * (p - a), state.average, params)
        return State(params, average, optimiser, state.step + 1), sums

    return step
