"""Settings: what the entries of recipes and model files, and keywords that stand for them, may be.

A dataclass of settings says it in its annotations, and in its docstring what each is:

    epochs: Count = 100
    cutoff: Length = 5.0
    mixing: Annotated[str, OneOf(("learned", "random"))] = "learned"

`check_entries` compares what was read with these annotations, `check_fields` does it where the dataclass is made in Python.
docs/settings.md is made of the same.
"""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from ase.data import chemical_symbols

LONGEST_LIST = 1000
"""Items of a list; letters of a text are 16 times as many."""
FINITE = 1e30
"""What is larger, no setting is meant to be."""


@dataclass(frozen=True)
class Allowed:
    """Values of a type that are allowed.

    Attributes:
        words: what they are, for "... is needed".
        fits: whether a value of the type is one of them.
    """

    words: str
    fits: Callable[[Any], bool]


def whole(least: int, most: int) -> Allowed:
    """Whole numbers within bounds, both included."""
    return Allowed(f"a whole number from {least} to {most}", lambda n: least <= n <= most)


@dataclass(frozen=True)
class OneOf:
    """Texts that are allowed.

    Attributes:
        names: the texts; a mapping whose keys they are may grow.
    """

    names: Iterable[str]

    @property
    def words(self) -> str:
        """As `Allowed.words`."""
        return f"one of {', '.join(self.names)}"

    def fits(self, value: str) -> bool:
        """As `Allowed.fits`."""
        return value in self.names


@dataclass(frozen=True)
class Unit:
    """The unit of a number, such as "Å"."""

    name: str


Count = Annotated[int, Allowed("a whole number of 1 or more", lambda n: 1 <= n < 2**31)]
Natural = Annotated[int, Allowed("a whole number of 0 or more", lambda n: 0 <= n < 2**63)]
Positive = Annotated[float, Allowed("a finite number larger than 0", lambda x: 0 < x < FINITE)]
NonNegative = Annotated[float, Allowed("a finite number of 0 or more", lambda x: 0 <= x < FINITE)]
Threshold = Annotated[float, Allowed("a number larger than 0, or inf", lambda x: x > 0)]
Fraction = Annotated[float, Allowed("a number from 0 to below 1", lambda x: 0 <= x < 1)]
Share = Annotated[float, Allowed("a number larger than 0 and below 1", lambda x: 0 < x < 1)]
Length = Annotated[Positive, Unit("Å")]
Energy = Annotated[float, Unit("eV")]
Symbol = Annotated[str, Allowed("a chemical symbol such as Si", chemical_symbols[1:].__contains__)]
Name = Annotated[str, Allowed("a text that is not empty", lambda text: text.strip() != "")]


def check_entries(cls: type, entries: Mapping[str, Any], *, where: str = "") -> None:
    """Compare entries with the annotations of a dataclass.

    Args:
        cls: the dataclass.
        entries: values by the names of its fields.
        where: what stands before the name of an entry in messages, such as "[training] ".

    Raises:
        ValueError: an entry is unknown, of another type or out of range; names it, its value, and what is needed.
    """
    known = field_types(cls)
    for name, value in entries.items():
        if name not in known:
            raise ValueError(f"{where}{shortened(name)} is unknown; known are {', '.join(known)}.")
        check_value(where + name, value, known[name])


def check_fields(instance: Any) -> None:
    """Compare the fields of a dataclass with their annotations, and make lists tuples; raises as `check_entries`."""
    entries = {field.name: getattr(instance, field.name) for field in dataclasses.fields(instance)}
    check_entries(type(instance), entries)
    for name, value in entries.items():
        object.__setattr__(instance, name, tuples(value))  # of one that is frozen, while it is made


def check_value(name: str, value: Any, annotation: Any) -> None:
    """Compare a value with an annotation; raises as `check_entries`."""
    if _fits(value, annotation):
        return
    _, marks = _parts(annotation)
    if marks and isinstance(marks[-1], OneOf):
        raise ValueError(f"{name} is {shortened(value)}; allowed are {', '.join(marks[-1].names)}.")
    raise ValueError(f"{name} is {shortened(value)}; {describe(annotation)} is needed.")


@cache
def field_types(cls: type) -> dict[str, Any]:
    """The annotations of a dataclass by field, with what is allowed."""
    return get_type_hints(cls, include_extras=True)


def describe(annotation: Any) -> str:
    """What an annotation allows, in words."""
    kind, marks = _parts(annotation)
    if marks:
        return marks[-1].words
    if get_origin(kind) is tuple:
        first, *others = get_args(kind)
        if others == [Ellipsis]:
            return f"a list, each entry {describe(first)},"
        if set(others) == {first}:
            return f"a list of {1 + len(others)} entries, each {describe(first)},"
        return f"a list of {1 + len(others)} entries ({'; '.join(map(describe, (first, *others)))})"
    if get_origin(kind) is dict:
        return "a table, each key {} and each value {},".format(*map(describe, get_args(kind)))
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
    return words.get(kind) or getattr(kind, "__name__", str(kind))


def unit(annotation: Any) -> str:
    """The unit of a number, or of the values of a table; "" without one."""
    for mark in getattr(annotation, "__metadata__", ()):
        if isinstance(mark, Unit):
            return mark.name
    return unit(get_args(annotation)[1]) if get_origin(annotation) is dict else ""


def shortened(value: Any) -> str:
    """A value for a message."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."


def tuples(value: Any) -> Any:
    """The value with tuples for lists, as dataclasses hold them."""
    return tuple(map(tuples, value)) if isinstance(value, (list, tuple)) else value


def _parts(annotation: Any) -> tuple[Any, list[Allowed | OneOf]]:
    """The type, and what of it is allowed."""
    if get_origin(annotation) is not Annotated:
        return annotation, []
    return annotation.__origin__, [mark for mark in annotation.__metadata__ if isinstance(mark, (Allowed, OneOf))]


def _fits(value: Any, annotation: Any) -> bool:
    kind, marks = _parts(annotation)
    if not marks and kind in (int, float):
        marks = [Allowed("", lambda x: 0 <= x < 2**31 if kind is int else abs(x) < FINITE)]
    return _is(value, kind) and all(mark.fits(value) for mark in marks)


def _is(value: Any, kind: Any) -> bool:
    """Whether a value is of a type, without infinite or endless content."""
    if kind is Any:
        return True
    if isinstance(kind, UnionType):
        return any(_is(value, one) for one in get_args(kind))
    if get_origin(kind) is tuple:
        kinds = get_args(kind)
        if not isinstance(value, (list, tuple)) or len(value) > LONGEST_LIST:
            return False
        if kinds[-1] is Ellipsis:
            return all(_fits(v, kinds[0]) for v in value)
        return len(value) == len(kinds) and all(map(_fits, value, kinds))
    if get_origin(kind) is dict:
        key, entry = get_args(kind)
        return isinstance(value, Mapping) and all(_fits(k, key) and _fits(v, entry) for k, v in value.items())
    if kind in (int, float):  # NumPy's numbers too
        number = numbers.Integral if kind is int else numbers.Real
        return isinstance(value, number) and not isinstance(value, bool) and bool(value == value)
    if kind is str:
        return isinstance(value, str) and len(value) <= 16 * LONGEST_LIST
    return type(value) is kind
