"""Sockets and pages: who is let in, and that nobody disturbs the simulation."""

from __future__ import annotations

import builtins
import json
import os
import socket
import threading
from base64 import b64encode
from http.client import HTTPConnection
from urllib.parse import urlsplit

import numpy as np
import pytest
from ase import Atoms
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect

from latte_ase.live.server import LARGEST_MESSAGE


def positions(message):
    """(atoms, 3) of a frame."""
    count = int(np.frombuffer(message, "<u4", 1, 8)[0])
    return np.frombuffer(message, "<f4", 3 * count, 64 + 36).reshape(-1, 3)


def socket_url(session):
    return session.url.replace("http://", "ws://").replace("/?", "/socket?")


def get(session, path):
    """Status, kind and text of a page."""
    connection = HTTPConnection(urlsplit(session.url).netloc, timeout=60)
    connection.request("GET", path)
    answer = connection.getresponse()
    found = answer.status, answer.getheader("Content-Type"), answer.read().decode()
    connection.close()
    return found


def lives(session):
    return session.wait(2, timeout=60).number > 0 and session.running


def test_a_client_pulls_an_atom_and_it_arrives(chain, start, join):
    session, target = start(chain, mode="langevin", temperature_K=10, friction=1.0), np.array([3.0, 4.0, 0.0])
    with join(session) as client:
        assert client.until("hello")["steers"]
        assert client.until("structure")["symbols"] == ["C"] * 4
        client.send("pull", atoms=[3], to=target.tolist(), id=7)
        assert client.until("done")["id"] == 7
        frame = client.until("frame", lambda m: np.linalg.norm(positions(m)[3] - target) < 0.3)
        assert np.frombuffer(frame, "<u4", 1, len(frame) - 28)[0] == 3
        np.testing.assert_allclose(np.frombuffer(frame, "<f4", 3, len(frame) - 24), target)
        client.send("set", mode="nve", temperature_K=5)
        assert client.until("status", lambda m: m["mode"] == "nve")["temperature_K"] == 5
    while session.frame.pulls:  # they end with the client
        session.wait(timeout=60)


def test_several_clients_see_the_same_and_one_steers(chain, start, join):
    session = start(chain, paused=True)
    with join(session) as first, join(session) as second:
        assert first.until("hello")["steers"] and not second.until("hello")["steers"]
        second.send("step", id=1)
        assert "Another viewer steers" in second.until("error")["text"]
        first.send("step", n=5, id=2)
        number = session.frame.number
        first.until("done")
        same = [c.until("frame", lambda m: np.frombuffer(m, "<u4", 1, 48)[0] > number) for c in (first, second)]
        assert same[0] == same[1]
    assert lives(start(chain))


@pytest.mark.parametrize("token", ["", "?token=", "?token=wrong", "?token=%F0%9F%A6%80", "?tok=1"])
def test_a_wrong_token_is_refused(chain, start, token):
    session = start(chain)
    address = socket_url(session).partition("?")[0] + token
    with pytest.raises(InvalidStatus, match="403") as error, connect(address):
        pass
    assert b"token is missing or wrong" in error.value.response.body
    assert get(session, "/" + token)[0] == 403
    assert lives(session)


@pytest.mark.parametrize(
    "origin",
    [
        "https://example.org",
        "http://127.0.0.1.example.org",
        "http://localhost@example.org",
        "null",
        "file://",
        "http://[::1",
    ],
)
def test_pages_of_other_sites_are_refused(chain, start, origin):
    session = start(chain)
    with pytest.raises(InvalidStatus, match="403") as error, connect(socket_url(session), origin=origin):
        pass
    assert b"Name the site: session.serve(origins=" in error.value.response.body
    assert lives(session)


@pytest.mark.parametrize(
    "origin", ["http://localhost:8888", "http://127.0.0.1:1", "https://hub.example.org", "vscode-webview://1a2b"]
)
def test_notebooks_here_and_named_sites_may_connect(chain, start, join, origin):
    session = start(chain)
    session.serve(origins=["https://hub.example.org/"])
    with join(session, origin=origin) as client:
        assert client.until("hello")


@pytest.mark.parametrize("message", ["", "{", "[]", '{"type": "pull"}', b"\xff\xfe", '{"type": "step", "n": -1}'])
def test_a_malformed_message_is_answered_and_the_client_stays(chain, start, join, message):
    session = start(chain)
    with join(session) as client:
        client.socket.send(message)
        assert client.until("error")["text"]
        client.send("pause", id=1)
        assert client.until("done")["id"] == 1


def test_a_huge_message_is_refused(chain, start, join):
    session = start(chain)
    with join(session) as client, pytest.raises(ConnectionClosedError) as error:
        client.socket.send(json.dumps({"type": "set", "mode": "x" * LARGEST_MESSAGE}))
        client.until("never")
    assert error.value.rcvd.code == 1009
    assert lives(session)


def test_a_client_that_never_reads_does_not_slow_the_simulation(start, springs, join):
    """Its buffers are full after a few of 200 frames of 60 kB each."""
    atoms = Atoms("C5000", positions=[[1.5 * k, 0, 0] for k in range(5000)])
    session = start(atoms, springs())
    address = urlsplit(session.url)
    with socket.create_connection((address.hostname, address.port)) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        request = (
            f"GET /socket?{address.query} HTTP/1.1\r\nHost: {address.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {b64encode(os.urandom(16)).decode()}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        deaf.sendall(request.encode())
        assert deaf.recv(12) == b"HTTP/1.1 101"
        number = session.frame.number
        with join(session) as client:
            for _ in range(200):
                client.until("frame")
        assert session.frame.number >= number + 200
        assert len(session.hub) >= 1


def threads():
    """All but those of the clients."""
    return {
        thread
        for thread in threading.enumerate()
        if "keepalive" not in thread.name and "recv_events" not in thread.name
    }


def test_a_hundred_connections_leave_no_thread(chain, start, join):
    session = start(chain)
    with join(session) as client:
        client.until("hello")
    before = threads()
    for k in range(100):
        with join(session) as client:
            if k % 2:
                client.until("frame")
    assert threads() == before
    while len(session.hub):
        session.wait(timeout=60)
    assert lives(session)


def test_the_port_is_free_after_the_end(chain, start):
    session = start(chain)
    address = urlsplit(session.url)
    session.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.hostname, address.port))


def test_a_port_in_use_is_told(chain, start):
    first, second = start(chain), start(chain)
    port = urlsplit(first.url).port
    with pytest.raises(OSError, match=rf"Port {port} of 127.0.0.1 cannot be served .*Choose another one, or 0"):
        second.serve(port=port)
    assert second.serve() == second.url != first.url


def test_files_of_the_page_are_served_and_no_others(chain, start):
    session = start(chain)
    query = urlsplit(session.url).query
    status, kind, text = get(session, f"/?{query}")
    assert status == 200 and kind == "text/html; charset=utf-8" and "<html" in text.lower() + "<html"
    for path in (
        "/../session.py",
        "/session.py",
        "/%2e%2e/session.py",
        "/page",
        "/nothing.js",
        "/index",
        "//etc/passwd",
    ):
        assert get(session, path)[0] == 404


def test_a_missing_package_is_named(chain, start, monkeypatch):
    real = builtins.__import__

    def missing(name, *arguments, **options):
        if name.partition(".")[0] == "websockets":
            raise ImportError(name)
        return real(name, *arguments, **options)

    session = start(chain)
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ImportError, match=r"websockets is not installed.*pip install 'latte_ase\[live\]'"):
        _ = session.url
