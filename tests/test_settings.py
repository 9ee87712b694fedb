"""Settings are compared with the annotations of the dataclass that holds them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
import pytest

from latte_ase import settings
from latte_ase.settings import (
    Count,
    Energy,
    Length,
    Name,
    Natural,
    NonNegative,
    OneOf,
    Share,
    Symbol,
    Threshold,
    Unit,
    check_entries,
    check_fields,
    check_value,
    describe,
    unit,
)

COLOURS = {"red": 1}


@dataclass(frozen=True, kw_only=True)
class Walk:
    """Attributes: none to read about."""

    steps: Count = 1
    length: Length = 1.0
    colour: Annotated[str, OneOf(COLOURS)] = "red"
    stops: tuple[Natural, ...] = ()
    anything: Any = None

    def __post_init__(self):
        check_fields(self)


@pytest.mark.parametrize(
    ("annotation", "right", "wrong"),
    [
        (bool, [True, False], ["false", "no", 0, 1, None]),
        (int, [0, 7, np.int64(7)], [7.0, "7", True, -1, 2**31, None]),
        (float, [0, -7.5, np.float32(7.5), np.int64(3)], ["7.5", True, math.nan, math.inf, 10**400, None]),
        (str, ["", "a" * 16_000], [5, None, "a" * 16_001]),
        (Count, [1, 2**31 - 1], [0, -3, 2**31, 1.0, "1", True]),
        (Natural, [0, 2**40], [-1, 0.0]),
        (Length, [1e-3, 5, 5.0], [0, -1.0, math.nan, math.inf, "5", [5.0]]),
        (NonNegative, [0, 0.0, 3], [-1e-9, math.inf]),
        (Threshold, [1e-9, math.inf], [0.0, -math.inf, math.nan]),
        (Share, [0.1, np.float64(0.9)], [0, 0.0, -1.0, 1, 1.0, 2.0, "0.1"]),
        (Energy, [-1e5], [-math.inf, "-3"]),
        (Symbol, ["H", "Og"], ["X", "", "Xx", 1, "h"]),
        (Name, ["a"], ["", " ", 5]),
        (Annotated[str, OneOf(COLOURS)], ["red"], ["blue", "", 1, ["red"]]),
        (tuple[Count, ...], [[], (1, 2), [64]], [64, "64", ["64"], [-3], [1] * 1001, {1: 1}]),
        (tuple[Count, Length], [[1, 2.0]], [[1], [1, 2, 3], [1.5, 2.0]]),
        (dict[Symbol, Energy], [{}, {"Cu": -3, "O": 0.5}], [-3.5, {"Cu": "-3"}, {"Xx": 1.0}, {29: 1.0}, [("Cu", 1)]]),
        (Any, [None, {}], []),
    ],
)
def test_what_fits_and_what_does_not(annotation, right, wrong):
    for value in right:
        check_value("entry", value, annotation)
    for value in wrong:
        with pytest.raises(ValueError, match=r"^entry is .*; (.* is needed|allowed are red)\.$"):
            check_value("entry", value, annotation)


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (bool, "true or false"),
        (float, "a number"),
        (Length, "a finite number larger than 0"),
        (tuple[Count, ...], "a list, each entry a whole number of 1 or more,"),
        (tuple[Count, Count], "a list of 2 entries, each a whole number of 1 or more,"),
        (tuple[bool, str], "a list of 2 entries (true or false; a text)"),
        (dict[Symbol, Energy], "a table, each key a chemical symbol such as Si and each value a number,"),
        (Annotated[str, OneOf(COLOURS)], "one of red"),
    ],
)
def test_what_is_allowed_is_said_in_words(annotation, words):
    assert describe(annotation) == words


def test_numbers_may_have_a_unit():
    assert unit(Length) == unit(Annotated[NonNegative, Unit("Å")]) == "Å"
    assert unit(dict[Symbol, Energy]) == "eV"
    assert unit(Count) == unit(tuple[Count, Length]) == unit(float) == ""


def test_an_entry_is_named_with_its_place_its_value_and_what_is_needed():
    with pytest.raises(ValueError, match=r"^\[walk\] steps is '64'; a whole number of 1 or more is needed\.$"):
        check_entries(Walk, {"colour": "red", "steps": "64"}, where="[walk] ")
    with pytest.raises(ValueError, match=r"^'stepz' is unknown; known are steps, length, colour, stops, anything\.$"):
        check_entries(Walk, {"stepz": 64})
    with pytest.raises(ValueError, match=r"^stops is \[1, 1, .*\.\.\.; a list") as caught:
        check_entries(Walk, {"stops": [1] * 2000})
    assert len(str(caught.value)) < 200


def test_one_that_is_made_in_python_is_checked_and_holds_tuples():
    walk = Walk(stops=[1, 2])  # pyright: ignore[reportArgumentType]
    assert walk.stops == (1, 2) and hash(walk)
    with pytest.raises(ValueError, match=r"length is -1\.0; a finite number larger than 0"):
        replace(walk, length=-1.0)


def test_names_may_be_added(monkeypatch):
    with pytest.raises(ValueError, match="colour is 'blue'; allowed are red"):
        Walk(colour="blue")
    monkeypatch.setitem(COLOURS, "blue", 2)
    assert Walk(colour="blue").colour == "blue"


def test_what_a_message_shows_is_short():
    assert settings.shortened([1]) == "[1]"
    assert settings.shortened("a" * 99) == "'" + "a" * 79 + "..."
