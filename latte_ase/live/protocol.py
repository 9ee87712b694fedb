"""Messages to viewers: JSON as text, and frames in binary.

A frame is little endian: a header of 64 bytes (`FRAME_HEADER`), the cell (9 float32), positions (3 float32 for each atom), and 28 bytes for
each pull (`PULL`): the atom, its target, and the force on it.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from ase.data import covalent_radii
from ase.data.colors import jmol_colors

from latte_ase.live.frame import LiveFrame, LiveStructure

VERSION = 1

MAGIC = b"LAT1"

FRAME_HEADER = np.dtype(
    [
        ("magic", "S4"),
        ("revision", "<u4"),
        ("atoms", "<u4"),
        ("pulls", "<u4"),
        ("time_fs", "<f8"),
        ("energy", "<f8"),
        ("kinetic_energy", "<f8"),
        ("temperature_K", "<f8"),
        ("number", "<u4"),
        ("pull_energy", "<f4"),
        ("reserved", "<u4", (2,)),
    ]
)
"""Header of a frame; energies in eV, the potential energy without that of the pulls."""

PULL = np.dtype([("atom", "<u4"), ("target", "<f4", (3,)), ("force", "<f4", (3,))])
"""A pull: Angstrom, eV/Angstrom."""

BOND_FACTOR = 1.25
"""Two atoms are drawn bonded where they are closer than this times the sum of their covalent radii."""


def text(kind: str, **content: Any) -> str:
    """JSON of a message."""
    return json.dumps({"type": kind, **content}, separators=(",", ":"))


def structure_text(structure: LiveStructure, cell: np.ndarray) -> str:
    """Message with what does not move."""
    colors = ["#" + "".join(f"{round(255 * c):02x}" for c in jmol_colors[z]) for z in structure.numbers]
    return text(
        "structure",
        revision=structure.revision,
        numbers=structure.numbers.tolist(),
        symbols=structure.symbols,
        radii=[float(f"{covalent_radii[z]:.3f}") for z in structure.numbers],
        colors=colors,
        masses=structure.masses.tolist(),
        pbc=structure.pbc.tolist(),
        cell=cell.tolist(),
        fixed=np.flatnonzero(structure.fixed).tolist(),
        bond_factor=BOND_FACTOR,
    )


def frame_bytes(frame: LiveFrame) -> bytes:
    """Message with a frame."""
    header = np.zeros((), FRAME_HEADER)
    header["magic"], header["revision"], header["number"] = MAGIC, frame.structure.revision, frame.number % 2**32
    header["atoms"], header["pulls"] = len(frame.structure), len(frame.pulls)
    header["time_fs"], header["energy"], header["pull_energy"] = (
        frame.time_fs,
        frame.computed["energy"],
        frame.pull_energy,
    )
    kinetic = frame.kinetic_energy
    header["kinetic_energy"], header["temperature_K"] = kinetic, frame.structure.temperature(kinetic)
    pulls = np.zeros(len(frame.pulls), PULL)
    for k, pull in enumerate(frame.pulls):
        pulls[k] = pull.atom, pull.target, frame.pull_forces[k]
    arrays = (frame.moment.cell, frame.moment.positions)
    return header.tobytes() + b"".join(a.astype("<f4").tobytes() for a in arrays) + pulls.tobytes()
