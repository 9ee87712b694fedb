"""Sessions that end with their test, and clients of their sockets."""

from __future__ import annotations

import json
from contextlib import contextmanager

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from latte_ase.live import live


class Springs(Calculator):
    """Harmonic bonds between consecutive atoms: fast, and for any element."""

    implemented_properties = ("energy", "forces")

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        bonds = np.diff(self.atoms.positions, axis=0)
        lengths = np.linalg.norm(bonds, axis=1, keepdims=True)
        pulls = 10 * (lengths - 1.5) * bonds / np.maximum(lengths, 1e-9)
        forces = np.zeros((len(self.atoms), 3))
        forces[:-1] += pulls
        forces[1:] -= pulls
        self.results = {"energy": float(5 * ((lengths - 1.5) ** 2).sum()), "forces": forces}


@pytest.fixture
def springs():
    """Class of an ASE calculator with harmonic bonds between consecutive atoms."""
    return Springs


@pytest.fixture
def chain():
    """Four carbon atoms in a row, bound by springs."""
    atoms = Atoms("C4", positions=[[1.5 * k, 0, 0] for k in range(4)])
    atoms.calc = Springs()
    return atoms


@pytest.fixture
def start():
    """Function (atoms, calc=None, **options) -> Session, which ends with the test."""
    sessions = []

    def begin(atoms, calc=None, **options):
        sessions.append(live(atoms, calc, **{"seed": 1, **options}))
        return sessions[-1]

    yield begin
    for session in sessions:
        session.stop()


class Client:
    """Socket of a page: `send(type, ...)`, and messages until one of a type."""

    def __init__(self, socket):
        self.socket = socket

    def send(self, kind, **content):
        self.socket.send(json.dumps({"type": kind, **content}))

    def until(self, kind, wanted=lambda message: True):
        """The first message of this type ("frame" for binary ones) that is wanted; frames are acknowledged."""
        while True:
            message = self.socket.recv(timeout=60)
            if isinstance(message, bytes):
                number = int(np.frombuffer(message, "<u4", 1, 48)[0])
                self.send("ack", frame=number)
                if kind == "frame" and wanted(message):
                    return message
            elif (content := json.loads(message))["type"] == kind and wanted(content):
                return content


@pytest.fixture
def join():
    """Function (session, **options of websockets.sync.client.connect) -> context with a `Client`."""
    from websockets.sync.client import connect

    @contextmanager
    def joined(session, **options):
        url = session.url.replace("http://", "ws://").replace("/?", "/socket?")
        with connect(url, **options) as socket:
            yield Client(socket)

    return joined
