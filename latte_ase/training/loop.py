"""The training loop: epochs, validation, best so far, checkpoints, progress."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ase import Atoms

from latte_ase.calculator import LatteCalculator
from latte_ase.engine.fork import refuse_fork
from latte_ase.engine.jit import jit
from latte_ase.io.atomic_file import remove_leftovers, write_atomically
from latte_ase.io.frames import read_frames, require_labels
from latte_ase.io.hyperparameters import architecture_to_json
from latte_ase.io.model_file import save_model
from latte_ase.io.pretrained import FILE
from latte_ase.model.potential import Potential, device_constants
from latte_ase.training import checkpoint, reference_energies
from latte_ase.training.batches import Batches, cast
from latte_ase.training.config import Config, TrainingConfig, load_config, plain
from latte_ase.training.dataset import Frame, prepare, split
from latte_ase.training.identity import checksum, lasting
from latte_ase.training.initial import initial_potential, with_constants
from latte_ase.training.loss import Errors, add, criterion, errors, metrics, predict
from latte_ase.training.optimiser import optimiser, refuse_idle_decay
from latte_ase.training.parametrisation import Parametrisation, everything
from latte_ase.training.plausibility import refuse_implausible_labels
from latte_ase.training.progress import epoch_bar
from latte_ase.training.step import OptimiserState, make_step

CHECKPOINT, METRICS = "checkpoint.safetensors", "metrics.csv"


def _errors_of(architecture, params, constants, batch):
    return errors(predict(architecture, params, constants, batch), batch)


# compiled once per architecture and shape, whatever the number of trainings
_errors = jit(_errors_of, static_argnums=0)


@dataclass(frozen=True)
class Result:
    """What training returns.

    Attributes:
        potential: with the parameters of the best epoch; from `train` also with E0 fitted once more to what they leave,
            if it was fitted in the first place.
        history: one row per epoch: epoch, `loss.criterion` and errors (meV/atom, meV/Angstrom), seconds.
        path: the model file written, or None.
    """

    potential: Potential
    history: list[dict[str, float]]
    path: Path | None = None

    @property
    def calculator(self) -> LatteCalculator:
        """A calculator of the trained potential."""
        return LatteCalculator(self.potential)


def evaluate_sums(potential: Potential, batches: Batches, params) -> Errors:
    """Error sums over all batches."""
    constants = cast(device_constants(potential))
    total = None
    for batch in batches():
        total = add(total, _errors(potential.architecture, params, constants, batch))
    assert total is not None
    return Errors(*(np.asarray(x, float) for x in total))


def fit(
    potential: Potential,
    training: TrainingConfig,
    train_frames: Sequence[Frame],
    valid_frames: Sequence[Frame],
    *,
    parametrise: Callable[[Potential], Parametrisation] = everything,
    order: Callable[[int], np.ndarray] | None = None,
    folder: Path | None = None,
    resume: bool = False,
    identity: str = "",
    patience: int | None = None,
    report: Callable[[dict[str, float], int], None] | None = None,
) -> Result:
    """Minimise the loss of prepared frames, from the potential's present parameters.

    Args:
        potential: start; its constants and E0 are kept.
        training: rates, weights, epochs.
        train_frames, valid_frames: prepared frames; the former with pairs up to the cutoff and `training.skin`.
        parametrise: what is trained, see `parametrisation`.
        order: indices of the training frames in an epoch, a function of its number, always as many; None takes all of
            them, shuffled.
        folder: where metrics.csv and checkpoint.safetensors are written; None writes nothing.
        resume: continue from the checkpoint in `folder`.
        identity: `identity.checksum` of what has to be the same for `resume`.
        patience: stop after so many epochs without a better validation error.
        report: called after every epoch with its row and the number of epochs.

    Returns:
        `Result` with the parameters of the best epoch.

    Raises:
        FloatingPointError: the validation error is no longer a number.
        OSError: the disk is full; says how to go on.
        RuntimeError: the process was forked from one that used JAX.
    """
    refuse_fork()
    train, valid = (Batches(potential, f, training.batch_size) for f in (train_frames, valid_frames))

    def shuffled(epoch: int) -> np.ndarray:
        return np.random.default_rng((training.seed, epoch)).permutation(len(train_frames))

    order = order or shuffled
    transformation = optimiser(training, training.epochs * train.steps(order(1)))
    parametrisation = parametrise(replace(potential, params=cast(potential.params)))
    trained = cast(parametrisation.start)
    params_of = jit(parametrisation.params)
    state = OptimiserState(trained, trained, transformation.init(trained), np.zeros((), np.int32))
    progress = TrainerState(state, trained, epochs=training.epochs, identity=identity)
    if folder is not None:
        progress = _open(folder, progress, resume=resume)
    step = make_step(potential.architecture, transformation, training, parametrisation=parametrisation)
    constants = cast(device_constants(potential))
    for epoch in range(len(progress.history) + 1, training.epochs + 1):
        if patience is not None and epoch - 1 - progress.best["epoch"] >= patience:
            break
        start, total = time.perf_counter(), None
        for batch in train(order(epoch)):
            progress.state, sums = step(progress.state, constants, batch)
            total = add(total, sums)
        assert total is not None
        checked = evaluate_sums(potential, valid, params_of(progress.state.average))
        progress.judge(_row(epoch, total, checked, training) | {"seconds": time.perf_counter() - start})
        if folder is not None:
            progress.save(folder)
        if report is not None:
            report(progress.history[-1], training.epochs)
    # a committee belongs to the parameters that it was made for
    best_params = jax.tree.map(np.asarray, params_of(progress.best_trained))
    return Result(replace(potential, params=best_params, committee=None), progress.history)


@dataclass
class TrainerState:
    """How far a training has come.

    Attributes:
        state: of the optimiser.
        best_trained: the averaged parameters of the best epoch.
        best: its criterion and number.
        history: one row per epoch.
        epochs: how many there are to be.
        identity: checksum of what has to be the same for a training to go on.
    """

    state: OptimiserState
    best_trained: Any
    best: dict[str, Any] = field(default_factory=lambda: {"criterion": np.inf, "epoch": 0})
    history: list[dict[str, float]] = field(default_factory=list)
    epochs: int = 0
    identity: str = ""

    def judge(self, row: dict[str, float]) -> None:
        """Note an epoch, and keep its parameters if they are the best."""
        self.history.append(row)
        if row["criterion"] < self.best["criterion"]:
            self.best = {"criterion": row["criterion"], "epoch": row["epoch"]}
            self.best_trained = self.state.average

    def save(self, folder: Path) -> None:
        """Write the checkpoint, then the table."""
        facts = {"history": self.history, "best": self.best, "epochs": self.epochs, "identity": self.identity}
        checkpoint.save(folder / CHECKPOINT, (self.state, self.best_trained), facts)
        write_metrics(folder / METRICS, self.history)


def _open(folder: Path, start: TrainerState, *, resume: bool) -> TrainerState:
    """What stands in a folder, or the start; leftovers of a killed run are removed."""
    for name in (CHECKPOINT, METRICS, FILE):
        remove_leftovers(folder / name)
    if not resume:
        return start
    (state, best_trained), facts = checkpoint.load(folder / CHECKPOINT, (start.state, start.best_trained))
    if facts.get("identity", start.identity) != start.identity:
        raise ValueError(
            f"The checkpoint {folder / CHECKPOINT} was written by a training on other frames, with other settings or from another "
            "model. Resume with those that wrote it, or train into another folder."
        )
    write_metrics(folder / METRICS, facts["history"])  # a kill between the two files left it a row behind
    return TrainerState(state, best_trained, facts["best"], facts["history"], start.epochs, start.identity)


def _row(epoch: int, total: Errors, checked: Errors, training: TrainingConfig) -> dict[str, float]:
    """A row of the history; raises FloatingPointError if the validation error is no number."""
    weights = (training.energy_weight, training.force_weight, training.stress_weight)
    value = float(criterion(checked, weights))
    if not np.isfinite(value):
        raise FloatingPointError(
            f"The validation error is {value} after epoch {epoch}. Lower the learning rate (now {training.rate}) "
            "and look for frames with absurd forces."
        )
    row = {"epoch": epoch, "criterion": value}
    row |= {f"train_{k}": v for k, v in metrics(total).items()}
    return row | {f"valid_{k}": v for k, v in metrics(checked).items()}


def write_metrics(path: Path, history: list[dict[str, float]]) -> None:
    """The history as CSV, replaced atomically."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(history[0]))
    writer.writeheader()
    writer.writerows(history)
    write_atomically(path, text.getvalue().encode())


