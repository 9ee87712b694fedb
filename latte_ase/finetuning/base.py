"""The shipped model that a fine-tuning starts from where none is named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from ase import Atoms

from latte_ase.evaluation import evaluate
from latte_ase.io.labels import has_label
from latte_ase.io.pretrained import list_models, load_model
from latte_ase.model.elements import symbols_of
from latte_ase.model.potential import Potential
from latte_ase.training import reference_energies

COMPARED = 12
"""Frames on which the models are compared."""


class ChosenBase(NamedTuple):
    """A base model and the reason for it.

    Attributes:
        name: of the shipped model.
        reason: a sentence that says why it was chosen, and how to name another one.
    """

    name: str
    reason: str


def choose_base(frames: Sequence[Atoms], labels: Sequence[str]) -> ChosenBase:
    """Shipped model that knows all elements of some frames and whose mean absolute errors on them are the smallest.

    Compared are forces, which do not depend on the reference energies of a level of theory, on `COMPARED` frames; where forces
    are no label, energies after a fit of E0.

    Args:
        frames: labelled structures.
        labels: labels that the loss needs, see `TrainingConfig.labels`.

    Raises:
        ValueError: no shipped model knows all elements; lists the models with theirs.
    """
    numbers = {int(z) for atoms in frames for z in atoms.numbers}
    symbols = " ".join(symbols_of(sorted(numbers)))
    shipped = {name: load_model(name) for name in list_models()}
    able = {name: model for name, model in shipped.items() if numbers <= set(model.architecture.numbers)}
    if not able:
        listed = "; ".join(f"{name} ({' '.join(model.elements)})" for name, model in shipped.items())
        raise ValueError(
            f"No shipped model knows all elements of the frames, {symbols}. Name one to start from, to which the others are added, or "
            f"train from scratch with latte_ase.train. Shipped models are {listed}."
        )
    if len(able) == 1:
        return _chosen(next(iter(able)), f"the only shipped model that knows {symbols}")
    compared, unit = ("forces", "meV/Å") if "forces" in labels else ("energy", "meV/atom after a fit of E0")
    judges = [atoms for atoms in frames if has_label(atoms, compared)]
    judges = [judges[k] for k in np.unique(np.linspace(0, len(judges) - 1, COMPARED).astype(int))]
    errors = {name: _error(model, judges, compared) for name, model in able.items()}
    name, *others = sorted(errors, key=lambda each: errors[each])
    listed = ", ".join(f"{other} {errors[other]:.0f}" for other in others)
    what = f"{compared} on {len(judges)} frames, MAE in {unit}"
    return _chosen(
        name, f"the nearest of the shipped models that know {symbols}: {errors[name]:.0f} ({what}; {listed})"
    )


def _chosen(name: str, why: str) -> ChosenBase:
    return ChosenBase(name, f"Fine-tuning starts from {name}, {why}. Name a model to start from another one.")


def _error(model: Potential, frames: Sequence[Atoms], compared: str) -> float:
    """Mean absolute error of a label."""
    known = model if compared == "forces" else reference_energies.refitted(model, frames)
    return evaluate(known, frames, labels=(compared,)).metrics[f"{compared}_mae"]
