"""Fine-tuning of a trained model on a few frames of another level of theory.

First E0 is re-fitted: another level of theory shifts total energies by electronvolts per atom,
which is no business of the network.  Then what the strategy chooses is trained from where it is,
with early stopping on held-out frames.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Unpack

import numpy as np
from ase import Atoms

from latte_ase.evaluation import Evaluation, evaluate
from latte_ase.finetuning import replay
from latte_ase.finetuning.base import choose_base
from latte_ase.finetuning.result import FineTuned
from latte_ase.finetuning.strategies import parametrisation
from latte_ase.io.frame_selection import original_index
from latte_ase.io.frames import read_frames
from latte_ase.io.label_checks import labelled_frames
from latte_ase.io.labels import count_labels
from latte_ase.io.model_file import save_model
from latte_ase.io.pretrained import FILE, find, load_model, refuse_shipped_name
from latte_ase.io.structures import StructureSource
from latte_ase.model.potential import Potential
from latte_ase.settings import Count, Energy, Share, Symbol, check_value, field_types
from latte_ase.training import reference_energies
from latte_ase.training.config import LabelKeys, TrainingConfig, TrainingSettings, plain
from latte_ase.training.dataset import Frame, Structures, closest_approaches, fewest_neighbours, prepare, split
from latte_ase.training.elements import with_elements
from latte_ase.training.fit import fit
from latte_ase.training.folder import CHECKPOINT, MARK, TrainingFolder, check_folder
from latte_ase.training.history import Report, epoch_bar
from latte_ase.training.identity import checksum, lasting
from latte_ase.training.labelled_sets import ADVICE, labelled_sets
from latte_ase.training.optimiser import refuse_idle_decay
from latte_ase.training.parametrisation import Parametrisation

USUAL_STEPS = 2500
"""Steps of a fine-tuning by default; early stopping usually ends it sooner."""
DEFAULTS = {
    "batch_size": 2,
    "rate": 2e-3,
    "ema": 0.99,
    "energy_weight": 100.0,
}
"""Where fine-tuning departs from `TrainingConfig`."""


@dataclass(frozen=True)
class _Frames:
    """Structures of a fine-tuning.

    Attributes:
        new: labelled, of the new level of theory.
        old: labelled, of the base model's data; those that are replayed, and those held out.
        replayed: the latter as they were given.
    """

    new: Structures
    old: Structures
    replayed: list[Atoms]

    @property
    def as_given(self) -> dict[str, Sequence[Atoms]]:
        """Structures that must be the same when a fine-tuning is resumed, by use."""
        return {"train": self.new.train, "held": self.new.held, "replayed": self.replayed}


def finetune(
    model: Potential | str | os.PathLike | None,
    frames: StructureSource,
    *,
    out: str | Path | None = None,
    valid: StructureSource | None = None,
    valid_fraction: float = 0.1,
    strategy: str | Callable[[Potential], Parametrisation] = "full",
    replayed: StructureSource | None = None,
    energies: dict[str, float] | None = None,
    keys: Mapping[str, str] | None = None,
    trust_labels: bool = False,
    patience: int = 50,
    resume: bool = False,
    report: Report | None = None,
    **training: Unpack[TrainingSettings],
) -> FineTuned:
    """Fine-tuned model for new labels.

    Args:
        model: what `latte_ase.load_model` takes; None chooses the shipped model that knows all elements of `frames` and has the
            smallest errors on them, and prints which one and why.
        frames: file or list of ase.Atoms with energies and forces.  Elements that the model does not know are added to it.
        out: folder for the new model and metrics.csv, and until both are complete a checkpoint; None writes nothing.  A model
            that is there is replaced by the finished new one, unless it is the one that is to be fine-tuned.
        valid: held-out frames, as `frames`; None holds out `valid_fraction` of `frames`.
        valid_fraction: see `valid`; at least one frame.
        strategy: "full" trains all parameters, "network" the networks on the descriptor as it is, "last-layer"
            their last linear layer, for very few frames, "lora" changes of low rank; or a function that makes a
            `latte_ase.training.parametrisation.Parametrisation`, such as `functools.partial(low_rank, rank=8)`.
        replayed: file or list of structures of the base model's own data, against forgetting: every epoch takes as many of
            them as there are new frames, and `valid_fraction` of them is held out for the report.  Frames without
            labels get those that the base model predicts.
        energies: energies of isolated atoms at the new level of theory in eV by symbol, which become E0.  They can take the
            place only of such energies: the base model has to be trained with [data] isolated_atoms or reference_energies, for
            where its E0 were fitted its network counts from the fit.  None fits E0 to `frames` once more.
        keys: names of the labels in `frames` and `valid` where they are not ASE's, such as {"energy": "REF_energy", "forces":
            "REF_forces"}, of energy, forces, stress and virial; see `latte_ase.io.labels.with_keys`.
        trust_labels: use labels although they look as if their units were others, see `latte_ase.io.plausibility`.
        patience: epochs without smaller errors of the held-out frames (`training.loss.criterion`) before stopping.
        resume: go on from the checkpoint that a fine-tuning with the same arguments left in `out` when it was stopped;
            `epochs` may be others.
        report: called after every epoch with (row, epochs); default shows a progress bar.
        **training: attributes of `latte_ase.training.TrainingConfig`.  Without them: batch_size 2, rate 2e-3, ema 0.99, energy_weight 100
            and epochs for 2500 steps, at least 10.

    Returns:
        `FineTuned`; `.calculator` is ready to use, `print(result.table)` shows before and after.

    Raises:
        FileExistsError: `out` holds an unfinished fine-tuning, and `resume` was not asked for.
        FileNotFoundError: there is nothing to resume from.
        TypeError: an unknown keyword.
        ValueError: labels are missing, or in units that do not fit each other, or there are fewer than two frames and no
            `valid`, or `out` is where the base model is or would hide behind the name of a shipped model, or `energies` for a
            base model with fitted E0, or `model` is None and no shipped model knows all elements; nothing has been trained yet.
    """
    check_value("valid_fraction", valid_fraction, Share)
    check_value("energies", {} if energies is None else energies, dict[Symbol, Energy])
    check_value("keys", {} if keys is None else keys, LabelKeys)
    check_value("trust_labels", trust_labels, bool)
    check_value("patience", patience, Count)
    check_value("resume", resume, bool)
    path, parametrise, settings = _folder(out, resume=resume), parametrisation(strategy), _settings(training)
    held = None if valid is None else read_frames(valid, keys=keys)
    new = labelled_sets(
        read_frames(frames, keys=keys), held, settings, valid_fraction=valid_fraction, trust_labels=trust_labels
    )
    base = _base(model, new, settings, path)
    refuse_idle_decay(settings, base, parametrise(base).start)
    memories = [] if replayed is None else read_frames(replayed)
    chosen = _Frames(new, _old_frames(base, memories, valid_fraction, settings), memories)
    if "epochs" not in training:
        settings = replace(settings, epochs=_default_epochs(chosen, settings.batch_size))
    start = _start(base, chosen.new, energies)
    name = strategy if isinstance(strategy, str) else getattr(strategy, "__name__", "own")
    given = [lasting(settings), name, energies and plain(energies), plain(valid_fraction)]
    identity = checksum(given, chosen.as_given, base=base)
    folder = None if path is None else TrainingFolder(path, identity, settings.epochs, resume)
    with nullcontext(report) if report else epoch_bar(f"fine-tuning ({name})", settings.epochs) as show:
        result = fit(
            *_prepared(base, start, chosen, settings),
            parametrise=parametrise,
            order=replay.order(len(chosen.new.train), len(chosen.old.train), settings.seed),
            folder=folder,
            patience=patience,
            report=show,
        )
    shifted = "E0 re-fitted" if energies is None else "E0 as given"
    stages = {"base model": base, shifted: start, "fine-tuned": result.potential}
    evaluations = _evaluations(stages, chosen.new.held, settings.labels)
    of_base = _base_evaluations(base, result.potential, chosen.old.held, settings.labels)
    facts = {
        "strategy": name,
        "frames": len(chosen.new.train),
        "energies": energies and plain(energies),
        "training": settings.to_dict(),
        "held_out": {stage: evaluation.metrics for stage, evaluation in evaluations.items()},
    }
    potential = replace(result.potential, metadata=_metadata(base, path, facts))
    if folder is None:
        return FineTuned(potential, result.history, evaluations, of_base, None)
    potential = replace(potential, metadata=potential.metadata | folder.mark(result.history))
    written = save_model(potential, folder.path / FILE)
    (folder.path / CHECKPOINT).unlink()  # nothing goes on from here
    return FineTuned(potential, result.history, evaluations, of_base, written)


def _folder(out: str | Path | None, *, resume: bool) -> Path | None:
    """Folder for the new model, after a check that a fine-tuning may begin or be resumed there."""
    if out is None:
        if resume:
            raise ValueError("resume=True needs the folder of the fine-tuning that was stopped; give it as out.")
        return None
    path = Path(out).expanduser()
    refuse_shipped_name(path)
    check_folder(path, resume=resume)
    return path


def _base(
    model: Potential | str | os.PathLike | None, new: Structures, settings: TrainingConfig, folder: Path | None
) -> Potential:
    """The base model, as it is named or as it is chosen by the frames, after a check that it is not replaced by the new one."""
    if model is None:
        model, reason = choose_base([*new.train, *new.held], settings.labels)
        print(reason)
    if folder is not None:
        _refuse_folder_of_base(folder, model)
    return load_model(model)


def _refuse_folder_of_base(folder: Path, model) -> None:
    """Raise ValueError where the new model would take the place of the one that it starts from."""
    new = folder / FILE
    if not isinstance(model, (str, os.PathLike)) or not new.is_file():
        return
    path = find(model)
    path = path / FILE if path.is_dir() else path
    if path.is_file() and path.samefile(new):
        raise ValueError(
            f"{folder} holds the model that is to be fine-tuned; the new one would take its place. Give another folder as out."
        )


def _metadata(base: Potential, folder: Path | None, facts: dict) -> dict:
    """Metadata of the base model without those of its training, and with the settings of the fine-tuning."""
    own = ("recipe", "metrics", "frames", "level_of_theory", "data", "general", MARK)
    kept = {k: v for k, v in base.metadata.items() if k not in own}
    name = base.metadata.get("name")
    mine = {"name": folder.resolve().name if folder else f"{name or 'model'}-finetuned", "base": name or "unnamed"}
    return {**kept, **mine, "finetuning": facts}


def _settings(training: TrainingSettings) -> TrainingConfig:
    """Training configuration from keywords."""
    known = list(field_types(TrainingConfig))
    unknown = sorted(set(training) - set(known))
    if unknown:
        raise TypeError(f"finetune got {', '.join(unknown)}; allowed besides its own arguments are {', '.join(known)}.")
    return TrainingConfig(**{**DEFAULTS, **training})


def _old_frames(base: Potential, memories: list[Atoms], valid_fraction: float, settings: TrainingConfig) -> Structures:
    """Frames of the base model's data with labels, split; none where none are given."""
    if not memories:
        return Structures([], [])
    structures = replay.labelled(base, memories, settings.labels)
    structures = labelled_frames(structures, settings.labels, "the replayed frames", otherwise=ADVICE)
    if len(structures) < 2:
        raise ValueError(f"{len(structures)} frame is to be replayed; two are needed, one of them held out.")
    return split(structures, valid_fraction, settings.seed)


