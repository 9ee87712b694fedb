"""Commands to a live simulation: their types, and how they are read from JSON.

In JSON times are in fs, friction in 1/fs, pressure in GPa, lengths in Angstrom, stiffness in eV/Angstrom^2, forces in eV/Angstrom.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from math import isfinite
from typing import Any

Index = int
Indices = tuple[int, ...]
Vector = tuple[float, float, float]


class CommandError(ValueError):
    """Error of a message that is no command, or of a command that cannot be carried out."""


@dataclass(frozen=True)
class PullTo:
    """Pull the centre of some atoms to a point, each by the same displacement.

    Attributes:
        atoms: indices.
        to: point in Angstrom.
        stiffness: eV/Angstrom^2, of each atom.
        max_force: eV/Angstrom, of each atom.
    """

    atoms: Indices
    to: Vector
    stiffness: float = 2.0
    max_force: float = 2.0


@dataclass(frozen=True)
class Push:
    """Constant forces on atoms, in place of those that this command gave before.

    Attributes:
        atoms: indices.
        forces: eV/Angstrom, one vector for each.
    """

    atoms: Indices
    forces: tuple[Vector, ...]


@dataclass(frozen=True)
class Release:
    """End pulls, of some atoms or of all."""

    atoms: Indices | None = None


@dataclass(frozen=True)
class Set:
    """Change conditions: friction in 1/fs, pressure in GPa, time step in fs, speed in steps per second (0: as fast as it goes)."""

    temperature_K: float | None = None
    friction: float | None = None
    pressure: float | None = None
    mode: str | None = None
    speed: float | None = None
    timestep: float | None = None


@dataclass(frozen=True)
class Pause:
    """Stop the time."""


@dataclass(frozen=True)
class Play:
    """Go on."""


@dataclass(frozen=True)
class Step:
    """Pause, and take n steps."""

    n: Index = 1


@dataclass(frozen=True)
class Rewind:
    """Go back by some frames."""

    frames: Index = 1


@dataclass(frozen=True)
class Reset:
    """Go back to the first structure."""


@dataclass(frozen=True)
class Fix:
    """Fix atoms where they are, or free them."""

    atoms: Indices
    fixed: bool = True


@dataclass(frozen=True)
class Delete:
    """Take atoms out."""

    atoms: Indices


@dataclass(frozen=True)
class Replace:
    """Make an atom one of another element."""

    atom: Index
    symbol: str


@dataclass(frozen=True)
class Add:
    """Put an atom or a molecule of `ase.build.molecule` with its centre at a point."""

    at: Vector
    symbol: str | None = None
    molecule: str | None = None


@dataclass(frozen=True)
class Record:
    """Write frames to a file from now on; None ends it."""

    path: str | None = None


@dataclass(frozen=True)
class Keep:
    """Append the present frame to the file of frames to label."""


@dataclass(frozen=True)
class Watch:
    """Whether this viewer wants uncertainties."""

    uncertainty: bool


@dataclass(frozen=True)
class Steer:
    """Ask to be the viewer that steers."""


@dataclass(frozen=True)
class Ack:
    """This viewer has drawn a frame."""

    frame: Index


Command = (
    PullTo | Push | Release | Set | Pause | Play | Step | Rewind | Reset | Fix | Delete | Replace | Add | Record | Keep
)
"""Commands that change the simulation, for the viewer that steers; the other ones concern the viewer itself."""

TYPES: dict[str, type] = {
    "pull": PullTo,
    "release": Release,
    "set": Set,
    "pause": Pause,
    "play": Play,
    "step": Step,
    "rewind": Rewind,
    "reset": Reset,
    "fix": Fix,
    "delete": Delete,
    "replace": Replace,
    "add": Add,
    "record": Record,
    "keep": Keep,
    "watch": Watch,
    "steer": Steer,
    "ack": Ack,
}
"""Commands by their name in messages."""


def parse(message: str | bytes) -> tuple[Any, Any]:
    """Command of a message, and the id that its answer echoes (None without).

    Raises:
        CommandError: the message is no JSON object of a known type with the fields of that type.
    """
    try:
        content = json.loads(message)
    except (ValueError, RecursionError) as error:
        raise CommandError(f"A message is not JSON ({type(error).__name__}); a JSON object is needed.") from None
    if not isinstance(content, dict):
        raise CommandError(f"A message is {_short(content)}; a JSON object is needed.")
    name, id = content.pop("type", None), content.pop("id", None)
    if not isinstance(name, str) or name not in TYPES:
        raise CommandError(f"The type of a message is {_short(name)}; known are {', '.join(TYPES)}.")
    if not isinstance(id, (str, int, float, type(None))):
        raise CommandError(f"The id of a message is {_short(id)}; a number or a text is needed.")
    known = {field.name: field for field in fields(TYPES[name])}
    if unknown := sorted(set(content) - set(known)):
        raise CommandError(
            f"The message {name!r} has no field {_short(unknown[0])}; it has {', '.join(known) or 'none'}."
        )
    for field in known.values():
        if field.name not in content:
            if field.default is MISSING:
                raise CommandError(f"The message {name!r} lacks the field {field.name!r}.")
            continue
        kind, _, optional = str(field.type).partition(" | ")
        if content[field.name] is None and optional:
            continue
        read, what = READERS[kind]
        value = read(content[field.name])
        if value is None:
            raise CommandError(
                f"The field {field.name!r} of the message {name!r} is {_short(content[field.name])}; {what} is needed."
            )
        content[field.name] = value
    return TYPES[name](**content), id


def _number(value) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if isfinite(number) else None


def _index(value) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31 else None


def _indices(value) -> Indices | None:
    if not isinstance(value, list) or not value:
        return None
    found = tuple(_index(each) for each in value)
    return None if None in found else found  # type: ignore[return-value]


def _vector(value) -> Vector | None:
    if not isinstance(value, list) or len(value) != 3:
        return None
    found = tuple(_number(each) for each in value)
    return None if None in found else found  # type: ignore[return-value]


def _flag(value) -> bool | None:
    return value if isinstance(value, bool) else None


def _text(value) -> str | None:
    return value if isinstance(value, str) else None


READERS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "Index": (_index, "a whole number of 0 or more"),
    "Indices": (_indices, "a list of at least one index of an atom"),
    "Vector": (_vector, "a list of three finite numbers"),
    "float": (_number, "a finite number"),
    "bool": (_flag, "true or false"),
    "str": (_text, "a text"),
}
"""By type: function to the value, None where it is none, and what is needed."""


def _short(value) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
