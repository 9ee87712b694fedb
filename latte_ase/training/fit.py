"""The training loop: epochs over batches, validation, the best parameters so far."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import jax
import numpy as np

from latte_ase.calculator import LatteCalculator
from latte_ase.engine.fork import refuse_fork
from latte_ase.engine.jit import jit
from latte_ase.model.derivatives import of_structures
from latte_ase.model.potential import Potential
from latte_ase.model.program import Program, Weights, weights_of
from latte_ase.training import history
from latte_ase.training.batches import DTYPE, Batch, Batches, cast, training_program
from latte_ase.training.config import TrainingConfig
from latte_ase.training.data_parallel import DeviceGroup, find_devices
from latte_ase.training.dataset import Frame
from latte_ase.training.folder import TrainingFolder
from latte_ase.training.history import Report, Row
from latte_ase.training.loss import Errors, add, errors
from latte_ase.training.odd_frames import looks_at, odd_frames, tell
from latte_ase.training.optimiser import optimiser
from latte_ase.training.parametrisation import Parametrisation, everything
from latte_ase.training.step import OptimiserState, make_step
from latte_ase.training.trainer_state import TrainerState


@partial(jit, static_argnums=(0, 1))  # compiled once per architecture and shape, whatever the number of trainings
def _errors(program: Program, group: DeviceGroup, weights: Weights, batch: Batch) -> Errors:
    """Error sums of a batch."""

    def on_one(weights, batch):
        return group.total(errors(of_structures(program, weights, batch.graph, len(batch.energy)), batch))

    return group.each(on_one)(weights, batch)


@dataclass(frozen=True)
class Result:
    """Result of training.

    Attributes:
        potential: potential with the parameters of the best epoch; of `train` with a final fit of E0, where E0 is fitted.
        history: one row per epoch: epoch, `loss.criterion`, errors (meV/atom, meV/Angstrom) and seconds.
        path: the model file that was written, or None.
    """

    potential: Potential
    history: list[Row]
    path: Path | None = None

    @property
    def calculator(self) -> LatteCalculator:
        """Calculator of the trained potential."""
        return LatteCalculator(self.potential)


def fit(
    potential: Potential,
    training: TrainingConfig,
    train_frames: Sequence[Frame],
    valid_frames: Sequence[Frame],
    *,
    parametrise: Callable[[Potential], Parametrisation] = everything,
    order: Callable[[int], np.ndarray] | None = None,
    folder: TrainingFolder | None = None,
    patience: int | None = None,
    report: Report | None = None,
) -> Result:
    """Minimise the loss of prepared frames, starting from the parameters of a potential.

    Args:
        potential: start; its constants and E0 are kept.
        training: rates, weights, epochs.
        train_frames, valid_frames: prepared frames; the former with pairs up to the cutoff and `training.skin`.
        parametrise: what is trained, see `parametrisation`.
        order: indices of the training frames in an epoch, a function of its number, always as many; None takes all of
            them, shuffled.
        folder: where metrics.csv and checkpoint.safetensors are written, and whether to go on from there; None writes nothing.
        patience: stop after so many epochs without a better validation error.
        report: called after every epoch.

    Returns:
        `Result` with the parameters of the best epoch.

    Raises:
        FloatingPointError: the validation error is no longer a number.
        OSError: the disk is full; says how to go on.
        RuntimeError: the process was forked from one that used JAX.
        ValueError: the checkpoint in the folder is of another training.
    """
    refuse_fork()
    group, rule = find_devices(training.devices), training.batches
    train, valid = (Batches(potential, frames, rule, group=group) for frames in (train_frames, valid_frames))
    order = order or _shuffled(len(train_frames), training.seed)
    parametrisation = parametrise(replace(potential, params=cast(potential.params)))
    transformation = optimiser(training, training.epochs * train.steps(order(1)))
    program = training_program(potential)
    step = make_step(program, transformation, training, parametrisation=parametrisation, group=group)
    params_of, constants = jit(parametrisation.params), weights_of(potential, DTYPE).constants

    state = TrainerState.start(cast(parametrisation.start), transformation)
    if folder is not None:
        state = folder.open(state)
    for epoch in range(state.epoch + 1, training.epochs + 1):
        if patience is not None and state.epochs_without_improvement >= patience:
            break
        begun = time.perf_counter()
        state.optimiser, trained = _pass(step, state.optimiser, constants, train(order(epoch)))
        checked = evaluate_sums(potential, valid, params_of(state.optimiser.average))
        state.judge(history.row(epoch, trained, checked, training) | {"seconds": time.perf_counter() - begun})
        if looks_at(epoch, training.epochs):
            found = odd_frames(potential, train, params_of(state.optimiser.average))
            tell(found, train_frames, folder and folder.path)
        if folder is not None:
            folder.save(state)
        if report is not None:
            report(state.history[-1], training.epochs)
    # a committee belongs to the parameters that it was made for
    best = jax.tree.map(np.asarray, params_of(state.best_trained))
    return Result(replace(potential, params=best, committee=None), state.history)


def evaluate_sums(potential: Potential, batches: Batches, params) -> Errors:
    """Error sums over all batches."""
    program, weights = training_program(potential), weights_of(potential, DTYPE).with_params(params)
    total = None
    for batch in batches():
        total = add(total, _errors(program, batches.group, weights, batch))
    assert total is not None
    return Errors(*(np.asarray(x, float) for x in total))


def _shuffled(n_frames: int, seed: int) -> Callable[[int], np.ndarray]:
    """Function of the number of an epoch that gives a random order of all frames."""
    return lambda epoch: np.random.default_rng((seed, epoch)).permutation(n_frames)


def _pass(step, state: OptimiserState, constants, batches: Iterable[Batch]) -> tuple[OptimiserState, Errors]:
    """State after one step for every batch, and the error sums of the batches."""
    total = None
    for batch in batches:
        state, sums = step(state, constants, batch)
        total = add(total, sums)
    assert total is not None
    return state, total
