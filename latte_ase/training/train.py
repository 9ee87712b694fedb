"""Training of a potential from scratch by a configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from ase import Atoms

from latte_ase.engine.fork import refuse_fork
from latte_ase.io.frame_selection import original_index
from latte_ase.io.frames import read_frames
from latte_ase.io.hyperparameters import architecture_to_json
from latte_ase.io.model_file import save_model
from latte_ase.io.pretrained import FILE, refuse_shipped_name
from latte_ase.model.potential import Potential
from latte_ase.settings import check_value
from latte_ase.training import reference_energies
from latte_ase.training.batches import Batches, cast
from latte_ase.training.config import Config, load_config, plain
from latte_ase.training.dataset import Frame, Structures, prepare
from latte_ase.training.fit import Result, evaluate_sums, fit
from latte_ase.training.folder import TrainingFolder, check_folder
from latte_ase.training.history import Report, epoch_bar
from latte_ase.training.identity import checksum, lasting
from latte_ase.training.initial import initial_potential, with_constants, with_domain
from latte_ase.training.labelled_sets import labelled_sets
from latte_ase.training.loss import metrics
from latte_ase.training.optimiser import refuse_idle_decay
from latte_ase.training.streaming import FrameStore
from latte_ase.training.warm_start import base_of, with_weights_of

STORED = "stored"
"""Folder of streamed structures and frames, in the folder of a training."""


def train(
    config: str | Path | Mapping[str, Any] | Config,
    *,
    out: str | Path | None = None,
    resume: bool = False,
    report: Report | None = None,
) -> Result:
    """Potential trained from scratch.

    Args:
        config: path of a TOML file, a dictionary, or a `Config`.
        out: folder for the model file, metrics.csv and the checkpoint; default: the model's name.  A model that is there stays
            until the new one is complete.
        resume: continue from the checkpoint in `out`, to the numbers of an uninterrupted run.
        report: called after every epoch with (row, epochs); default shows a progress bar.

    Returns:
        `Result`; the model file is `out`/model.safetensors.

    Raises:
        FileExistsError: the folder holds an unfinished training, and `resume` was not asked for.
        FileNotFoundError, ValueError: bad configuration, a folder that would hide behind the name of a shipped model, labels
            that are missing or in units that do not fit each other; nothing has been trained yet.
        OSError, RuntimeError: as `fit`.
    """
    refuse_fork()
    check_value("resume", resume, bool)
    config = load_config(config)
    path = Path(out if out is not None else config.model.name).expanduser()
    refuse_shipped_name(path)
    check_folder(path, resume=resume)
    store = FrameStore(path / STORED) if config.data.stream else None
    structures = frames_of(config, store)
    base = base_of(config)
    start, prepared, held = _start(config, base, structures, prepare if store is None else store.prepared)
    folder = TrainingFolder(path, _identity(config, base, start, structures), config.training.epochs, resume)
    with nullcontext(report) if report else epoch_bar(config.model.name, config.training.epochs) as show:
        result = fit(start, config.training, prepared, held, folder=folder, report=show)
    trained = _finished(config, result, structures, held)
    trained = replace(trained, metadata=trained.metadata | folder.mark(result.history))
    return Result(trained, result.history, save_model(trained, path / FILE))


def frames_of(config: Config, store: FrameStore | None = None) -> Structures:
    """Structures of a configuration, for training and held out, in memory or in a store; raises as `labelled_sets`."""
    data = config.data

    def read(name: str) -> Sequence[Atoms]:
        path = config.path(name)
        return read_frames(path, keys=data.keys) if store is None else store.structures(path, data.keys)

    frames, valid = read(data.train), read(data.valid) if data.valid else None
    return labelled_sets(
        frames, valid, config.training, valid_fraction=data.valid_fraction, trust_labels=data.trust_labels
    )


def _start(
    config: Config, base: Potential | None, structures: Structures, prepare: Callable[..., Sequence[Frame]]
) -> tuple[Potential, Sequence[Frame], Sequence[Frame]]:
    """The potential that training starts from, random or with the weights of a base, and the frames to train on and held out."""
    potential = initial_potential(config, structures.train)
    if base is not None:
        potential = with_weights_of(base, potential, structures.train)
    refuse_idle_decay(config.training, potential, potential.params)
    origins = [f"{config.data.train}@{original_index(structures.train, k)}" for k in range(len(structures.train))]
    prepared, held = prepare(potential, structures.train, origins=origins), prepare(potential, structures.held)
    if base is None:
        energies = reference_energies.initial(config, potential, prepared)
        potential = with_constants(replace(potential, reference_energies=energies), prepared)
    else:
        energies = reference_energies.continued(config, base, potential, structures.train)
        potential = with_domain(replace(potential, reference_energies=energies), prepared)
    if config.training.skin:
        prepared = prepare(potential, structures.train, skin=config.training.skin, origins=origins)
    return potential, prepared, held


def _identity(config: Config, base: Potential | None, potential: Potential, structures: Structures) -> str:
    """Checksum of the architecture, the settings, the structures and the base model of a training."""
    isolated = config.data.isolated_atoms
    sets = {
        "train": structures.train,
        "valid": structures.held,
        "isolated": read_frames(config.path(isolated), keys=config.data.keys) if isolated else [],
    }
    architecture = architecture_to_json(potential.architecture)
    return checksum([architecture, lasting(config.training), plain(config.data.reference_energies)], sets, base=base)


def _finished(config: Config, result: Result, structures: Structures, held: Sequence[Frame]) -> Potential:
    """The trained potential, with E0 fitted once more if they were fitted, and what its model file says of the training."""
    trained, best = result.potential, min(result.history, key=lambda row: row["criterion"])
    if not config.data.gives_reference_energies:
        trained = reference_energies.refitted(trained, structures.train)
        checked = evaluate_sums(trained, Batches(trained, held, config.training.batches), cast(trained.params))
        best = best | {f"valid_{name}": error for name, error in metrics(checked).items()}
    facts = {"metrics": best, "frames": [len(frames) for frames in structures]}
    return replace(trained, metadata={**trained.metadata, **facts})
