"""The training loop: epochs, validation, best so far, checkpoints, progress."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ase import Atoms

from latte_ase import dataset, derivatives
from latte_ase.atomic_file import remove_leftovers, write_atomically
from latte_ase.compilation import jit
from latte_ase.dataset import Frame
from latte_ase.descriptors import DESCRIPTORS
from latte_ase.fork import refuse_fork
from latte_ase.potential import Architecture, Potential, device_constants, feature_constants, init_params
from latte_ase.pretrained import FILE
from latte_ase.training import checkpoint, reference_energies
from latte_ase.training.config import Config, TrainingConfig, load_config
from latte_ase.training.loss import Errors, criterion, errors, predict
from latte_ase.training.optimiser import optimiser
from latte_ase.training.parametrisation import Parametrisation, everything
from latte_ase.training.step import State, make_step

DTYPE = np.float32
CHECKPOINT, METRICS = "checkpoint.safetensors", "metrics.csv"


def _errors_of(architecture, params, constants, batch):
    return errors(predict(architecture, params, constants, batch), batch)


# compiled once per architecture and shape, whatever the number of trainings
_errors = jit(_errors_of, static_argnums=0)
_features = jit(derivatives.features, static_argnums=0)


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
    def calculator(self):
        """A `LatteCalculator` of the trained potential."""
        from latte_ase.calculator import LatteCalculator

        return LatteCalculator(self.potential)


def metrics(sums: Errors) -> dict[str, float]:
    """MAE and RMSE in meV/atom and meV/Angstrom from error sums; nan without labels."""
    s = Errors(*(float(x) for x in sums))
    n_energy, n_forces = s.n_energy or np.nan, s.n_forces or np.nan
    values = {
        "energy_mae": 1e3 * s.energy_abs / n_energy,
        "energy_rmse": 1e3 * (s.energy_sq / n_energy) ** 0.5,
        "forces_mae": 1e3 * s.forces_abs / n_forces,
        "forces_rmse": 1e3 * (s.forces_sq / n_forces) ** 0.5,
    }
    if s.n_stress:
        values["stress_rmse"] = 1e3 * (s.stress_sq / s.n_stress) ** 0.5
    return values


def add(a: Errors | None, b: Errors) -> Errors:
    """Sum of two batches' error sums."""
    return b if a is None else Errors(*(x + y for x, y in zip(a, b, strict=True)))


