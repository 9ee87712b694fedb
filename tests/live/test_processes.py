"""Ctrl-C, the end of a script and the restart of a kernel leave no process and no port."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
from ase.build import bulk
from ase.io import write
from jupyter_client.manager import start_new_kernel

BEGIN = """
from ase.build import bulk
from ase.calculators.emt import EMT
from latte_ase.live import live
session = live(bulk("Cu", cubic=True), EMT(), temperature_K=300)
print(session.url, flush=True)
"""


def is_served(url):
    address = urlsplit(url)
    try:
        socket.create_connection((address.hostname, address.port)).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.fixture
def process():
    """Function (*arguments of Python) -> process with pipes, which does not outlive the test."""
    started = []

    def begin(*arguments):
        started.append(
            subprocess.Popen(
                [sys.executable, *map(str, arguments)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                # where the tests run in the background of a shell they were started deaf to Ctrl-C, and so would be this
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        )
        return started[-1]

    yield begin
    for one in started:
        one.kill()
        one.communicate()


def test_ctrl_c_ends_the_command(process, tmp_path):
    write(tmp_path / "copper.xyz", bulk("Cu", cubic=True))
    arguments = ("live", tmp_path / "copper.xyz", "-p", "ase.calculators.emt:EMT", "--imd", "0", "--no-browser")
    command = process("-m", "latte_ase.cli", *arguments)
    line = command.stdout.readline()
    url = line.split()[-1]
    assert line.startswith("copper.xyz with ase.calculators.emt:EMT: http://127.0.0.1:") and is_served(url)
    assert command.stdout.readline().startswith("IMD: port ")
    command.send_signal(signal.SIGINT)
    out, error = command.communicate(timeout=60)
    assert command.returncode == 0 and out.endswith("ended\n") and error == ""
    assert not is_served(url)


@pytest.mark.parametrize(
    ("ending", "status"), [("", 0), ("raise SystemExit(3)", 3), ("raise KeyboardInterrupt", -signal.SIGINT)]
)
def test_the_end_of_a_script_ends_its_session(process, ending, status):
    script = process("-c", BEGIN + "session.wait(3)\n" + ending)
    url, error = script.communicate(timeout=120)
    assert script.returncode == status and not is_served(url)
    assert "Fatal" not in error and "terminate" not in error


def test_a_restarted_kernel_leaves_nothing():
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        said = []
        answer = client.execute_interactive(
            BEGIN + "import os; print(os.getpid())",
            timeout=120,
            output_hook=lambda m: said.append(m["content"].get("text", "")),
        )
        assert answer["content"]["status"] == "ok"
        url = "".join(said).split()[0]
        assert is_served(url)
        manager.restart_kernel(now=False)
        assert not is_served(url)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
