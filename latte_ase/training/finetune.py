"""Light fine-tuning: a shipped model, a few frames of one's own level of theory.

First E0 is re-fitted: another level of theory shifts total energies by electronvolts per atom,
which is no business of the network.  Then all parameters, or the last layer alone, are trained
from where they are, with early stopping on held-out frames.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from latte_ase import dataset
from latte_ase.evaluation import Evaluation, evaluate
from latte_ase.potential import Potential
from latte_ase.pretrained import FILE, load_model
from latte_ase.training.config import TrainingConfig
from latte_ase.training.loop import fit
from latte_ase.training.plausibility import refuse_implausible_labels
from latte_ase.training.progress import epoch_bar

STRATEGIES = ("full", "network", "last-layer")
STEPS = 2500
"""Steps of a fine-tuning by default; early stopping usually ends it sooner."""


@dataclass(frozen=True)
class FineTuned:
    """What fine-tuning returns.

    Attributes:
        potential: the fine-tuned model.
        history: one row per epoch, as in training.
        errors: metrics of held-out frames, by stage: "base model", "E0 re-fitted", "fine-tuned".
        held_out: labels and predictions of the held-out frames, after.
        path: the model file written, or None.
    """

    potential: Potential
    history: list[dict[str, float]]
    errors: dict[str, dict[str, float]]
    held_out: Evaluation
    path: Path | None

    @property
    def calculator(self):
        """A `LatteCalculator` of the fine-tuned model."""
        from latte_ase.calculator import LatteCalculator

        return LatteCalculator(self.potential)

    @property
    def table(self) -> str:
        """Errors before and after, as text."""
        lines = [f"{'held-out frames':16s}{'energy (meV/atom)':>22s}{'forces (meV/Å)':>22s}"]
        lines.append(f"{'':16s}{'MAE':>11s}{'RMSE':>11s}{'MAE':>11s}{'RMSE':>11s}")
        for stage, m in self.errors.items():
            keys = ("energy_mae", "energy_rmse", "forces_mae", "forces_rmse")
            lines.append(f"{stage:16s}" + "".join(f"{m[k]:11.2f}" for k in keys))
        return "\n".join(lines)


def trainable(potential: Potential, strategy: str) -> Any:
    """Which parameters a strategy trains: pytree of bool, or None for all.

    Raises:
        ValueError: unknown strategy.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy is {strategy!r}; allowed are {', '.join(STRATEGIES)}.")
    if strategy == "full":
        return None
    last = f"Dense_{len(potential.architecture.hidden)}"
    part = {"network": "['network']", "last-layer": f"['network']['{last}']"}[strategy]
    return jax.tree_util.tree_map_with_path(
        lambda path, _: jax.tree_util.keystr(path).startswith(part), potential.params
    )


def refit_reference_energies(potential: Potential, frames) -> Potential:
    """E0 shifted, element by element, so that mean errors of the total energy vanish.

    Least squares of label minus prediction on the compositions; elements that the frames cannot
    tell apart share the shift (least norm), and an element that does not occur keeps its E0.

    Args:
        potential: the base model.
        frames: list of ase.Atoms with energies.
    """
    from latte_ase.engine import Engine

    engine = Engine(potential, skin=0.0)
    residual = [a.get_potential_energy() - engine.energies(a).sum() for a in frames]
    species = [potential.species(a.numbers) for a in frames]
    counts = np.array([np.bincount(s, minlength=len(potential.elements)) for s in species])
    shift = dataset.fit_reference_energies(residual, counts)
    return replace(potential, reference_energies=potential.reference_energies + shift)


