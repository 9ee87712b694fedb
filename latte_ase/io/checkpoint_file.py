"""Checkpoint files: named arrays and JSON facts in one safetensors file, replaced in one step; reading executes nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from latte_ase.io.atomic_file import write_atomically


@dataclass(frozen=True)
class CheckpointFile:
    """A kind of checkpoint file.

    Attributes:
        kind: what it is a checkpoint of, such as "training"; the checkpoint of something else is refused.
        version: of the names and facts in it; another one is refused.
        after_failed_write: a sentence that says how to go on from the last checkpoint, for errors of `save`.
        otherwise: what can be done without the checkpoint, for errors of `load`.
    """

    kind: str
    version: int
    after_failed_write: str
    otherwise: str

    def save(self, path, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
        """Write arrays and facts that JSON can hold; raises as `write_atomically`."""
        described = json.dumps({**facts, "kind": self.kind, "version": self.version})
        ordered = {name: np.asarray(array, order="C") for name, array in arrays.items()}
        write_atomically(
            Path(path).expanduser(), to_bytes(ordered, {"facts": described}), advice=self.after_failed_write
        )

    def load(self, path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """The arrays and the facts.

        Raises:
            ValueError: the file is damaged, or no checkpoint of this kind and version.
        """
        facts = self.facts(path)
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, facts  # noqa: SIM118 (not a dict)

    def facts(self, path) -> dict[str, Any]:
        """The facts alone; raises as `load`."""
        try:
            with safe_open(path, framework="numpy") as file:
                facts = json.loads(file.metadata()["facts"])
            found = f"{facts['kind']} {facts['version']}"
        except (SafetensorError, TypeError, KeyError, ValueError) as error:
            raise ValueError(
                f"{path} is not a complete checkpoint of {self.kind} ({error!s:.400}). Checkpoints are written in one step, so "
                f"something changed it afterwards: copy it again, or {self.otherwise}."
            ) from error
        if found != f"{self.kind} {self.version}":
            raise ValueError(
                f"{path} is a checkpoint of {found}; {self.kind} {self.version} is needed. Give the file that this version "
                f"wrote for it, or {self.otherwise}."
            )
        return facts
