"""Checkpoints: everything that training needs to go on with the same numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors import safe_open
from safetensors.numpy import save as to_bytes

from latte_ase.model_io import write_atomically


def save(path, tree, facts: dict[str, Any]) -> None:
    """Write a pytree of arrays and JSON facts in one atomic step."""
    leaves = jax.tree.leaves(tree)
    arrays = {f"{k:06d}": np.asarray(leaf, order="C") for k, leaf in enumerate(leaves)}
    write_atomically(Path(path), to_bytes(arrays, {"facts": json.dumps(facts)}))


def load(path, like) -> tuple[Any, dict[str, Any]]:
    """Read a checkpoint into the structure of `like`.

    Returns:
        The pytree and the facts.

    Raises:
        ValueError: the checkpoint belongs to another configuration.
    """
    with safe_open(path, framework="numpy") as file:
        arrays = [file.get_tensor(name) for name in sorted(file.keys())]
        facts = json.loads(file.metadata()["facts"])
    leaves, structure = jax.tree.flatten(like)
    if [a.shape for a in arrays] != [np.shape(leaf) for leaf in leaves]:
        raise ValueError(
            f"The checkpoint {path} holds arrays of other shapes than this configuration makes. Resume with "
            "the configuration that wrote it, or train into another folder."
        )
    return jax.tree.unflatten(structure, arrays), facts
