"""Labelled structures as files and ASE's Atoms hold them: reading, and checking the labels.

Labels are looked for where ASE puts them, in `atoms.calc`; energies are total energies in eV.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms
from ase.io import read


def read_frames(source, index: str = ":") -> list[Atoms]:
    """Structures from a file that `ase.io.read` knows, or from an iterable of Atoms and files.

    Raises:
        FileNotFoundError, ValueError: no file; no structure in it.
    """
    if isinstance(source, Atoms):
        return [source]
    if isinstance(source, (str, Path)):
        path = Path(source).expanduser()
        if not path.exists():
            raise FileNotFoundError(f"There is no file {source}. Give the path of a file of labelled structures.")
        frames = read(path, index)
        frames = [frames] if isinstance(frames, Atoms) else list(frames)
    else:
        frames = [atoms for item in source for atoms in read_frames(item, index)]
    if not frames:
        raise ValueError(f"{source} holds no structure; at least one is needed.")
    return frames


def label(atoms: Atoms, name: str) -> Any:
    """A stored result of `atoms`, or None; nothing is computed."""
    return None if atoms.calc is None else atoms.calc.results.get(name)


def count_labels(frames: Sequence[Atoms]) -> dict[str, int]:
    """How many frames have energy, forces, stress."""
    return {name: sum(label(a, name) is not None for a in frames) for name in ("energy", "forces", "stress")}


def require_labels(
    frames: Sequence[Atoms], names: Iterable[str], origin="the training set", *, otherwise: str = ""
) -> dict[str, int]:
    """Check that every frame has the labels, and that they are its own; returns `count_labels`.

    Args:
        frames: structures with labels in their calculators.
        names: of "energy", "forces", "stress".
        origin: where the frames come from, for the message.
        otherwise: what else can be done where a label {name} is missing, for the message.

    Raises:
        ValueError: a label is missing, no number, that of another structure, or a force that a constraint took away;
            says which, in which frame, and how to write it.
    """
    names, counts = tuple(names), count_labels(frames)
    for name in names:
        if counts[name] < len(frames):
            missing = next(k for k, a in enumerate(frames) if label(a, name) is None)
            raise ValueError(
                f"{counts[name]} of {len(frames)} frames of {origin} have {name} (frame {missing} has none).{_alike(frames[missing], name)} "
                f"In extended XYZ the label is called '{name}' (energy=... in the comment line, forces:R:3 in Properties); "
                "in Python, atoms.calc = SinglePointCalculator(atoms, energy=..., forces=...) stores labels."
                f"{' ' * bool(otherwise)}{otherwise.format(name=LABEL_WEIGHTS[name])}"
            )
    for k, atoms in enumerate(frames):
        for name in LABEL_WEIGHTS:
            value = label(atoms, name)
            if value is not None and not np.isfinite(np.asarray(value, float)).all():
                raise ValueError(
                    f"The label {name!r} of frame {k} of {origin} is not finite. Leave the frame out, or that label."
                )
        if _stale(atoms):
            raise ValueError(
                f"The labels of frame {k} of {origin} are those of another structure: its atoms moved after the calculation, "
                "or frames share one calculator. Store labels with each frame: "
                "atoms.calc = SinglePointCalculator(atoms, energy=..., forces=...)."
            )
    if "forces" in names:
        _refuse_constrained_forces(frames, origin)
    return counts


LABEL_WEIGHTS = {"energy": "energy", "forces": "force", "stress": "stress"}
"""What a label's weight is called in the configuration, without "_weight"."""


def _alike(atoms: Atoms, name: str) -> str:
    """A sentence about what the frame has under similar names."""
    found = sorted(key for key in {*atoms.info, *atoms.arrays} if name.rstrip("s") in key.lower())
    return f" It has {', '.join(found)}: is that it?" if found else ""


def _stale(atoms: Atoms) -> bool:
    """Whether the labels were computed for another structure; shifts, as a whole or by lattice vectors, are none."""
    then = getattr(atoms.calc, "atoms", None)
    if not isinstance(then, Atoms):
        return False
    if len(then) != len(atoms) or (then.numbers != atoms.numbers).any():
        return True
    if not np.allclose(then.cell.array[then.pbc], atoms.cell.array[then.pbc], rtol=0, atol=CHANGED):
        return True
    moved = atoms.positions - then.positions
    moved -= moved[0]
    periods = np.where(then.pbc[:, None], then.cell.array, 0.0)
    moved -= np.rint(moved @ np.linalg.pinv(periods)) @ periods
    return bool(np.abs(moved).max() > CHANGED)


CHANGED = 1e-3
"""Angstrom: a change of positions that makes labels those of another structure.  Files round positions to 1e-8 or so."""


def _refuse_constrained_forces(frames: Sequence[Atoms], origin: str) -> None:
    forces = [np.asarray(label(atoms, "forces")) for atoms in frames]
    held = [f[c.index] for f, a in zip(forces, frames, strict=True) for c in a.constraints if isinstance(c, FixAtoms)]
    if any(map(np.size, held)) and not any(f.any() for f in held) and any(f.any() for f in forces):
        raise ValueError(
            f"The forces on all atoms that FixAtoms holds are 0 in {origin}: they were stored with the constraint applied. "
            "Store atoms.get_forces(apply_constraint=False); if they are the true forces, take the constraint off."
        )
