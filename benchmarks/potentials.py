"""Potentials with random weights: what a call costs does not depend on the weights."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from latte_ase import load_model
from latte_ase.model.descriptors import Latte, Reduced
from latte_ase.model.potential import Architecture, Potential, init_params

TERMS = "4,-:8,a,a:8,ab,ab:4,a,b,ab"
"""Contractions of every preset: 24 invariants."""
CUTOFF = 5.0
PRESETS = ("specific", "common", "embedded", "reduced", "vectors")
SHIPPED = "latte-water"


def descriptor(preset: str, cutoff: float = CUTOFF) -> Any:
    """Hyper-parameters of a preset: LATTE in one of its species modes, or the reduced form, also with element vectors.

    Raises:
        ValueError: no such preset.
    """
    if preset == "reduced":
        return Reduced(contractions=TERMS, cutoff=cutoff)
    if preset == "vectors":
        return Reduced(contractions=TERMS, cutoff=cutoff, embedding=4)
    if preset not in PRESETS:
        raise ValueError(f"There is no preset {preset!r}; there are {', '.join([*PRESETS, SHIPPED])}.")
    return Latte(contractions=TERMS, cutoff=cutoff, species_mode=preset, max_width=min(2.0, cutoff / 2))


def potential(preset: str, elements: tuple[str, ...] = ("H", "O"), *, cutoff: float = CUTOFF) -> Potential:
    """A preset with two hidden layers of 64, ZBL repulsion and random weights, or the shipped model.

    Args:
        preset: one of `PRESETS`, or `SHIPPED`, which has its own elements and cutoff.
        elements: symbols, sorted by atomic number.
        cutoff: Angstrom.
    """
    if preset == SHIPPED:
        return load_model(SHIPPED)
    architecture = Architecture(elements=elements, descriptor=descriptor(preset, cutoff))
    species, features = len(elements), architecture.descriptor.n_features
    constants = {
        "mean": np.zeros((species, features)),
        "deviation": np.full((species, features), 10.0),
        "scale": np.array(0.1),
        "repulsion_range": np.full((species, species), 0.3),  # no pair is that close
    }
    params = jax.tree.map(np.asarray, init_params(architecture, jax.random.key(0)))
    return Potential(architecture, params, constants, np.zeros(species), {"name": f"random-{preset}"})
