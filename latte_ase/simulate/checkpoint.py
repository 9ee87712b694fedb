"""Checkpoints of a run: everything that decides its further numbers, in one file."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from latte_ase.geometry.graph import Grouping, Shape
from latte_ase.io.checkpoint_file import CheckpointFile
from latte_ase.io.model_file import digest, fingerprint, flatten, unflatten
from latte_ase.settings import shortened
from latte_ase.simulate.device_loop import Progress
from latte_ase.simulate.output import Written
from latte_ase.simulate.run import Run, RunState
from latte_ase.simulate.state import State

RUN_FILE = CheckpointFile(
    kind="dynamics",
    version=2,
    after_failed_write="The run goes on from the last checkpoint with resume=True.",
    otherwise="run without resume",
)


def identity(run: Run) -> dict[str, Any]:
    """Quantities that must be the same when a run is resumed."""
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
        "model": fingerprint(run.engine.potential),
    }


def save(path, run: Run, written: Written) -> None:
    """Write the state of a run in one atomic step; raises as `write_atomically`."""
    state = run.state
    progress = state.progress
    arrays = {
        "positions": state.positions,
        "cell": state.cell,
        "key": state.key,
        "state": progress.state,
        "moved": progress.moved,
        "status": progress.status,
    }
    facts = {
        "identity": identity(run),
        "freedom": state.freedom,
        "shape": state.shape,
        "shapes": state.shapes,
        "written": written,
    }
    RUN_FILE.save(path, flatten(arrays), facts)


def load(path, run: Run) -> Written:
    """Restore the state of a run from a checkpoint.

    Returns:
        What the run's files held then.

    Raises:
        FileNotFoundError: there is no checkpoint.
        ValueError: the file is damaged, or belongs to another run.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"There is no checkpoint {path} to resume from. Run without resume first.")
    arrays, facts = RUN_FILE.load(path)
    for name, value in identity(run).items():
        before = facts["identity"].get(name)
        if before != value:
            raise ValueError(
                f"The checkpoint {path} was written by a run with another {name} ({shortened(before)}; now "
                f"{shortened(value)}). Resume with the same structure, model and settings, or start a new run."
            )
    tree = unflatten(arrays)
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
