"""Messages that are commands, and those that are none."""

from __future__ import annotations

import json

import pytest

from latte_ase.live import commands
from latte_ase.live.commands import CommandError, parse

GOOD = {
    "pull": ({"atoms": [1, 2], "to": [0, 1, 2.5]}, commands.PullTo((1, 2), (0, 1, 2.5), 2.0, 2.0)),
    "release": ({"atoms": None}, commands.Release()),
    "set": ({"temperature_K": 500, "mode": "nve"}, commands.Set(temperature_K=500, mode="nve")),
    "pause": ({}, commands.Pause()),
    "play": ({}, commands.Play()),
    "step": ({"n": 3}, commands.Step(3)),
    "rewind": ({}, commands.Rewind(1)),
    "reset": ({}, commands.Reset()),
    "fix": ({"atoms": [0], "fixed": False}, commands.Fix((0,), False)),
    "delete": ({"atoms": [4]}, commands.Delete((4,))),
    "replace": ({"atom": 4, "symbol": "N"}, commands.Replace(4, "N")),
    "add": ({"at": [0, 0, 0], "molecule": "H2O"}, commands.Add((0, 0, 0), molecule="H2O")),
    "record": ({"path": "a.traj"}, commands.Record("a.traj")),
    "keep": ({}, commands.Keep()),
    "watch": ({"uncertainty": True}, commands.Watch(True)),
    "steer": ({}, commands.Steer()),
    "ack": ({"frame": 7}, commands.Ack(7)),
}


def test_all_commands_are_here():
    assert set(GOOD) == set(commands.TYPES)


@pytest.mark.parametrize("name", GOOD)
def test_a_message_is_a_command(name):
    content, expected = GOOD[name]
    assert parse(json.dumps({"type": name, "id": 5, **content})) == (expected, 5)
    assert parse(json.dumps({"type": name, **content}).encode()) == (expected, None)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("", "not JSON"),
        (b"\xff\x00", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("1" * 10_000, "not JSON"),
        ("[1]", r"A message is \[1\]; a JSON object"),
        ("{}", "type of a message is None; known are pull, release, set"),
        ('{"type": ["pull"]}', r"type of a message is \['pull'\]"),
        ('{"type": "explode"}', "type of a message is 'explode'"),
        ('{"type": "pause", "id": {}}', "id of a message is {}; a number or a text"),
        ('{"type": "pause", "n": 1}', "message 'pause' has no field 'n'; it has none"),
        ('{"type": "step", "m": 1}', "message 'step' has no field 'm'; it has n"),
        ('{"type": "pull", "to": [0, 0, 0]}', "message 'pull' lacks the field 'atoms'"),
        (
            '{"type": "pull", "atoms": [], "to": [0, 0, 0]}',
            r"field 'atoms' of the message 'pull' is \[\]; a list of at least one",
        ),
        ('{"type": "pull", "atoms": [-1], "to": [0, 0, 0]}', r"is \[-1\]; a list of at least one index"),
        ('{"type": "pull", "atoms": [true], "to": [0, 0, 0]}', r"is \[True\]; a list of at least one index"),
        ('{"type": "pull", "atoms": [0], "to": [0, 0]}', r"is \[0, 0\]; a list of three finite numbers"),
        ('{"type": "pull", "atoms": [0], "to": [0, 0, NaN]}', "a list of three finite numbers"),
        ('{"type": "pull", "atoms": [0], "to": [0, 0, 1e999]}', "a list of three finite numbers"),
        ('{"type": "set", "temperature_K": "hot"}', "'temperature_K' of the message 'set' is 'hot'; a finite number"),
        ('{"type": "set", "mode": 3}', "'mode' of the message 'set' is 3; a text"),
        ('{"type": "fix", "atoms": [0], "fixed": 1}', "'fixed' of the message 'fix' is 1; true or false"),
        ('{"type": "step", "n": null}', "'n' of the message 'step' is None; a whole number"),
        ('{"type": "step", "n": 1.5}', "is 1.5; a whole number"),
    ],
)
def test_what_is_no_command_is_told_why(message, text):
    with pytest.raises(CommandError, match=text):
        parse(message)
