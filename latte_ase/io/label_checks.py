"""Checks of labels wherever labelled structures are read: present, finite, and those of their structure."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence

import numpy as np
from ase import Atoms

from latte_ase.io.frame_selection import FrameSelection, original_index
from latte_ase.io.labels import LABELS, count_labels, has_label, known_forces, label

CHANGED = 1e-3
"""Change of positions in Angstrom from which on labels are those of another structure; files round to about 1e-8."""
LABEL_WEIGHTS = {"energy": "energy", "forces": "force", "stress": "stress"}
"""Names of the weights of the labels in the configuration, without "_weight"."""
GEOMETRY = ("numbers", "positions", "momenta", "masses", "tags", "initial_charges", "initial_magmoms")
"""Arrays of ASE that are not labels."""


def labelled_frames(
    frames: Sequence[Atoms], names: Iterable[str], origin="the training set", *, otherwise: str = ""
) -> list[Atoms]:
    """The frames that have at least one of the labels, after a look at all of them; see `select_labelled`."""
    return list(select_labelled(frames, names, origin, otherwise=otherwise))


def select_labelled(
    frames: Sequence[Atoms], names: Iterable[str], origin="the training set", *, otherwise: str = ""
) -> FrameSelection:
    """Selection of the frames that have at least one of the labels, after a look at all of them.

    A frame is used for the labels that it has: where some frames lack a label there is a warning, as there is for forces that
    a constraint took away (`known_forces`).

    Args:
        frames: structures with labels in their calculators.
        names: of "energy", "forces", "stress": those that are wanted.
        origin: where the frames come from, for messages.
        otherwise: what else can be done where a label {name} is missing, for messages.

    Raises:
        ValueError: no frame has one of the labels, or a label is no number, or that of another structure; says which, in
            which frame, and what to do.
    """
    names = tuple(names)
    for k, atoms in enumerate(frames):
        refuse_bad_labels(atoms, f"frame {original_index(frames, k)} of {origin}")
    if "forces" in names:
        _warn_of_constrained_forces(frames, origin)
    require_labels(frames, names, origin, otherwise=otherwise)
    counts = count_labels(frames)
    for name in names:
        if counts[name] < len(frames):
            first = next(k for k, atoms in enumerate(frames) if not has_label(atoms, name))
            warnings.warn(
                f"{counts[name]} of {len(frames)} frames of {origin} have {name} (frame {original_index(frames, first)} has none). Each frame is used "
                "for the labels that it has.",
                stacklevel=4,
            )
    return FrameSelection(
        frames, (k for k, atoms in enumerate(frames) if any(has_label(atoms, name) for name in names))
    )


def require_labels(frames: Sequence[Atoms], names: Iterable[str], origin: str, *, otherwise: str = "") -> None:
    """Raise ValueError where no frame has one of the labels; arguments as `labelled_frames`."""
    for name in names:
        if not any(has_label(atoms, name) for atoms in frames):
            raise ValueError(_missing(frames, name, origin, otherwise))


def refuse_bad_labels(atoms: Atoms, where: str) -> None:
    """Raise ValueError where a label is no number, or that of another structure; `where` is the frame, for the message."""
    for name in LABELS:
        try:
            value = label(atoms, name)
        except (ValueError, TypeError) as error:
            raise ValueError(f"The label {name!r} of {where} cannot be read: {error}.") from error
        if value is not None and not np.isfinite(value).all():
            raise ValueError(f"The label {name!r} of {where} is not finite. Leave the frame out, or that label.")
    if _stale(atoms):
        raise ValueError(
            f"The labels of {where} are those of another structure: its atoms moved after the calculation, or frames share one "
            "calculator. Store labels with each frame: atoms.calc = SinglePointCalculator(atoms, energy=..., forces=...)."
        )


def _stale(atoms: Atoms) -> bool:
    """Whether labels were computed for another structure, apart from translations and lattice vectors."""
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


def _warn_of_constrained_forces(frames: Sequence[Atoms], origin: str) -> None:
    taken = {k: ~known_forces(a) for k, a in enumerate(frames) if a.constraints and label(a, "forces") is not None}
    taken = {k: components.any(axis=1) for k, components in taken.items() if components.any()}
    if taken:
        first = min(taken)
        kinds = ", ".join(sorted({type(c).__name__ for c in frames[first].constraints}))
        warnings.warn(
            f"In {len(taken)} of {len(frames)} frames of {origin} forces were stored with constraints applied (frame {first}: "
            f"{kinds}, {taken[first].sum()} of {len(frames[first])} atoms). What a constraint took away is no label and is left "
            "out. To use these forces too, store atoms.get_forces(apply_constraint=False); if they are the true ones, take the "
            "constraint off.",
            stacklevel=5,
        )


def _missing(frames: Sequence[Atoms], name: str, origin: str, otherwise: str) -> str:
    """Message that no frame has a label, with the contents of the frames and the keys that may be meant."""
    sentences = [f"0 of {len(frames)} frames of {origin} have {name}."]
    if frames:
        sentences += [_contents(frames[0]), *_advice(frames[0], name)]
    sentences.append(
        f"In extended XYZ the label is called '{name}' (energy=... in the comment line, forces:R:3 in Properties); in Python, "
        "atoms.calc = SinglePointCalculator(atoms, energy=..., forces=...) stores labels."
    )
    return " ".join([*sentences, otherwise.format(name=LABEL_WEIGHTS[name])]).strip()


def _contents(atoms: Atoms) -> str:
    """Sentence with all names in `info`, `arrays` and the results of a structure."""
    places = {"info": atoms.info, "arrays": atoms.arrays, "results": {} if atoms.calc is None else atoms.calc.results}
    found = {place: sorted(set(map(str, keys)) - set(GEOMETRY)) for place, keys in places.items()}
    told = "; ".join(f"{', '.join(keys)} ({place})" for place, keys in found.items() if keys)
    return f"Frame 0 has {told or 'nothing but its atoms'}."


def _advice(atoms: Atoms, name: str) -> list[str]:
    """Sentences that suggest keys for what looks like the label."""
    stems = {
        "energy": {"energy": "energy"},
        "forces": {"forces": "force"},
        "stress": {"stress": "stress", "virial": "viri"},
    }
    results = {} if atoms.calc is None else atoms.calc.results
    held = {*map(str, atoms.info), *map(str, atoms.arrays), *results} - {name}
    alike = [(kind, key) for kind, stem in stems[name].items() for key in sorted(held) if stem in key.lower()]
    if not alike:
        return []
    kind, key = alike[0]
    return [
        f'If {key} is the {kind}, say so: keys={{"{kind}": "{key}"}} in Python, keys = {{ {kind} = "{key}" }} in [data], '
        f"--key {kind}={key} on the command line."
    ]
