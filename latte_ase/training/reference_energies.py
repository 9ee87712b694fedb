"""Reference energies E0 of the elements, from which total energies are counted: given, from isolated atoms, or by least squares."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from numpy.typing import ArrayLike

from latte_ase.io.frame_selection import FrameSelection
from latte_ase.io.frame_weights import frame_weight
from latte_ase.io.frames import read_frames
from latte_ase.io.labels import label, labels_of
from latte_ase.model.potential import Potential
from latte_ase.prediction import predict
from latte_ase.training.config import Config
from latte_ase.training.dataset import Frame, compositions
from latte_ase.training.isolated_atoms import isolated_atom_energies


def fit_reference_energies(energies, compositions, weights: ArrayLike = 1.0) -> np.ndarray:
    """E0 per species by weighted least squares of total energies on compositions.

    Args:
        energies: (structures,) eV.
        compositions: (structures, species) numbers of atoms.
        weights: (structures,) of the squares, or one for all.

    Returns:
        (species,) eV.  Where compositions cannot tell species apart (only H2O, say) the solution
        of least norm: right in sum, meaningless one by one; 0 without structures.
    """
    if len(energies) == 0:
        return np.zeros(np.shape(compositions)[1])
    roots = np.sqrt(np.broadcast_to(np.asarray(weights, float), len(energies)))
    return np.linalg.lstsq(roots[:, None] * np.asarray(compositions), roots * np.asarray(energies), rcond=None)[0]


def given_reference_energies(energies: Mapping[str, float], elements: Sequence[str]) -> np.ndarray:
    """E0 (species,) in eV of energies by symbol.

    Raises:
        ValueError: an element has none; names it.
    """
    missing = [e for e in elements if e not in energies]
    if missing:
        raise ValueError(
            f"Reference energies are given for {', '.join(energies)}, but not for {', '.join(missing)}. Give those of "
            "all elements ([data.reference_energies], the file of isolated atoms), or none at all for least squares."
        )
    return np.array([energies[e] for e in elements], np.float64)


def with_given(potential: Potential, energies: Mapping[str, float]) -> Potential:
    """The potential with E0 of energies by symbol; raises as `given_reference_energies`."""
    return replace(potential, reference_energies=given_reference_energies(energies, potential.elements))


def refuse_in_place_of_fitted(base: Potential, advice: str) -> None:
    """Raise ValueError where given E0 are to take the place of those of a base model that were fitted.

    Args:
        base: the model that is trained further.
        advice: last sentence of the message.
    """
    if base.reference_energies_are_given:
        return
    fitted = ", ".join(f"{e} {x:.6g}" for e, x in zip(base.elements, base.reference_energies, strict=True))
    raise ValueError(
        f"The E0 of the base model are a fit to its total energies ({fitted} eV), and its network holds what is left of "
        "them. Energies of atoms of another level of theory cannot take their place: all total energies would be off by the "
        f"difference. {advice}"
    )


def initial(config: Config, potential: Potential, frames: Sequence[Frame]) -> np.ndarray:
    """E0 (species,) in eV: given, from isolated atoms, or least squares, in this order.

    Raises:
        ValueError: an element has no given energy, or no isolated atom; or as `isolated_atom_energies`.
    """
    if config.data.gives_reference_energies:
        return given_reference_energies(_given(config, potential.cutoff), potential.elements)
    rows = [(k, f.energy, f.weight) for k, f in enumerate(frames) if f.energy is not None]
    counts = compositions(frames, len(potential.elements))[[k for k, _, _ in rows]]
    _warn_of_what_a_fit_cannot_do(frames, counts, potential.elements)
    return fit_reference_energies([energy for _, energy, _ in rows], counts, [weight for _, _, weight in rows])


def continued(config: Config, base: Potential, potential: Potential, frames: Sequence[Atoms]) -> np.ndarray:
    """E0 (species,) in eV of a potential that has the weights of a base model: given, or those of the base model, fitted again.

    Raises:
        ValueError: as `initial`; or E0 are given and those of the base model were fitted.
    """
    if not config.data.gives_reference_energies:
        return refitted(potential, frames).reference_energies
    refuse_in_place_of_fitted(
        base, "Leave isolated_atoms and reference_energies out of [data], which fits E0 once more, or leave init out."
    )
    return given_reference_energies(_given(config, potential.cutoff), potential.elements)


def _given(config: Config, cutoff: float) -> dict[str, float]:
    """Energies of atoms by symbol that the table [data] gives."""
    data, found = config.data, {}
    if data.isolated_atoms:
        structures = read_frames(config.path(data.isolated_atoms), keys=data.keys)
        found = isolated_atom_energies(structures, cutoff, data.isolated_atoms)
    return found | data.reference_energies


def _warn_of_what_a_fit_cannot_do(frames: Sequence[Frame], counts: np.ndarray, elements: Sequence[str]) -> None:
    unknown = [e for e, count in zip(elements, counts.sum(axis=0), strict=True) if count == 0]
    if len(counts) and unknown:
        warnings.warn(
            f"No frame of the training set with an energy has {', '.join(unknown)}: E0 is 0 there, and total energies of structures "
            "with such atoms mean nothing. Give [data.reference_energies] or isolated_atoms.",
            stacklevel=2,
        )
    lone = sum(f.energy is not None and len(f.species) == 1 and len(f.pairs.i) == 0 for f in frames)
    if lone:
        warnings.warn(
            f"{lone} of the frames with an energy are isolated atoms, whose energy is E0 exactly; E0 that are fitted to all frames "
            "are others. Set isolated_atoms to the file that holds them.",
            stacklevel=2,
        )


def refitted(potential: Potential, frames: Sequence[Atoms]) -> Potential:
    """E0 shifted, element by element, so that mean errors of the total energy vanish.

    Least squares of label minus prediction on the compositions; elements that the frames cannot
    tell apart share the shift (least norm), and an element that does not occur keeps its E0.

    After training it takes out what forces leave open: for benzene an error of 1.2 meV that all frames had in common.

    Args:
        potential: a trained model.
        frames: structures; without energies among them, the potential comes back as it is.
    """
    frames = FrameSelection(frames, (k for k, a in enumerate(frames) if label(a, "energy") is not None))
    if not frames:
        return potential
    residual = [
        label(a, "energy") - p.energy for a, p in zip(frames, predict(potential, frames, forces=False), strict=True)
    ]
    species = [potential.species(a.numbers) for a in frames]
    counts = [np.bincount(s, minlength=len(potential.elements)) for s in species]
    shift = fit_reference_energies(residual, counts, [frame_weight(atoms) for atoms in frames])
    return replace(potential, reference_energies=potential.reference_energies + shift)


def with_those_of(base: Potential, potential: Potential) -> Potential:
    """The potential with the E0 of the base model for the elements that this knows."""
    known = dict(zip(base.elements, base.reference_energies, strict=True))
    energies = [known.get(e, e0) for e, e0 in zip(potential.elements, potential.reference_energies, strict=True)]
    return replace(potential, reference_energies=np.array(energies))


def moved(frames: Sequence[Atoms], start: Potential, end: Potential) -> list[Atoms]:
    """Copies whose energies count from the E0 of `end` instead of those of `start`; elements as in `end`."""
    shift = end.reference_energies - with_those_of(start, end).reference_energies
    copies = []
    for atoms in frames:
        copy, change = atoms.copy(), shift[end.species(atoms.numbers)].sum()
        labels = labels_of(atoms)
        if "energy" in labels:
            labels["energy"] += change
        copy.calc = SinglePointCalculator(copy, **labels)
        copies.append(copy)
    return copies
