"""Frames whose labels a model cannot learn: their errors are far beyond those of the other frames of the training set.

A frame is odd where the error of its energy per atom, or the root mean square error of its force components, is

    e > TIMES median(e)     and     log e - median(log e) > DEVIATIONS 1.4826 median |log e - median(log e)|,

over the frames of the set that have the label.  Medians do not see the odd frames themselves, and the width of the distribution of
log e keeps hot structures out, where a set is cold and hot.  Odd frames are named, not left out: they may be what matters most.
"""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from latte_ase.engine.jit import jit
from latte_ase.io.atomic_file import write_atomically
from latte_ase.model.derivatives import OfStructures, of_structures
from latte_ase.model.potential import Potential
from latte_ase.model.program import Program, Weights, weights_of
from latte_ase.training.batches import DTYPE, Batch, Batches, training_program
from latte_ase.training.data_parallel import DIVIDED, DeviceGroup
from latte_ase.training.dataset import Frame

TIMES, DEVIATIONS = 5.0, 6.0
"""See above."""
LEAST_LABELLED = 10
"""Frames with a label, below which nothing is odd."""
LOOKS = (5,)
"""Epochs after which the frames are looked at, beside the last one."""
TABLE = "odd_frames.csv"
TOLD = 5
"""Frames that a warning names; the table has all."""


@dataclass(frozen=True)
class OddFrame:
    """A frame with an error far beyond those of the others.

    Attributes:
        frame: index in the training set.
        origin: where it comes from, such as frames.xyz@17, the eighteenth structure of that file.
        energy_error: |E - E*|/N in meV/atom; nan without energy.
        forces_error: root mean square over components in meV/Angstrom; nan without forces.
        times: the larger ratio of an error to the median of the set.
    """

    frame: int
    origin: str
    energy_error: float
    forces_error: float
    times: float


def looks_at(epoch: int, epochs: int) -> bool:
    """Whether the frames are looked at after an epoch."""
    return epoch in LOOKS or epoch == epochs


def odd_frames(potential: Potential, batches: Batches, params) -> list[OddFrame]:
    """The odd frames of a set, the oddest first.

    Args:
        potential: whose architecture and constants are used.
        batches: of the set.
        params: parameters of the potential.
    """
    found = frame_errors(potential, batches, params)
    times = np.stack([_times_where_odd(column) for column in found.T], axis=1).max(axis=1)
    return [
        OddFrame(
            frame=int(k),
            origin=batches.frames[int(k)].origin or f"frame {k}",
            energy_error=1e3 * float(found[k, 0]),
            forces_error=1e3 * float(found[k, 1]),
            times=float(times[k]),
        )
        for k in np.argsort(-times, kind="stable")[: int((times > 0).sum())]
    ]


def frame_errors(potential: Potential, batches: Batches, params) -> np.ndarray:
    """(frames, 2) errors of the energy in eV/atom and root mean square errors of forces in eV/Angstrom; nan without the label."""
    program, weights = training_program(potential), weights_of(potential, DTYPE).with_params(params)
    errors = np.full((len(batches.frames), 2), np.nan)
    for rows, batch in zip(batches.rows(), batches(), strict=True):
        found = np.asarray(_errors(program, batches.group, weights, batch), float)
        errors[rows[rows >= 0]] = found[rows >= 0]
    return errors


@partial(jit, static_argnums=(0, 1))
def _errors(program: Program, group: DeviceGroup, weights: Weights, batch: Batch):
    """Errors (structures of all devices, 2) of a batch."""

    def on_one(weights, batch):
        return _of_structures(of_structures(program, weights, batch.graph, len(batch.energy)), batch)

    return group.each(on_one, result=DIVIDED)(weights, batch)


def _of_structures(predicted: OfStructures, batch: Batch):
    """Errors (structures, 2); nan without the label."""
    size, owner = len(batch.energy), batch.graph.structure.reshape(-1)
    energy = jnp.abs(predicted.energy - batch.energy) / batch.n_atoms
    squares = (batch.has_forces * (predicted.forces - batch.forces)) ** 2
    squares, known = (
        jax.ops.segment_sum(values.sum(axis=-1).reshape(-1), owner, size) for values in (squares, batch.has_forces)
    )
    energy = jnp.where(batch.has_energy > 0, energy, jnp.nan)
    return jnp.stack([energy, jnp.sqrt(jnp.where(known > 0, squares / known, jnp.nan))], axis=1)


def _times_where_odd(errors: np.ndarray) -> np.ndarray:
    """(frames,) ratios of errors to their median where they are odd, else 0."""
    known = np.isfinite(errors) & (errors > 0)
    ratio = np.zeros(len(errors))
    if known.sum() < LEAST_LABELLED:
        return ratio
    logs = np.log(errors[known])
    above = logs - np.median(logs)
    odd = (above > np.log(TIMES)) & (above > DEVIATIONS * 1.4826 * np.median(np.abs(above)))
    ratio[known] = np.where(odd, np.exp(above), 0.0)
    return ratio


def tell(found: Sequence[OddFrame], frames: Sequence[Frame], folder: Path | None) -> None:
    """Warn of odd frames, and write all of them into a table of the folder; without any, remove an older table."""
    table = None if folder is None else folder / TABLE
    if not found:
        if table is not None:
            table.unlink(missing_ok=True)
        return
    named = ", ".join(
        f"{odd.origin} ({odd.energy_error:.3g} meV/atom, {odd.forces_error:.3g} meV/Angstrom, {odd.times:.0f} times the median)"
        for odd in found[:TOLD]
    )
    more = f" and {len(found) - TOLD} more" if len(found) > TOLD else ""
    where = "" if table is None else f" All stand in {table}."
    warnings.warn(
        f"The errors of {len(found)} of {len(frames)} training frames are far beyond those of the others: {named}{more}. Look whether "
        f"their labels are converged and of the same level of theory; leave them out, or give them a smaller weight.{where}",
        stacklevel=3,
    )
    if table is not None:
        write_atomically(table, _as_csv(found).encode())


def _as_csv(found: Sequence[OddFrame]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["frame", "energy_error_meV_per_atom", "forces_error_meV_per_A", "times_the_median"])
    writer.writerows([odd.origin, odd.energy_error, odd.forces_error, odd.times] for odd in found)
    return text.getvalue()
