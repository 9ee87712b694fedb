"""The server of IMD, with MDAnalysis' client."""

from __future__ import annotations

import socket
import struct
import threading

import numpy as np
import pytest
from ase import units
from imdclient.IMDClient import IMDClient

from latte_ase.live import imd

PER_MOL = units.kJ / units.mol


@pytest.fixture
def programs(start, chain):
    """A session of the chain and its port."""
    session = start(chain, mode="nve", timestep=1 * units.fs, paused=True)
    return session, session.serve_imd()


def said(session, what):
    """Wait for something that a program has said."""
    for _ in range(600):
        if what():
            return
        session.wait(timeout=0.1)
    raise AssertionError("it was not heard")


def connected(port):
    """Socket after the greeting, whose bytes are returned too."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    greeting = b""
    while len(greeting) < 23:  # one call may give a part
        greeting += connection.recv(23 - len(greeting))
    connection.sendall(struct.pack(">ii", imd.GO, 0))
    return connection, greeting


def is_closed(connection):
    while connection.recv(65536):
        pass
    return True


def test_imdclient_sees_the_frames(programs):
    session, port = programs
    session.step(3)
    client = IMDClient("127.0.0.1", port, 4, multithreaded=False)
    info = client.get_imdsessioninfo()
    assert info.version == 3 and info.time and info.energies and info.box and info.velocities and info.forces
    assert not info.wrapped_coords
    first = client.get_imdframe()
    expected = session.frame
    assert first.time == pytest.approx(0.003) and first.dt == pytest.approx(0.001) and first.step == expected.number
    np.testing.assert_allclose(first.positions, expected.moment.positions, atol=1e-6)
    np.testing.assert_allclose(first.forces * PER_MOL, expected.computed["forces"], atol=1e-5)
    assert first.energies["potential_energy"] * PER_MOL == pytest.approx(expected.computed["energy"])
    session.push(0, [0, 1, 0])
    session.step(5)
    while (later := client.get_imdframe()).step < session.frame.number:
        pass
    velocities = session.atoms.get_velocities() * 1000 * units.fs
    np.testing.assert_allclose(later.velocities, velocities, rtol=1e-5, atol=1e-5)
    assert abs(velocities).max() > 0.1
    client.stop()
    said(session, lambda: len(session.hub) == 0)


def test_a_program_pushes_atoms(programs):
    session, port = programs
    connection, greeting = connected(port)
    assert greeting == struct.pack(">i", 4) + struct.pack("<i", 3) + struct.pack(">ii", 10, 7) + bytes(
        [1, 1, 1, 1, 0, 1, 1]
    )
    forces = np.array([[0, 50, 0], [0, 0, -30]], "<f4")
    message = struct.pack(">ii", imd.FORCES_IN, 2) + np.array([3, 1], "<i4").tobytes() + forces.tobytes()
    connection.sendall(message)
    said(session, lambda: len(session.frame.pulls) == 2)
    assert [pull.atom for pull in session.frame.pulls] == [3, 1]
    np.testing.assert_allclose(session.frame.pull_forces, forces * PER_MOL, rtol=1e-6)
    connection.sendall(struct.pack(">ii", imd.FORCES_IN, 0))
    said(session, lambda: session.frame.pulls == ())
    connection.sendall(message)
    said(session, lambda: len(session.frame.pulls) == 2)
    connection.close()
    said(session, lambda: session.frame.pulls == ())


def test_a_page_that_steers_is_not_disturbed(programs):
    session, port = programs
    page = session.hub.join(lambda: None)
    connection, _ = connected(port)
    connection.sendall(struct.pack(">ii", imd.FORCES_IN, 1) + struct.pack("<ifff", 0, 1, 1, 1))
    connection.sendall(struct.pack(">ii", imd.DISCONNECT, 0))
    assert is_closed(connection) and session.frame.pulls == () and session.hub.steers(page)
    connection.close()


@pytest.mark.parametrize(
    "message",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        struct.pack(">ii", imd.FORCES_IN, 5),
        struct.pack(">ii", imd.FORCES_IN, -1),
        struct.pack(">ii", imd.FORCES_IN, 1) + struct.pack("<ifff", 0, np.nan, 0, 0),
    ],
)
def test_what_is_not_imd_ends_the_connection_and_not_the_session(programs, message):
    session, port = programs
    connection, _ = connected(port)
    connection.sendall(message)
    assert is_closed(connection)
    connection.close()
    session.step()
    assert session.frame.pulls == ()


def test_forces_on_atoms_that_are_not_there_are_ignored(programs):
    session, port = programs
    connection, _ = connected(port)
    connection.sendall(struct.pack(">ii", imd.FORCES_IN, 1) + struct.pack("<ifff", -1, 1, 0, 0))
    connection.sendall(struct.pack(">ii", imd.FORCES_IN, 1) + struct.pack("<ifff", 2, 1, 0, 0))
    said(session, lambda: [pull.atom for pull in session.frame.pulls] == [2])
    connection.close()


def test_other_atoms_end_the_connection(programs):
    session, port = programs
    connection, _ = connected(port)
    session.delete(0)
    assert is_closed(connection)
    connection.close()


def test_a_paused_program_gets_no_frames_and_the_simulation_goes_on(programs):
    session, port = programs
    connection, _ = connected(port)
    connection.recv(1)
    connection.sendall(struct.pack(">ii", imd.PAUSE, 0) + struct.pack(">ii", imd.RATE, 5))
    session.play()
    session.wait(5, timeout=60)
    connection.sendall(struct.pack(">ii", imd.RESUME, 0))
    assert connection.recv(100)
    connection.close()


def test_stopping_ends_connections_and_threads(programs):
    session, port = programs
    connection, _ = connected(port)
    session.stop()
    assert is_closed(connection)
    connection.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("latte_ase live")]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    with pytest.raises(RuntimeError, match="The session has ended"):
        session.serve_imd()