def frames_of(config: Config) -> tuple[list[Atoms], list[Atoms]]:
    """The structures that a configuration trains on, and those it holds out."""
    frames = read_frames(config.path(config.data.train))
    if config.data.valid:
        return frames, read_frames(config.path(config.data.valid))
    kept, out_of = split(len(frames), config.data.valid_fraction, config.training.seed)
    return [frames[k] for k in kept], [frames[k] for k in out_of]


def check_folder(folder: Path, *, resume: bool) -> None:
    """See that a training may begin in a folder, or go on there.

    Raises:
        FileExistsError: it is to begin, and the folder holds one that has not come to its end, which is a model file.
        FileNotFoundError: it is to go on, and there is no checkpoint.
    """
    path, model = folder / CHECKPOINT, folder / FILE
    if resume and not path.is_file():
        if model.is_file():
            raise FileNotFoundError(
                f"There is nothing to resume: {model} is finished. Use it, or train into another folder."
            )
        raise FileNotFoundError(f"There is no checkpoint in {folder} to resume from. Train without resume first.")
    if not resume and path.is_file():
        facts = checkpoint.facts(path)
        done = len(facts["history"])
        if done < facts.get("epochs", 0) or not model.is_file():
            raise FileExistsError(
                f"{folder} holds a training after {done} of {facts['epochs']} epochs. Go on with resume=True (--resume), "
                f"take another folder, or delete {path}."
            )


