"""Server of IMD, version 3, by which other programs watch a live simulation and push its atoms.

The protocol is that of https://imdclient.readthedocs.io/en/stable/protocol_v3.html: packets with a header of two integers.
Pausing, resuming and the rate of transmission concern the frames that a program gets, and not the simulation, which others watch too.
"""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import numpy as np
from ase import units

from latte_ase.live.commands import Push
from latte_ase.live.frame import LiveFrame
from latte_ase.live.hub import Hub, Viewer
from latte_ase.live.service import HOST, Service

IMD_VERSION = 3

DISCONNECT, ENERGIES, COORDINATES, GO, HANDSHAKE, KILL, FORCES_IN, PAUSE, RATE = range(9)
INFO, RESUME, TIME, BOX, VELOCITIES, FORCES_OUT, WAIT = range(10, 17)

GO_WITHIN = 10.0
"""Seconds within which a program has to say that it is ready."""

FORCE = units.kJ / units.mol
"""kJ/(mol Angstrom) in eV/Angstrom; the same for energies."""

PICOSECOND = 1000 * units.fs

SENT = bytes([1, 1, 1, 1, 0, 1, 1])
"""What frames have: time, energies, box, coordinates (not wrapped into the box), velocities, forces."""


class ImdServer(Service):
    """Server in a thread, on 127.0.0.1.

    Args:
        hub: the viewers.
        port: 0 for any that is free.

    Raises:
        OSError: the port is not free.
    """

    def __init__(self, hub: Hub, *, port: int = 0):
        self._hub, self._writers = hub, dict[asyncio.Task, asyncio.StreamWriter]()
        super().__init__("latte_ase live IMD", port)

    async def _open(self, port: int) -> Any:
        return await asyncio.start_server(self._view, HOST, port)

    async def _close(self, server: Any) -> None:
        await super()._close(server)
        for writer in self._writers.values():
            writer.close()  # at which the reader ends
        await asyncio.gather(*self._writers)

    async def _view(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one program."""
        task = asyncio.current_task()
        assert task is not None
        self._writers[task] = writer
        task.add_done_callback(self._writers.pop)
        due = asyncio.Event()
        viewer = self._hub.attend(lambda: self._wake(due))
        program = _Program(self._hub, viewer, due, reader, writer)
        sender: asyncio.Task | None = None
        try:
            await program.greet()
            sender = asyncio.create_task(program.send())
            await program.listen()
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError, ValueError):
            pass  # it left, or what it says is not IMD
        finally:
            if sender is not None:
                sender.cancel()
            viewer.leave()
            writer.close()


class _Program:
    """A program that watches by IMD."""

    def __init__(self, hub: Hub, viewer: Viewer, due: asyncio.Event, reader, writer):
        self._hub, self._viewer, self._due, self._reader, self._writer = hub, viewer, due, reader, writer
        self._atoms = len(hub.view.frame.structure)
        self._sends, self._every = True, 1

    async def greet(self) -> None:
        """Say what is sent, and wait until it is ready."""
        # the version is in the byte order of what follows
        self._writer.write(struct.pack(">i", HANDSHAKE) + struct.pack("<i", IMD_VERSION))
        self._writer.write(_header(INFO, len(SENT)) + SENT)
        async with asyncio.timeout(GO_WITHIN):
            kind, _ = await self._header()
        if kind != GO:
            raise ValueError(f"A program of IMD said {kind}; {GO} is needed.")

    async def send(self) -> None:
        """Send frames, until there are other atoms."""
        sent = -1
        while True:
            self._due.clear()
            frame = self._hub.view.frame
            if len(frame.structure) != self._atoms:
                self._writer.close()  # it knows but one number of atoms
                return
            if self._sends and frame.number >= sent + self._every:
                sent = frame.number
                self._writer.write(frame_packets(frame, self._hub.view.status["timestep"]))
                await self._writer.drain()
            await self._due.wait()

    async def listen(self) -> None:
        """Take what it says, until it leaves."""
        while True:
            kind, value = await self._header()
            if kind in (DISCONNECT, KILL):
                return
            elif kind == FORCES_IN:
                await self._push(value)
            elif kind in (PAUSE, RESUME):
                self._sends = kind == RESUME
                self._due.set()
            elif kind == RATE:
                self._every = max(1, value)
            elif kind not in (GO, WAIT):
                raise ValueError(f"A program of IMD said {kind}.")

    async def _push(self, count: int) -> None:
        if not 0 <= count <= self._atoms:
            raise ValueError(f"Forces on {count} atoms came; there are {self._atoms}.")
        data = await self._reader.readexactly(16 * count)
        atoms = np.frombuffer(data, "<i4", count)
        forces = np.frombuffer(data, "<f4", 3 * count, 4 * count).reshape(-1, 3) * FORCE
        if not np.isfinite(forces).all():
            raise ValueError("A force is not finite.")
        self._viewer.command(Push(tuple(atoms.tolist()), tuple(map(tuple, forces.tolist()))))

    async def _header(self) -> tuple[int, int]:
        return struct.unpack(">ii", await self._reader.readexactly(8))


def frame_packets(frame: LiveFrame, timestep_fs: float) -> bytes:
    """Packets of a frame; its number stands for the step."""
    structure, moment = frame.structure, frame.moment
    kinetic, count = frame.kinetic_energy, len(structure)
    potential = frame.computed["energy"]
    energies = [structure.temperature(kinetic), (kinetic + potential) / FORCE, potential / FORCE, *([0.0] * 6)]
    velocities = moment.momenta / np.maximum(structure.masses, 1e-300)[:, None] * PICOSECOND
    return b"".join(
        [
            _header(TIME, 1) + struct.pack("<ddq", timestep_fs / 1000, frame.time_fs / 1000, frame.number),
            _header(ENERGIES, 1) + struct.pack("<i9f", frame.number % 2**31, *energies),
            _header(BOX, 1) + moment.cell.astype("<f4").tobytes(),
            _header(COORDINATES, count) + moment.positions.astype("<f4").tobytes(),
            _header(VELOCITIES, count) + velocities.astype("<f4").tobytes(),
            _header(FORCES_OUT, count) + (frame.computed["forces"] / FORCE).astype("<f4").tobytes(),
        ]
    )


def _header(kind: int, value: int) -> bytes:
    return struct.pack(">ii", kind, value)
