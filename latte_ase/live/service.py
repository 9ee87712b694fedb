"""A server of asyncio in a thread, on 127.0.0.1."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from concurrent.futures import Future
from typing import Any

HOST = "127.0.0.1"


class Service(ABC):
    """Server in a thread, which ends with `stop`.

    Args:
        name: of the thread.
        port: 0 for any that is free.

    Attributes:
        port: of the server.

    Raises:
        OSError: the port is not free.
    """

    def __init__(self, name: str, port: int):
        started: Future[int] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(port, started)), name=name, daemon=True)
        self._thread.start()
        self.port = started.result()

    @abstractmethod
    async def _open(self, port: int) -> Any:
        """The server of asyncio or of the package websockets."""

    async def _close(self, server: Any) -> None:
        """Close the port; connections end with the loop."""
        server.close()

    def stop(self) -> None:
        """Close all connections and the port."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def _wake(self, due: asyncio.Event) -> None:
        """Set an event of the loop, from any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(due.set)

    async def _serve(self, port: int, started: Future[int]) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            server = await self._open(port)
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or error
            started.set_exception(
                OSError(
                    f"Port {port} of {HOST} cannot be served ({why}). Choose another one, or 0 for any that is free."
                )
            )
            return
        started.set_result(server.sockets[0].getsockname()[1])
        await self._stop.wait()
        await self._close(server)
