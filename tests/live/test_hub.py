"""Viewers: what is sent to them, and who steers."""

from __future__ import annotations

import json
from concurrent.futures import Future

import numpy as np
import pytest
from ase import Atoms

from latte_ase.live import commands, hub
from latte_ase.live.commands import CommandError
from latte_ase.live.frame import LiveFrame, LiveStructure, Moment
from latte_ase.live.hub import Hub, View

STRUCTURE = LiveStructure(Atoms("HO"), 0)


def view(number, status=None, uncertainty=None, structure=STRUCTURE):
    zeros = np.zeros((len(structure), 3))
    moment = Moment(structure, 0.0, zeros, np.zeros((3, 3)), zeros)
    frame = LiveFrame(number, moment, {"energy": 0.0, "forces": zeros}, (), 0.0, np.zeros((0, 3)))
    return View(frame, status or STATUS, uncertainty)


STATUS = {"mode": "nve", "paused": False}


class Submitted(list):
    """Commands handed over; all are carried out at once, but for those that fail."""

    def __call__(self, command):
        self.append(command)
        future = Future()
        if command == commands.Delete((9,)):
            future.set_exception(CommandError("There is no atom 9."))
        elif command != commands.Play():  # which is never done
            future.set_result(None)
        return future


@pytest.fixture
def submitted():
    return Submitted()


@pytest.fixture
def watched():
    return []


@pytest.fixture
def viewers(submitted, watched):
    """Hub with a frame."""
    return Hub(submitted, watched.append, {"calculator": "springs"}, view(0))


def types(messages):
    return ["frame" if isinstance(m, bytes) else json.loads(m)["type"] for m in messages]


def due(viewer):
    return types(viewer.due())


def say(viewer, kind, **content):
    """The texts that answer."""
    viewer.due()
    viewer.receive(json.dumps({"type": kind, **content}))
    return [m for m in map(json.loads, filter(lambda m: isinstance(m, str), viewer.due())) if m["type"] != "status"]


def test_a_viewer_is_greeted_and_then_told_what_changed(viewers):
    woken = []
    viewer = viewers.join(lambda: woken.append(1))
    first = viewer.due()
    assert types(first) == ["hello", "structure", "status", "frame"]
    hello = json.loads(first[0])
    assert (
        hello["steers"] and hello["calculator"] == "springs" and "H2O" in hello["molecules"] and hello["protocol"] == 1
    )
    assert due(viewer) == []
    viewer.receive('{"type": "ack", "frame": 0}')
    viewers.publish(view(1, status={"mode": "npt"}))
    assert woken and due(viewer) == ["status", "frame"]
    viewer.receive('{"type": "ack", "frame": 1}')
    viewers.publish(view(2, viewers.view.status, structure=LiveStructure(Atoms("H"), 1)))
    assert due(viewer) == ["structure", "frame"]


def test_a_slow_viewer_loses_frames(viewers, monkeypatch):
    monkeypatch.setattr(hub, "PATIENCE", 1e9)
    viewer = viewers.join(lambda: None)
    viewer.due()
    for number in range(1, 9):
        viewers.publish(view(number))
        assert due(viewer) == []
    viewer.receive('{"type": "ack", "frame": 0}')
    sent = viewer.due()
    assert types(sent) == ["frame"] and np.frombuffer(sent[0], "<u4", 1, 48)[0] == 8
    viewers.publish(view(9))
    monkeypatch.setattr(hub, "PATIENCE", 0)
    assert due(viewer) == ["frame"]


def test_one_viewer_steers(viewers, submitted, monkeypatch):
    first, second = viewers.join(lambda: None), viewers.join(lambda: None)
    assert say(first, "pause", id=1) == [{"type": "done", "id": 1}]
    [answer] = say(second, "reset", id=2)
    assert answer == {
        "type": "error",
        "id": 2,
        "text": "Another viewer steers; this one may ask to, by the message 'steer'.",
    }
    [answer] = say(second, "steer", id=3)
    assert "ask again when it was silent for 10 s" in answer["text"]
    assert submitted == [commands.Pause()]
    monkeypatch.setattr(hub, "SILENCE", 0.0)
    first.due()
    answers = say(second, "steer", id=4)
    assert answers == [{"type": "steers", "value": True}, {"type": "done", "id": 4}]
    assert [json.loads(m) for m in first.due()] == [{"type": "steers", "value": False}]
    assert say(second, "reset") == []
    assert submitted == [commands.Pause(), commands.Reset()]


def test_pulls_end_where_the_viewer_who_steers_leaves_and_another_may_go_on(viewers, submitted):
    first, second = viewers.join(lambda: None), viewers.join(lambda: None)
    second.leave()
    second.leave()
    assert submitted == [] and len(viewers) == 1
    second = viewers.join(lambda: None)
    first.leave()
    assert submitted == [commands.Release()]
    assert {"type": "steers", "value": True} in say(second, "pause")
    assert submitted[1:] == [commands.Pause()]


def test_errors_are_answered(viewers):
    viewer = viewers.join(lambda: None)
    assert say(viewer, "delete", atoms=[9], id="a") == [{"type": "error", "text": "There is no atom 9.", "id": "a"}]
    [answer] = say(viewer, "explode")
    assert answer["type"] == "error" and "known are" in answer["text"]


@pytest.mark.parametrize("path", ["../a.traj", "/tmp/a.traj", "a.py", "a\\b.traj", ".traj", "c:a.xyz"])
def test_a_viewer_records_into_the_working_folder_only(viewers, submitted, path):
    [answer] = say(viewers.join(lambda: None), "record", path=path, id=1)
    assert "goes to a file of the working folder" in answer["text"] and submitted == []


def test_a_viewer_may_record(viewers, submitted):
    viewer = viewers.join(lambda: None)
    say(viewer, "record", path="run.traj")
    say(viewer, "record", path=None)
    assert submitted == [commands.Record("run.traj"), commands.Record(None)]


def test_a_flood_of_commands_is_refused(viewers, submitted):
    viewer = viewers.join(lambda: None)
    for _ in range(hub.MOST_WAITING):
        assert say(viewer, "play") == []
    [answer] = say(viewer, "play")
    assert "200 commands wait already; send fewer" in answer["text"] and len(submitted) == 200


def test_uncertainties_go_to_those_who_want_them(viewers, watched):
    first, second = viewers.join(lambda: None), viewers.join(lambda: None)
    say(first, "watch", uncertainty=True)
    second.due()
    viewers.publish(view(1, uncertainty=(0, np.array([0.1, 0.25]))))
    [message] = [m for m in first.due() if isinstance(m, str)]
    assert json.loads(message) == {"type": "uncertainty", "revision": 0, "values": [0.1, 0.25]}
    assert "uncertainty" not in due(second)
    viewers.publish(view(2, uncertainty=(0, None)))
    [message] = [m for m in first.due() if isinstance(m, str)]
    assert json.loads(message)["values"] is None
    first.leave()
    assert watched == [True, False]
