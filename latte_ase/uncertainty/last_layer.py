"""Committee of last layers, for any trained potential and without further training.

Energies and forces are linear in the weights w of the last layer.  With the training loss as a negative log-likelihood, w
is normally distributed around its trained value, with the covariance

    C = ( H + ridge * mean(diag H) )^-1
    H = SUM_frames  a g_E g_E^T / atoms^2 + b / (3 atoms) SUM_components g_F g_F^T,     g = d/dw

where a and b are the weights of energies and forces in the training loss, which the model file records.  C is determined
up to a factor, which the calibration sets (last-layer prediction rigidity, Bigi et al., arXiv:2403.02251).  The sum over
force components is estimated from a few random directions.  The members are drawn from this distribution.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from latte_ase.engine.jit import jit
from latte_ase.io.frames import read_frames
from latte_ase.io.label_checks import labelled_frames
from latte_ase.io.pretrained import load_model
from latte_ase.model.committee import Committee, replaced
from latte_ase.model.derivatives import derivatives
from latte_ase.model.potential import Architecture, Potential
from latte_ase.model.program import Program, Weights, weights_of
from latte_ase.training.batch_rules import ByFrames
from latte_ase.training.batches import DTYPE, Batches, training_program
from latte_ase.training.config import TrainingConfig
from latte_ase.training.dataset import prepare
from latte_ase.uncertainty.assessment import calibrated
from latte_ase.uncertainty.limit import with_limit

RIDGES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
"""Values of the ridge; the one with the highest likelihood on the held-out frames is used."""
DIRECTIONS = 4
"""Number of random directions per frame."""
MEMBER_DISTANCE = 1e-2
"""Distance of the members from the trained weights, relative to the norm of those; arbitrary, since everything is
linear, but rounding errors grow where it is very small."""


def last_layer(
    model: Any,
    frames: Any,
    *,
    held_out: Any,
    members: int = 16,
    seed: int = 0,
    keys: Mapping[str, str] | None = None,
    progress: Callable | None = None,
) -> Potential:
    """Potential of a model with a calibrated committee of last layers.

    Args:
        model: what `latte_ase.load_model` takes.
        frames: the training frames of the model: file or list of ase.Atoms with energies and forces.
        held_out: labelled frames that the model was not trained on, for the calibration; fifty or more.
        members: number of members.  An uncertainty costs as many force calls, and has a relative statistical error
            of 1 / sqrt(2 members).
        seed: seed of the random numbers.
        keys: names of the labels in both sets where they are not ASE's, see `latte_ase.io.labels.with_keys`.
        progress: wrapper of the iteration over frames, for example `rich.progress.track`.

    Returns:
        The potential with the committee.

    Raises:
        ValueError: fewer than two members, or labels are missing.
    """
    if members < 2:
        raise ValueError(f"members is {members}; two or more are needed to disagree.")
    potential = load_model(model)
    structures = labelled_frames(read_frames(frames, keys=keys), ("energy", "forces"))
    held = labelled_frames(read_frames(held_out, keys=keys), ("energy", "forces"), "the held-out frames")
    information = _information(potential, structures, _loss_weights(potential), seed, progress)
    best = None
    for ridge in RIDGES:
        drawn = _draw(potential, information, ridge, members, seed)
        candidate, found = calibrated(replace(potential, committee=Committee(drawn)), held)
        if best is None or found.likelihood > best[0]:
            best = found.likelihood, candidate
    assert best is not None
    return with_limit(best[1], structures)


def _loss_weights(potential: Potential) -> tuple[float, float]:
    """Weights of energies and forces in the training loss of a model, by its file; the defaults where it has none."""
    metadata = potential.metadata
    told = (metadata.get("finetuning") or metadata.get("recipe") or {}).get("training", {})
    usual = TrainingConfig()
    return told.get("energy_weight", usual.energy_weight), told.get("force_weight", usual.force_weight)


def _last(architecture: Architecture, params) -> dict[str, Any]:
    """Weights in which energies are linear, without the bias, which cancels against that of the isolated atom."""
    network = params["network"]
    names = [f"Dense_{len(architecture.hidden)}", *(["linear"] if architecture.linear else [])]
    return {"network": {name: {"kernel": network[name]["kernel"]} for name in names}}


@partial(jit, static_argnums=0)
def _rows(program: Program, weights: Weights, graph, probes):
    """Derivatives d/dw of the energy (weights,), and of forces along random directions (probes, blocks, block, 3)."""
    last = _last(program.architecture, weights.params)

    def results(last):
        found = derivatives(program, weights.with_params(replaced(weights.params, last)), graph)
        return jnp.sum(found.energies), found.forces

    (energy, forces), pull = jax.vjp(results, last)
    of_energy = pull((jnp.ones_like(energy), jnp.zeros_like(forces)))[0]
    of_forces = jax.vmap(lambda v: pull((jnp.zeros_like(energy), v))[0])(probes)
    return ravel_pytree(of_energy)[0], jax.vmap(lambda tree: ravel_pytree(tree)[0])(of_forces)


def _information(potential: Potential, structures, weights, seed, progress) -> np.ndarray:
    """Matrix H (weights, weights), float64."""
    frames = prepare(potential, structures)
    batches = Batches(potential, frames, ByFrames(1))()
    program, trained = training_program(potential), weights_of(potential, DTYPE)
    rng, total = np.random.default_rng(seed), 0.0
    for frame, batch in zip(progress(frames) if progress else frames, batches, strict=True):
        probes = (batch.has_forces * rng.normal(size=(DIRECTIONS, *batch.has_forces.shape))).astype(DTYPE)
        energy, forces = _rows(program, trained, batch.graph, probes)
        n = len(frame.species)
        energy, forces = (
            np.asarray(energy, np.float64) / n,
            np.asarray(forces, np.float64) / np.sqrt(3 * n * DIRECTIONS),
        )
        if frame.energy is not None:
            total = total + weights[0] * np.outer(energy, energy)
        total = total + weights[1] * forces.T @ forces
    return np.asarray(total)


def _draw(potential: Potential, information, ridge: float, members: int, seed: int):
    """Random members of the last layer, w + C^(1/2) z."""
    weights, unravel = ravel_pytree(_last(potential.architecture, potential.params))
    values, vectors = np.linalg.eigh(information)
    values = np.maximum(values, 0) + ridge * values.mean()
    z = np.random.default_rng((seed, 1)).normal(size=(members, len(values)))
    deviations = (z / np.sqrt(values)) @ vectors.T
    deviations *= np.linalg.norm(weights) / np.linalg.norm(deviations, axis=1).mean() * MEMBER_DISTANCE
    drawn = jax.vmap(unravel)((np.asarray(weights) + deviations).astype(DTYPE))
    return jax.tree.map(np.asarray, drawn)
