"""Server of the page and of its sockets.

The address has a random token, without which neither page nor socket is given, and pages of other sites may not connect.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus
from importlib import resources
from typing import Any
from urllib.parse import parse_qs, urlsplit

from latte_ase.live.hub import Hub, Viewer
from latte_ase.live.service import HOST, Service

LARGEST_MESSAGE = 2**20
"""Bytes of a message of a viewer."""

TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
"""Kinds of files of the page."""

LOCAL = ("127.0.0.1", "localhost")
"""Hosts whose pages may connect, on any port: those of notebooks."""

LONGEST_WAIT = 0.1
"""Seconds after which a viewer is asked what is due though nothing woke it."""


class Server(Service):
    """Server in a thread, on 127.0.0.1.

    Args:
        hub: the viewers.
        port: 0 for any that is free.
        origins: addresses of other sites whose pages may connect.

    Attributes:
        port: of the server.
        url: address of the page, with its token.

    Raises:
        ImportError: the package websockets is not installed.
        OSError: the port is not free.
    """

    def __init__(self, hub: Hub, *, port: int = 0, origins: Sequence[str] = ()):
        require_websockets()
        self._hub, self._origins = hub, frozenset(origin.rstrip("/") for origin in origins)
        self._token = secrets.token_urlsafe(24)
        super().__init__("latte_ase live server", port)
        self.url = f"http://{HOST}:{self.port}/?token={self._token}"

    async def _open(self, port: int) -> Any:
        from websockets.asyncio.server import serve

        settings = {"max_size": LARGEST_MESSAGE, "compression": None, "close_timeout": 1}
        return await serve(self._view, HOST, port, process_request=self._request, **settings)

    async def _close(self, server: Any) -> None:
        await super()._close(server)
        await server.wait_closed()

    def _request(self, connection: Any, request: Any) -> Any:
        """Answer to a request: None for a socket that may open."""
        address = urlsplit(request.path)
        if address.path == "/socket":
            if not self._knows_token(address.query):
                return _refused("The token is missing or wrong. Use the address that the session gives.")
            if not self._is_welcome(request.headers.get_all("Origin")):
                return _refused("Pages of this site may not connect. Name the site: session.serve(origins=[...]).")
            return None
        name = address.path.removeprefix("/") or "index.html"
        if name == "index.html" and not self._knows_token(address.query):
            return _refused("The token is missing or wrong. Use the address that the session gives.")
        return _file(name)

    def _knows_token(self, query: str) -> bool:
        given = parse_qs(query).get("token", [""])[0]
        return secrets.compare_digest(given.encode(), self._token.encode())

    def _is_welcome(self, origins: Sequence[str]) -> bool:
        """Whether a page of this origin may connect; programs send none."""
        if not origins:
            return True
        if len(origins) > 1:
            return False
        try:
            site = urlsplit(origins[0])
        except ValueError:
            return False
        local = site.scheme in ("http", "https") and site.hostname in LOCAL
        return local or site.scheme == "vscode-webview" or origins[0] in self._origins

    async def _view(self, connection: Any) -> None:
        """Serve one viewer."""
        from websockets.exceptions import ConnectionClosed

        due = asyncio.Event()
        viewer = self._hub.join(lambda: self._wake(due))
        sender = asyncio.create_task(_send(connection, viewer, due))
        try:
            async for message in connection:
                viewer.receive(message)
        except ConnectionClosed:
            pass
        finally:
            viewer.leave()
            sender.cancel()


async def _send(connection: Any, viewer: Viewer, due: asyncio.Event) -> None:
    """Send what is due to a viewer, until the connection ends."""
    from websockets.exceptions import ConnectionClosed

    try:
        while True:
            due.clear()
            for message in viewer.due():
                await connection.send(message)
            with suppress(TimeoutError):
                async with asyncio.timeout(LONGEST_WAIT):  # wait_for of Python 3.11 may lose the end of the task
                    await due.wait()
    except ConnectionClosed:
        return
    except Exception:
        await connection.close(1011)
        raise


def require_websockets() -> None:
    """Raise ImportError where the package websockets is not installed."""
    try:
        import websockets  # noqa: F401
    except ImportError:
        raise ImportError(
            "The package websockets is not installed, which serves the page of a live simulation. Install it: "
            "pip install 'latte_ase[live]'"
        ) from None


def _file(name: str) -> Any:
    """Answer with a file of the page."""
    page = resources.files("latte_ase.live") / "page"
    names = {file.name for file in page.iterdir() if file.is_file()}
    kind = TYPES.get(name[name.rfind(".") :] if "." in name else "")
    if name not in names or kind is None:
        return _response(HTTPStatus.NOT_FOUND, "text/plain", b"There is no such file.\n")
    return _response(HTTPStatus.OK, kind, (page / name).read_bytes())


def _refused(why: str) -> Any:
    return _response(HTTPStatus.FORBIDDEN, "text/plain", f"{why}\n".encode())


def _response(status: HTTPStatus, kind: str, body: bytes) -> Any:
    from websockets.datastructures import Headers
    from websockets.http11 import Response

    headers = Headers(
        {
            "Content-Type": f"{kind}; charset=utf-8",
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",  # the address has the token
            "X-Content-Type-Options": "nosniff",
            "Connection": "close",
        }
    )
    return Response(status.value, status.phrase, headers, body)
