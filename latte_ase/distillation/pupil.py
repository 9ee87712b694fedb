"""Trainings of a pupil: from scratch in round 0, from the last weights in further rounds, and a last, long one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from latte_ase.finetuning import finetune
from latte_ase.io.model_file import save_model
from latte_ase.io.pretrained import FILE, load_model
from latte_ase.labelling import LabelDatabase
from latte_ase.model.potential import Potential
from latte_ase.training.config import Config, load_config
from latte_ase.training.folder import CHECKPOINT
from latte_ase.training.train import train
from latte_ase.uncertainty import last_layer

ROUND_EPOCHS = 40
"""Epochs of the training of a round from the last weights; round 0 takes twice as many."""
GENTLE = 0.5
"""Of the preset's learning rate, where weights are good already."""
BATCH_ATOMS = 150
"""As 8 molecules of 20 atoms, or a cell of 108; seeds may have different sizes."""
STRESS_WEIGHT = 1000.0
"""Weight of squared stress errors in (eV/A^3)^2 where there are labels: 1 meV/A^3, 0.16 GPa, counts as 10 meV/atom in the preset."""
MEMBERS = 8
PUPIL = "pupil.safetensors"
"""Model of a round with its committee."""


def recipe(labels: LabelDatabase, *, name: str, size: str, training: dict[str, Any], card: dict[str, Any]) -> Config:
    """Recipe of the pupil: a preset, with what suits its structures, and what was asked for."""
    suited: dict[str, Any] = {"batch_atoms": BATCH_ATOMS}
    if labels.has_stress("held=0") and labels.has_stress("held=1"):
        suited["stress_weight"] = STRESS_WEIGHT
    tables = {
        "preset": size,
        "model": {"name": name},
        "data": {"train": f"{labels.path.name}@held=0", "valid": f"{labels.path.name}@held=1", "trust_labels": True},
        "training": suited | training,
        "card": card,
    }
    return replace(load_config(tables), folder=labels.path.parent)


def learn(config: Config, labels: LabelDatabase, before: Potential | None, *, out: Path, epochs: int) -> Potential:
    """Pupil that has learned all labels, with a committee; what was trained already is read.

    Args:
        config: its recipe.
        labels: of this round and earlier ones.
        before: the pupil so far; None trains from scratch.
        out: folder of the training, which is resumed where it was stopped.
        epochs: number of epochs.
    """
    if (out / PUPIL).exists():
        return load_model(out / PUPIL)
    if not (out / FILE).exists():
        resume = (out / CHECKPOINT).exists()
        if before is None:
            train(replace(config, training=replace(config.training, epochs=epochs)), out=out, resume=resume)
        else:
            settings = replace(config.training, epochs=epochs, rate=GENTLE * config.training.rate)
            finetune(
                before,
                labels.frames("held=0"),
                valid=labels.frames("held=1"),
                out=out,
                resume=resume,
                patience=epochs,
                trust_labels=True,
                **settings.to_dict(),
            )
    pupil = with_committee(load_model(out / FILE), labels)
    save_model(pupil, out / PUPIL)
    return pupil


def with_committee(potential: Potential, labels: LabelDatabase) -> Potential:
    """Potential with a committee of last layers, calibrated on what is held out."""
    return last_layer(potential, labels.frames("held=0"), held_out=labels.frames("held=1"), members=MEMBERS)