def _default_epochs(frames: _Frames, batch_size: int) -> int:
    """Epochs for `USUAL_STEPS` steps, at least 10."""
    n_new, n_old = len(frames.new.train), len(frames.old.train)
    batches = -(-(n_new + min(n_new, n_old)) // batch_size)
    return max(10, -(-USUAL_STEPS // batches))


def _start(base: Potential, new: Structures, energies: dict[str, float] | None) -> Potential:
    """Base model with all elements and with the E0 of the new level of theory."""
    extended = with_elements(base, [*new.train, *new.held])
    if energies is None:
        return reference_energies.refitted(extended, new.train)
    reference_energies.refuse_in_place_of_fitted(
        base, "Leave energies out, which fits E0 once more, or train from scratch with [data] isolated_atoms."
    )
    return reference_energies.with_given(extended, energies)


def _prepared(
    base: Potential, start: Potential, frames: _Frames, settings: TrainingConfig
) -> tuple[Potential, TrainingConfig, list[Frame], list[Frame]]:
    """The first arguments of `fit`: where it starts, settings, frames to train on and held out, of one level of theory."""
    new, old = frames.new, frames.old
    train = [*new.train, *reference_energies.moved(old.train, base, start)]
    held = [*new.held, *reference_energies.moved(old.held[: len(new.held)], base, start)]
    origins = [f"frame {original_index(new.train, k)}" for k in range(len(new.train))]
    origins += [f"replayed frame {original_index(old.train, k)}" for k in range(len(old.train))]
    prepared = prepare(start, train, origins=origins)
    start = with_wider_domain(start, prepared[: len(new.train)])  # the base model's domain holds for its own data
    if settings.skin:
        prepared = prepare(start, train, skin=settings.skin, origins=origins)
    return start, settings, prepared, prepare(start, held)


def with_wider_domain(potential: Potential, frames: Sequence[Frame]) -> Potential:
    """The potential with the new frames in its domain, where atoms come closer than in the old ones, meet for the first time or have
    fewer neighbours.  So core repulsion stays out of the new frames too."""
    domain, species = potential.domain, len(potential.elements)
    limits = {"repulsion_range": _smaller(domain.closest, closest_approaches(frames, species))}
    if domain.fewest is not None:
        limits["fewest_neighbours"] = _smaller(domain.fewest, fewest_neighbours(frames, species, domain.radius))
    return replace(potential, constants={**potential.constants, **limits})


def _smaller(old, new) -> np.ndarray:
    """Smaller of two limits, where 0 stands for no limit."""
    return np.where((new > 0) & ((new < old) | (old == 0)), new, old)


def _evaluations(stages: dict[str, Potential], held: Sequence[Atoms], labels) -> dict[str, Evaluation]:
    """Errors of held-out frames by stage, of potentials that know all elements and for labels that there are."""
    labels = [name for name in labels if count_labels(held)[name]]  # a random split may leave none of them
    known = {stage: p for stage, p in stages.items() if p.elements == stages["fine-tuned"].elements}
    return {stage: evaluate(potential, held, labels=labels) for stage, potential in known.items()}


def _base_evaluations(base: Potential, end: Potential, held: Sequence[Atoms], labels) -> dict[str, Evaluation]:
    """Errors of held-out frames of the base model's data, before and after; none without such frames."""
    if not held:
        return {}
    stages = {"base model": base, "fine-tuned": reference_energies.with_those_of(base, end)}
    return {stage: evaluate(potential, held, labels=labels) for stage, potential in stages.items()}
