"""Identity of a training: a checksum of its inputs, which must be the same when it is resumed.  Quantities computed from the inputs
are left out, since their last bits differ between processors."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
from ase import Atoms

from latte_ase.io.frame_weights import frame_weight
from latte_ase.io.labels import known_forces, labels_of
from latte_ase.io.model_file import digest_in_order, fingerprint
from latte_ase.model.potential import Potential
from latte_ase.training.config import TrainingConfig


def lasting(training: TrainingConfig) -> dict[str, Any]:
    """Settings that must not change: all but the number of epochs, and of devices where they add the same numbers in another order.

    The displacements of the consistency are drawn by each device.
    """
    settings = training.to_dict() | {"epochs": None}
    others = {"batch_atoms": training.batch_atoms > 0, "devices": training.consistency and training.devices != 1}
    return {name: value for name, value in settings.items() if others.get(name, True)}


def checksum(facts: Any, sets: Mapping[str, Sequence[Atoms]], *, base: Potential | None = None) -> str:
    """Checksum of settings, structures and labels, as a text.

    Args:
        facts: settings and other choices, as JSON can hold them.
        sets: structures by what they are used for; their cells, atoms, labels and weights count.
        base: the model that is trained further, if it is one; its parameters, constants and E0 count.
    """
    arrays = (
        (f"{use} {number} {name}", value)
        for use in sorted(sets)
        for number in sorted(range(len(sets[use])), key=str)
        for name, value in sorted(_content(sets[use][number]).items(), key=itemgetter(0))
    )
    return digest_in_order(arrays, json.dumps([facts, None if base is None else fingerprint(base)]))


def _content(atoms: Atoms) -> dict[str, np.ndarray]:
    given = {name: np.asarray(value) for name, value in labels_of(atoms).items()} | {"known": known_forces(atoms)}
    given |= {} if (weight := frame_weight(atoms)) == 1 else {"weight": np.array(weight)}
    return given | {"numbers": atoms.numbers, "positions": atoms.positions, "cell": atoms.cell.array, "pbc": atoms.pbc}