def finetune(
    model,
    frames,
    *,
    out: str | Path | None = None,
    valid=None,
    valid_fraction: float = 0.1,
    strategy: str = "full",
    epochs: int | None = None,
    batch_size: int = 2,
    rate: float = 1e-3,
    energy_weight: float = 100.0,
    force_weight: float = 1.0,
    patience: int = 50,
    seed: int = 0,
    report=None,
) -> FineTuned:
    """Adapt a model to new labels.

    Args:
        model: what `latte_ase.load_model` takes.
        frames: file or list of ase.Atoms with energies and forces.
        out: folder for the new model and metrics.csv; None writes nothing.
        valid: held-out frames, as `frames`; None holds out `valid_fraction` of `frames`.
        valid_fraction: see `valid`; at least one frame.
        strategy: "full" trains all parameters, "network" the networks on the descriptor as it is, "last-layer"
            their last linear layer: for very few frames, and quick.
        epochs: passes over the frames; None makes about 2500 steps.
        batch_size: structures per step.
        rate: peak learning rate.
        energy_weight: of the squared error in eV/atom.
        force_weight: of the squared error of a force component in eV/Angstrom.
        patience: epochs without a better validation loss before stopping.
        seed: of the split and the order of batches.
        report: called after every epoch with (row, epochs); default shows a progress bar.

    Returns:
        `FineTuned`; `.calculator` is ready to use, `print(result.table)` shows before and after.

    Raises:
        ValueError: labels are missing, or in units that do not fit each other, an element is unknown to the
            model, or there are fewer than two frames and no `valid`; nothing has been trained yet.
    """
    base = load_model(model)
    chosen = trainable(base, strategy)
    structures = dataset.read_frames(frames)
    dataset.require_labels(structures, ("energy", "forces"))
    refuse_implausible_labels(structures)
    if valid is not None:
        held = dataset.read_frames(valid)
    elif len(structures) < 2:
        raise ValueError(
            f"{len(structures)} frame was given; two are needed, one to train on and one to hold out. Give more "
            "frames, or held-out frames as `valid`."
        )
    else:
        kept, out_of = dataset.split(len(structures), valid_fraction, seed)
        held, structures = [structures[k] for k in out_of], [structures[k] for k in kept]
    dataset.require_labels(held, ("energy", "forces"), "the held-out frames")

    start = refit_reference_energies(base, structures)
    errors = {"base model": evaluate(base, held).metrics, "E0 re-fitted": evaluate(start, held).metrics}
    train_frames, valid_frames = dataset.prepare(start, structures), dataset.prepare(start, held)
    start = with_repulsion_outside(start, train_frames)
    batches = -(-len(train_frames) // batch_size)
    training = TrainingConfig(
        epochs=epochs or max(10, -(-STEPS // batches)),
        batch_size=batch_size,
        rate=rate,
        ema=0.99,
        energy_weight=energy_weight,
        force_weight=force_weight,
        seed=seed,
    )
    folder = None if out is None else Path(out)
    with epoch_bar(training.epochs, f"fine-tuning ({strategy})", report) as show:
        result = fit(
            start, training, train_frames, valid_frames,
            trainable=chosen, folder=folder, patience=patience, report=show,
        )  # fmt: skip
    held_out = evaluate(result.potential, held)
    errors["fine-tuned"] = held_out.metrics
    metadata = {
        **{k: v for k, v in base.metadata.items() if k not in ("recipe", "metrics", "frames")},
        "name": folder.name if folder else f"{base.metadata.get('name', 'model')}-finetuned",
        "base": base.metadata.get("name", "unnamed"),
        "finetuning": {"strategy": strategy, "frames": len(structures), "held_out": errors},
    }
    potential = replace(result.potential, metadata=metadata)
    path = potential.save(folder / FILE) if folder else None
    return FineTuned(potential, result.history, errors, held_out, path)


def with_repulsion_outside(potential: Potential, frames) -> Potential:
    """Core repulsion must stay out of the new frames too, where they come closer than the old."""
    new = dataset.shortest_distances(frames, len(potential.elements))
    old = potential.constants["repulsion_range"]
    shorter = np.where((new > 0) & (new < old), new, old)
    return replace(potential, constants={**potential.constants, "repulsion_range": shorter})
