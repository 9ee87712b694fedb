"""Start of a training from the weights of another model."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace

from ase import Atoms

from latte_ase.io.pretrained import load_model
from latte_ase.model.potential import Architecture, Potential
from latte_ase.training.config import Config
from latte_ase.training.elements import for_elements


def base_of(config: Config) -> Potential | None:
    """The model of `[model] init`, whose path may be relative to the recipe; None without one; raises as `load_model`."""
    name = config.model.init
    if not name:
        return None
    beside = config.path(name)
    return load_model(beside if beside.exists() else name)


def with_weights_of(base: Potential, fresh: Potential, frames: Sequence[Atoms]) -> Potential:
    """The fresh potential with parameters, scales and E0 of the base; of its elements that are missing there, and for new ones, a
    warning says what becomes of them.

    Args:
        base: a trained model.
        fresh: potential with random parameters; its elements and metadata stay.
        frames: the training set, for the scales of new elements.

    Raises:
        ValueError: the architectures differ in more than elements; says in what.
    """
    _refuse_another_architecture(base.architecture, fresh.architecture)
    _tell_what_is_not_taken(base, fresh)
    return replace(for_elements(base, fresh.elements, frames), metadata=fresh.metadata, committee=None)


def _refuse_another_architecture(theirs: Architecture, ours: Architecture) -> None:
    there, here = _hyperparameters(theirs), _hyperparameters(ours)
    differences = [
        f"{name} is {here.get(name)!r} here and {there.get(name)!r} there"
        for name in dict.fromkeys([*here, *there])
        if here.get(name) != there.get(name)
    ]
    if differences:
        raise ValueError(
            f"The weights of the model in [model] init do not fit: {'; '.join(differences)}. Elements may differ, all else in [model] "
            "has to be the same: copy the table of its recipe (latte-ase info shows it), or leave init out."
        )


def _hyperparameters(architecture: Architecture) -> dict:
    own = {"descriptor": type(architecture.descriptor).__name__.lower()} | vars(architecture.descriptor)
    return own | {name: getattr(architecture, name) for name in ("hidden", "activation", "repulsion", "linear")}


def _tell_what_is_not_taken(base: Potential, fresh: Potential) -> None:
    missing = [e for e in base.elements if e not in fresh.elements]
    new = [e for e in fresh.elements if e not in base.elements]
    told = [f"its parameters of {', '.join(missing)} are not taken, which the new one lacks"] if missing else []
    told += [f"{', '.join(new)} start from parameters of known elements of similar radius"] if new else []
    if told:
        warnings.warn(
            f"The model in [model] init knows {', '.join(base.elements)}: {'; '.join(told)}.",
            stacklevel=2,
        )
