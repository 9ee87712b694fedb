"""The structures to train on and those held out, with labels that are there and belong together."""

from __future__ import annotations

from collections.abc import Sequence

from ase import Atoms

from latte_ase.io.frame_weights import weighted_frames
from latte_ase.io.label_checks import require_labels, select_labelled
from latte_ase.io.plausibility import check_plausibility
from latte_ase.io.stress_plausibility import check_stress
from latte_ase.training.config import TrainingConfig
from latte_ase.training.dataset import Structures, split

MOST_COMPARED = 5000
"""Frames, the first ones, whose labels are compared with each other: all of them at once may not fit into memory."""
ADVICE = "Or set {name}_weight to 0 (finetune on the command line: --{name}-weight 0)."


def labelled_sets(
    frames: Sequence[Atoms],
    valid: Sequence[Atoms] | None,
    training: TrainingConfig,
    *,
    valid_fraction: float,
    trust_labels: bool = False,
) -> Structures:
    """The structures that have labels and a weight above 0, split.

    Args:
        frames: labelled structures.
        valid: those held out; None holds out `valid_fraction` of `frames`.
        training: which labels have a weight, and the seed of the split.
        valid_fraction: see `valid`.
        trust_labels: use labels that are not plausible.

    Raises:
        ValueError: labels are missing, are no numbers or those of another structure, or do not belong together; see
            `label_checks` and `plausibility`; or a weight is no finite number of 0 or more.
    """
    frames = select_labelled(weighted_frames(frames, "the training set"), training.labels, otherwise=ADVICE)
    if not trust_labels and {"energy", "forces"} <= set(training.labels):
        check_plausibility(frames[:MOST_COMPARED])
    if not trust_labels and "stress" in training.labels:
        check_stress(frames[:MOST_COMPARED])
    if valid is not None:
        valid = weighted_frames(valid, "the validation set")
        return Structures(frames, select_labelled(valid, training.labels, "the validation set", otherwise=ADVICE))
    structures = split(frames, valid_fraction, training.seed)
    require_labels(structures.train, training.labels, "the frames that are not held out", otherwise=ADVICE)
    return structures