class Batches:
    """Batches of a set of frames, of one or a few shapes, made one ahead in a thread."""

    def __init__(self, potential: Potential, frames: Sequence[Frame], size: int):
        self.frames, self.reference_energies = frames, potential.reference_energies
        self.size = min(size, len(frames))
        kinds = max(len(np.unique(f.species)) for f in frames)
        arrangement = potential.architecture.descriptor.arrangement(kinds)
        self.shapes = dataset.batch_shapes(frames, self.size, arrangement=arrangement)

    def steps(self, order) -> int:
        """How many batches so many frames make."""
        return -(-len(order) // self.size)

    def __call__(self, order=None) -> Iterator[dataset.Batch]:
        """Batches in this order of the frames; default as they are."""
        order = np.arange(len(self.frames)) if order is None else order
        parts = [order[k : k + self.size] for k in range(0, len(order), self.size)]
        with ThreadPoolExecutor(1) as pool:
            ahead = pool.submit(self._make, parts[0])
            for part in parts[1:]:
                batch, ahead = ahead.result(), pool.submit(self._make, part)
                yield batch
            yield ahead.result()

    def _make(self, part):
        chosen = [self.frames[k] for k in part]
        return dataset.make_batch(chosen, self.reference_energies, self.shapes, self.size, DTYPE)


def initial_potential(config: Config, frames: Sequence[Atoms]) -> Potential:
    """A potential with random parameters and constants taken from the training frames."""
    m = config.model
    elements = m.elements or _elements(frames)
    architecture = Architecture(
        elements=elements,
        descriptor=DESCRIPTORS[m.descriptor](cutoff=m.cutoff, **m.options),
        hidden=m.hidden,
        activation=m.activation,
        repulsion=m.repulsion,
        linear=m.linear,
    )
    params = jax.tree.map(np.asarray, init_params(architecture, jax.random.key(config.training.seed)))
    species, size = len(elements), architecture.descriptor.n_features
    constants = {
        "mean": np.zeros((species, size)),
        "deviation": np.ones((species, size)),
        "scale": np.ones(()),
        "repulsion_range": np.zeros((species, species)),
    }
    metadata = {"name": m.name, **config.card, "recipe": config.to_dict()}
    return Potential(architecture, params, constants, np.zeros(species), metadata)


def _elements(frames) -> tuple[str, ...]:
    from ase.data import chemical_symbols

    return tuple(chemical_symbols[z] for z in sorted({int(z) for a in frames for z in a.numbers}))


def with_constants(potential: Potential, frames: Sequence[Frame], sample: int = 64) -> Potential:
    """The potential with feature scales, energy scale and repulsion ranges of these frames."""
    species = len(potential.elements)
    chosen = [frames[k] for k in _sample(frames, species, sample)]
    batches = Batches(potential, chosen, 4)
    rows, kinds = [], []
    constants = _cast(device_constants(potential))
    for batch in batches():
        zero = np.zeros((*batch.graph.is_atom.shape, 3), DTYPE)
        unit = np.broadcast_to(np.eye(3, dtype=DTYPE), (batches.size, 3, 3))
        values = _features(potential.architecture, _cast(potential.params), constants, batch.graph, zero, unit)
        inside = np.asarray(batch.graph.is_atom, bool)
        rows.append(np.asarray(values)[inside])
        kinds.append(np.broadcast_to(batch.graph.species.reshape(len(inside), -1), inside.shape)[inside])
    kinds = 0 * np.concatenate(kinds) if potential.architecture.shared else np.concatenate(kinds)
    mean, deviation = feature_constants(np.concatenate(rows), kinds, species)
    forces = [f.forces for f in frames if f.forces is not None]
    scale = np.sqrt(np.mean(np.concatenate(forces) ** 2)) if forces else 1.0
    constants = {
        "mean": mean,
        "deviation": deviation,
        "scale": np.array(max(scale, 1e-3)),
        "repulsion_range": dataset.closest_approaches(frames, species),
    }
    return replace(potential, constants=constants)


def _sample(frames, n_species: int, size: int) -> list[int]:
    """Indices of about `size` frames, evenly spaced, with several of every species that there is."""

    def spaced(indices, count):
        return [indices[k] for k in np.linspace(0, len(indices) - 1, min(count, len(indices))).astype(int)]

    chosen = set(spaced(range(len(frames)), size))
    contains = dataset.compositions(frames, n_species) > 0
    for s in range(n_species):
        if contains[sorted(chosen), s].sum() < size // 8:
            chosen.update(int(k) for k in spaced(np.flatnonzero(contains[:, s]), size // 8))
    return sorted(chosen)


def _cast(tree):
    return jax.tree.map(lambda a: np.asarray(a, DTYPE), tree)


def evaluate_sums(potential: Potential, batches: Batches, params) -> Errors:
    """Error sums over all batches."""
    constants = _cast(device_constants(potential))
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
    parametrisation = parametrise(replace(potential, params=_cast(potential.params)))
    trained = _cast(parametrisation.start)
    params_of = jit(parametrisation.params)
    state = State(trained, trained, transformation.init(trained), np.zeros((), np.int32))
    best: dict[str, Any] = {"criterion": np.inf, "epoch": 0}
    best_trained, history = trained, []
    if folder is not None:  # a killed run may have left half a file
        for name in (CHECKPOINT, METRICS, FILE):
            remove_leftovers(folder / name)
    if resume:
        assert folder is not None, "a folder is needed to resume"
        (state, best_trained), facts = checkpoint.load(folder / CHECKPOINT, (state, best_trained))
        history, best = facts["history"], facts["best"]
        write_metrics(folder / METRICS, history)  # a kill between the two files left it a row behind
    step = make_step(potential.architecture, transformation, training, parametrisation=parametrisation)
    constants = _cast(device_constants(potential))
    weights = (training.energy_weight, training.force_weight, training.stress_weight)
    for epoch in range(len(history) + 1, training.epochs + 1):
        if patience is not None and epoch - 1 - best["epoch"] >= patience:
            break
        start, total = time.perf_counter(), None
        for batch in train(order(epoch)):
            state, sums = step(state, constants, batch)
            total = add(total, sums)
        assert total is not None
        checked = evaluate_sums(potential, valid, params_of(state.average))
        row = {"epoch": epoch, "criterion": float(criterion(checked, weights))}
        row |= {f"train_{k}": v for k, v in metrics(total).items()}
        row |= {f"valid_{k}": v for k, v in metrics(checked).items()}
        row["seconds"] = time.perf_counter() - start
        if not np.isfinite(row["criterion"]):
            raise FloatingPointError(
                f"The validation error is {row['criterion']} after epoch {epoch}. Lower the learning rate (now {training.rate}) "
                "and look for frames with absurd forces."
            )
        history.append(row)
        if row["criterion"] < best["criterion"]:
            best, best_trained = {"criterion": row["criterion"], "epoch": epoch}, state.average
        if folder is not None:
            checkpoint.save(folder / CHECKPOINT, (state, best_trained), {"history": history, "best": best})
            write_metrics(folder / METRICS, history)
        if report is not None:
            report(row, training.epochs)
    # a committee belongs to the parameters that it was made for
    best_params = jax.tree.map(np.asarray, params_of(best_trained))
    return Result(replace(potential, params=best_params, committee=None), history)


def write_metrics(path: Path, history: list[dict[str, float]]) -> None:
    """The history as CSV, replaced atomically."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(history[0]))
    writer.writeheader()
    writer.writerows(history)
    write_atomically(path, text.getvalue().encode())


def frames_of(config: Config) -> tuple[list[Atoms], list[Atoms]]:
    """The structures that a configuration trains on, and those it holds out."""
    frames = dataset.read_frames(config.path(config.data.train))
    if config.data.valid:
        return frames, dataset.read_frames(config.path(config.data.valid))
    kept, out_of = dataset.split(len(frames), config.data.valid_fraction, config.training.seed)
    return [frames[k] for k in kept], [frames[k] for k in out_of]


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
        FileNotFoundError, ValueError: bad configuration or data; nothing has been trained yet.
        OSError, RuntimeError: as `fit`.
    """
    refuse_fork()
    config = load_config(config)
    folder = Path(out) if out is not None else Path(config.model.name)
    if resume and not (folder / CHECKPOINT).is_file():
        raise FileNotFoundError(f"There is no checkpoint in {folder} to resume from. Train without resume first.")
    frames, held = frames_of(config)
    labels = config.training.labels
    dataset.require_labels(frames, labels)
    dataset.require_labels(held, labels, "the validation set")
    potential = initial_potential(config, frames)
    train_frames, valid_frames = dataset.prepare(potential, frames), dataset.prepare(potential, held)
    energies = reference_energies.initial(config, potential, train_frames)
    potential = with_constants(replace(potential, reference_energies=energies), train_frames)
    if config.training.skin:
        train_frames = dataset.prepare(potential, frames, skin=config.training.skin)
    from latte_ase.training.progress import epoch_bar

    with epoch_bar(config.training.epochs, config.model.name, report) as show:
        result = fit(potential, config.training, train_frames, valid_frames, folder=folder, resume=resume, report=show)
    trained, best = result.potential, min(result.history, key=lambda row: row["criterion"])
    if not (config.data.reference_energies or config.data.isolated_atoms):
        trained = reference_energies.refitted(trained, [a for a in frames if dataset.label(a, "energy") is not None])
        checked = evaluate_sums(
            trained, Batches(trained, valid_frames, config.training.batch_size), _cast(trained.params)
        )
        best = best | {f"valid_{k}": v for k, v in metrics(checked).items()}
    trained = replace(trained, metadata={**trained.metadata, "metrics": best, "frames": [len(frames), len(held)]})
    path = trained.save(folder / FILE)
    return Result(trained, result.history, path)
