"""Training step: gradient, update, projection onto the allowed range, moving average."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from latte_ase.engine.jit import jit
from latte_ase.model.derivatives import of_structures
from latte_ase.model.program import Program, Weights
from latte_ase.training.config import TrainingConfig
from latte_ase.training.consistency import inconsistency
from latte_ase.training.data_parallel import DeviceGroup, find_devices
from latte_ase.training.loss import errors, loss
from latte_ase.training.parametrisation import Parametrisation


class OptimiserState(NamedTuple):
    """Variables that change in every step of training.

    Attributes:
        params: trained parameters, see `parametrisation`.
        average: their exponential moving average.
        optimiser: state of the optax transformation.
        step: () int32, number of steps.
    """

    params: Any
    average: Any
    optimiser: Any
    step: Any


def make_step(
    program: Program,
    transformation: optax.GradientTransformation,
    config: TrainingConfig,
    *,
    parametrisation: Parametrisation,
    group: DeviceGroup | None = None,
) -> Callable:
    """Compiled function (state, constants, batch) -> (state, Errors of the batch).

    Args:
        program: of the potential.
        transformation: of gradients to updates.
        config: weights of the loss, decay of the average.
        parametrisation: what is trained.
        group: devices that share the batch, each with the terms of the loss of its structures; None is the first device alone.
    """
    group = group or find_devices()
    of_labels = (config.energy_weight, config.force_weight, config.stress_weight)

    def objective(trained, constants, batch, key):
        weights = Weights(parametrisation.params(trained), constants)
        predicted = of_structures(program, weights, batch.graph, len(batch.energy))
        sums = errors(predicted, batch, config.huber)
        total = loss(sums.divided_by(group.total(sums.counts)), of_labels)
        if config.consistency:
            squares, n_structures = inconsistency(program, weights, batch, predicted, key, config)
            total = total + squares / group.total(n_structures)
        return total, sums

    def step(state: OptimiserState, constants, batch):
        key = jax.random.fold_in(jax.random.key(config.seed), state.step)
        key = key if group.count == 1 else jax.random.fold_in(key, group.number())
        found = jax.grad(objective, has_aux=True)(state.params, constants, batch, key)
        gradient, sums = group.total(found)
        updates, optimiser = transformation.update(gradient, state.optimiser, state.params)
        params: Any = parametrisation.project(optax.apply_updates(state.params, updates))
        # in the beginning the average follows faster, so that the random start is forgotten
        decay = jnp.minimum(config.ema, (1 + state.step) / (10 + state.step))
        average = jax.tree.map(lambda a, p: a + (1 - decay) * (p - a), state.average, params)
        return OptimiserState(params, average, optimiser, state.step + 1), sums

    return jit(group.each(step))