def train(config, *, out: str | Path | None = None, resume: bool = False, report=None) -> Result:
    """Train a potential from scratch.

    Args:
        config: path of a TOML file, a dictionary, or a `Config`.
        out: folder for the model file, metrics.csv and the checkpoint; default: the model's name.
        resume: continue from the checkpoint in `out`, to the numbers of an uninterrupted run.
        report: called after every epoch with (row, epochs); default shows a progress bar.

    Returns:
        `Result`; the model file is `out`/model.safetensors.

    Raises:
        FileExistsError: the folder holds an unfinished training, and `resume` was not asked for.
        FileNotFoundError, ValueError: bad configuration, labels that are missing or in units that do not fit each other;
            nothing has been trained yet.
        OSError, RuntimeError: as `fit`.
    """
    refuse_fork()
    config = load_config(config)
    folder = Path(out if out is not None else config.model.name).expanduser()
    check_folder(folder, resume=resume)
    frames, held = frames_of(config)
    labels = config.training.labels
    advice = "Or set {name}_weight to 0."
    require_labels(frames, labels, otherwise=advice)
    require_labels(held, labels, "the validation set", otherwise=advice)
    if {"energy", "forces"} <= set(labels):
        refuse_implausible_labels(frames)
    potential = initial_potential(config, frames)
    refuse_idle_decay(config.training, potential, potential.params)
    train_frames, valid_frames = prepare(potential, frames), prepare(potential, held)
    energies = reference_energies.initial(config, potential, train_frames)
    potential = with_constants(replace(potential, reference_energies=energies), train_frames)
    if config.training.skin:
        train_frames = prepare(potential, frames, skin=config.training.skin)
    if not resume:  # not before all was checked; else a new checkpoint would lie beside an old model
        (folder / FILE).unlink(missing_ok=True)
    with epoch_bar(config.training.epochs, config.model.name, report) as show:
        result = fit(
            potential,
            config.training,
            train_frames,
            valid_frames,
            folder=folder,
            resume=resume,
            identity=_identity(config, potential, frames, held),
            report=show,
        )
    trained, best = result.potential, min(result.history, key=lambda row: row["criterion"])
    if not (config.data.reference_energies or config.data.isolated_atoms):
        trained = reference_energies.refitted(trained, frames)
        checked = evaluate_sums(
            trained, Batches(trained, valid_frames, config.training.batch_size), cast(trained.params)
        )
        best = best | {f"valid_{k}": v for k, v in metrics(checked).items()}
    trained = replace(trained, metadata={**trained.metadata, "metrics": best, "frames": [len(frames), len(held)]})
    path = save_model(trained, folder / FILE)
    return Result(trained, result.history, path)


def _identity(config: Config, potential: Potential, frames: list[Atoms], held: list[Atoms]) -> str:
    """Checksum of what a configuration trains, and on what."""
    isolated = config.data.isolated_atoms
    sets = {
        "train": frames,
        "valid": held,
        "isolated": read_frames(config.path(isolated)) if isolated else [],
    }
    architecture = architecture_to_json(potential.architecture)
    return checksum([architecture, lasting(config.training), plain(config.data.reference_energies)], sets)
