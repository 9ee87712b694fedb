"""Checkpoints: everything that training needs to go on with the same numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from latte_ase.io.atomic_file import write_atomically


def save(path, tree, known: dict[str, Any]) -> None:
    """Write a pytree of arrays and JSON facts in one atomic step; raises as `write_atomically`."""
    leaves = jax.tree.leaves(tree)
    arrays = {f"{k:06d}": np.asarray(leaf, order="C") for k, leaf in enumerate(leaves)}
    advice = "Training then goes on from the last checkpoint with resume=True (--resume)."
    write_atomically(Path(path), to_bytes(arrays, {"facts": json.dumps(known)}), advice=advice)


def load(path, like) -> tuple[Any, dict[str, Any]]:
    """Read a checkpoint into the structure of `like`.

    Returns:
        The pytree and the facts.

    Raises:
        ValueError: the file is damaged, or belongs to another configuration.
    """
    found = facts(path)
    with safe_open(path, framework="numpy") as file:
        arrays = [file.get_tensor(name) for name in sorted(file.keys())]
    leaves, structure = jax.tree.flatten(like)
    if [a.shape for a in arrays] != [np.shape(leaf) for leaf in leaves]:
        raise ValueError(
            f"The checkpoint {path} holds arrays of other shapes than this configuration makes. Resume with "
            "the configuration that wrote it, or train into another folder."
        )
    return jax.tree.unflatten(structure, arrays), found


def facts(path) -> dict[str, Any]:
    """The facts of a checkpoint, without its arrays.

    Raises:
        ValueError: the file is damaged.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            return json.loads(file.metadata()["facts"])
    except (SafetensorError, TypeError, KeyError, ValueError) as error:
        raise ValueError(
            f"{path} is not a complete checkpoint ({error!s:.400}). Checkpoints are written in one step, so something "
            "changed it afterwards: copy it again, or train into another folder."
        ) from error
