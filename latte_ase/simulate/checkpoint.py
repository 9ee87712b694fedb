"""Checkpoints of a run: everything that decides its further numbers, in one safetensors file."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from latte_ase.geometry.graph import Grouping, Shape
from latte_ase.io.atomic_file import write_atomically
from latte_ase.io.model_file import digest, flatten, unflatten
from latte_ase.simulate.device_loop import Progress
from latte_ase.simulate.output import Written
from latte_ase.simulate.run import Run, RunState
from latte_ase.simulate.state import State

FORMAT = 1
"""Version of this file format."""


def identity(run: Run) -> dict[str, Any]:
    """What must be the same for a run to go on to the same numbers."""
    potential = run.engine.potential
    return {
        "ensemble": type(run.ensemble).__name__,
        "setting of the ensemble": dataclasses.asdict(run.ensemble),
        "timestep": float(run.timestep),
        "dtype": run.engine.dtype.name,
        "skin": float(run.engine.skin),
        "number of atoms": len(run.numbers),
        "pbc": run.pbc.tolist(),
        # as checksums: a million atoms have long lists
        "list of elements": digest({"": run.numbers}, ""),
        "list of masses": digest({"": run.masses}, ""),
        "set of mobile atoms": digest({"": run.mobile}, ""),
        "model": digest(flatten({"params": potential.params, "constants": potential.constants}), ""),
    }


def save(path, run: Run, written: Written) -> None:
    """Write where a run stands in one atomic step; raises as `write_atomically`."""
    state = run.state
    progress = state.progress
    arrays = flatten(
        {
            "positions": state.positions,
            "cell": state.cell,
            "key": state.key,
            "state": progress.state._asdict(),
            "moved": progress.moved._asdict(),
            "status": progress.status,
        }
    )
    facts = {
        "format": FORMAT,
        "identity": identity(run),
        "freedom": state.freedom,
        "shape": state.shape,
        "shapes": state.shapes,
        "written": written,
    }
    advice = "The run goes on from the last checkpoint with resume=True."
    write_atomically(Path(path), to_bytes(arrays, {"facts": json.dumps(facts)}), advice=advice)


def _read(path) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            facts = json.loads(file.metadata()["facts"])
        if facts["format"] != FORMAT:
            raise ValueError(f"its format is {facts['format']!r}, {FORMAT} is needed")
        return unflatten(arrays), facts
    except (SafetensorError, TypeError, KeyError, ValueError) as error:
        raise ValueError(
            f"{path} is not a complete checkpoint of dynamics ({error!s:.400}). Checkpoints are written in one step, so "
            "something changed it afterwards: copy it again, or run without resume."
        ) from error


def load(path, run: Run) -> Written:
    """Put a run back to where a checkpoint was written.

    Returns:
        What the run's files held then.

    Raises:
        FileNotFoundError: there is no checkpoint.
        ValueError: the file is damaged, or belongs to another run.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no checkpoint {path} to resume from. Run without resume first.")
    tree, facts = _read(path)
    for name, value in identity(run).items():
        before = facts["identity"].get(name)
        if before != value:
            raise ValueError(
                f"The checkpoint {path} was written by a run with another {name} ({_short(before)}; now "
                f"{_short(value)}). Resume with the same structure, model and settings, or start a new run."
            )
    shape, *shapes = map(_shape, [facts["shape"], *facts["shapes"]])
    progress = Progress(_state(tree["state"]), _state(tree["moved"]), tree["status"])
    at_list = tree["positions"], tree["cell"], shape, shapes
    run.continue_from(RunState(*at_list, facts["freedom"], tree["key"], progress))
    return Written(*facts["written"])


def _shape(entries) -> Shape:
    blocks, block, neighbours, *grouping = entries
    return Shape(blocks, block, tuple(neighbours), *map(Grouping, grouping))


def _state(tree) -> State:
    return State(**{"own": {}, **tree})


def _short(value) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."
