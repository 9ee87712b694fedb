"""Committee of potentials that were trained with different seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from latte_ase.io.frames import read_frames
from latte_ase.io.label_checks import labelled_frames
from latte_ase.io.pretrained import load_model
from latte_ase.model.committee import Committee
from latte_ase.model.potential import Potential
from latte_ase.uncertainty.assessment import calibrated
from latte_ase.uncertainty.limit import with_limit


def ensemble(models: Sequence[Any], *, held_out: Any, keys: Mapping[str, str] | None = None) -> Potential:
    """Potential of the first of several models, with all of them as its committee.

    Args:
        models: two or more, each what `latte_ase.load_model` takes, trained on the same frames with the same
            architecture and different seeds.
        held_out: labelled frames that no model was trained on, for the calibration; fifty or more.
        keys: names of their labels where they are not ASE's, see `latte_ase.io.labels.with_keys`.

    Returns:
        The first potential, with a calibrated committee.

    Raises:
        ValueError: fewer than two models, other architectures or constants, or labels are missing.
    """
    if len(models) < 2:
        raise ValueError(f"{len(models)} model was given; two or more are needed to disagree.")
    potentials = [load_model(model) for model in models]
    first = potentials[0]
    for number, other in enumerate(potentials[1:], start=2):
        if other.architecture != first.architecture:
            raise ValueError(
                f"Model {number} has another architecture than the first one. Train all with one recipe and different "
                "seeds."
            )
        if not all(map(np.array_equal, _of_frames(first), _of_frames(other))):
            raise ValueError(
                f"Model {number} was trained on other frames than the first one: its scale or closest approaches "
                "differ. Name the validation set in the recipe ([data] valid), so that a seed does not choose it."
            )
    held = labelled_frames(read_frames(held_out, keys=keys), ("energy", "forces"), "the held-out frames")
    members = jax.tree.map(lambda *arrays: np.stack(arrays), *(_params_for(p, first) for p in potentials))
    shifts = np.stack([p.reference_energies - first.reference_energies for p in potentials])
    return with_limit(calibrated(replace(first, committee=Committee(members, shifts=shifts)), held)[0], held)


def _of_frames(potential: Potential) -> list[np.ndarray]:
    """Constants that depend on the training frames and not on the seed."""
    return [potential.constants["scale"], potential.constants["repulsion_range"]]


def _params_for(potential: Potential, other: Potential):
    """Parameters that give the energies of a potential with the constants of another one.

    Mean m and deviation d of the features depend on the seed.  The parameters of the first layer are transformed:
    W x + b of x = (B - m) / d is W' x' + b' of x' = (B - m') / d', with W' = W d'/d and b' = b + W (m' - m)/d.
    """
    mean, deviation, new_mean, new_deviation = (
        p.constants[name][0] if p.architecture.shared else p.constants[name]
        for p in (potential, other)
        for name in ("mean", "deviation")
    )
    network = dict(potential.params["network"])
    for name in ("Dense_0", *(["linear"] if potential.architecture.linear else [])):
        kernel, bias = (np.asarray(network[name][part], np.float64) for part in ("kernel", "bias"))
        network[name] = {
            "kernel": kernel * (new_deviation / deviation)[..., None],
            "bias": bias + np.einsum("...fu,...f->...u", kernel, (new_mean - mean) / deviation),
        }
    return {**potential.params, "network": network}
