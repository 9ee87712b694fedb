"""Initial potential of a training: random parameters, and constants from the training frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import jax
import numpy as np
from ase import Atoms

from latte_ase.engine.devices import find_device
from latte_ase.engine.evaluator import Evaluator
from latte_ase.model import derivatives
from latte_ase.model.elements import symbols_of
from latte_ase.model.potential import Architecture, Potential, feature_constants, init_params
from latte_ase.training.batch_rules import ByFrames
from latte_ase.training.batches import DTYPE, Batches
from latte_ase.training.config import Config
from latte_ase.training.dataset import Frame, closest_approaches, compositions, fewest_neighbours


def initial_potential(config: Config, frames: Sequence[Atoms]) -> Potential:
    """Potential with random parameters and constants from the training frames."""
    m = config.model
    elements = m.elements or _elements(frames)
    architecture = Architecture(
        elements=elements,
        descriptor=m.make_descriptor(),
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
    recipe = config.to_dict()
    metadata = {"name": m.name, **recipe["card"], "recipe": recipe}
    return Potential(architecture, params, constants, np.zeros(species), metadata)


def _elements(frames) -> tuple[str, ...]:
    return tuple(symbols_of(sorted({int(z) for a in frames for z in a.numbers})))


def with_constants(potential: Potential, frames: Sequence[Frame], sample: int = 64) -> Potential:
    """The potential with feature scales, energy scale and domain of these frames."""
    species = len(potential.elements)
    chosen = [frames[k] for k in _sample(frames, species, sample)]
    batches = Batches(potential, chosen, ByFrames(4))
    rows, kinds = [], []
    evaluator = Evaluator(potential, device=find_device(None), dtype=DTYPE, kernel="xla")
    for batch in batches():
        inside = np.asarray(batch.graph.is_atom, bool)
        rows.append(evaluator(derivatives.features, batch.graph)[inside])
        kinds.append(np.broadcast_to(batch.graph.species.reshape(len(inside), -1), inside.shape)[inside])
    kinds = 0 * np.concatenate(kinds) if potential.architecture.shared else np.concatenate(kinds)
    mean, deviation = feature_constants(np.concatenate(rows), kinds, species)
    squares, components = 0.0, 0
    for frame in frames:  # one at a time: they may lie on disk
        if frame.forces is not None:
            known = frame.forces[frame.known_forces]
            squares, components = squares + known @ known, components + known.size
    scale = np.sqrt(squares / components) if components else 1.0
    constants = {
        "mean": mean,
        "deviation": deviation,
        "scale": np.array(max(scale, 1e-3)),
    }
    return with_domain(replace(potential, constants={**potential.constants, **constants}), frames)


def with_domain(potential: Potential, frames: Sequence[Frame]) -> Potential:
    """The potential with the domain of these frames."""
    species = len(potential.elements)
    domain = {
        "repulsion_range": closest_approaches(frames, species),
        "fewest_neighbours": fewest_neighbours(frames, species, potential.domain.radius),
    }
    return replace(potential, constants={**potential.constants, **domain})


def _sample(frames, n_species: int, size: int) -> list[int]:
    """Indices of about `size` frames, evenly spaced, with several of every species that there is."""

    def spaced(indices, count):
        return [indices[k] for k in np.linspace(0, len(indices) - 1, min(count, len(indices))).astype(int)]

    chosen = set(spaced(range(len(frames)), size))
    contains = compositions(frames, n_species) > 0
    for s in range(n_species):
        if contains[sorted(chosen), s].sum() < size // 8:
            chosen.update(int(k) for k in spaced(np.flatnonzero(contains[:, s]), size // 8))
    return sorted(chosen)
