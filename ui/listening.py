"""Listening on addresses of this machine: one for the page as long as it runs, others that come and go.

All share one event loop in a thread of its own. Knows nothing of the page but its ASGI app.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import threading
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 10.0  # for a connection to bring its first request's headers
KEEP_SECONDS = 15  # for the next request on an idle connection
LAST_SECONDS, CLOSE_SECONDS = 0.3, 2  # for answers under way when a listener closes; for all of it
START_SECONDS = 30.0
# Connections at once on an address that others can reach: a browser opens six, and a tunnel or a proxy that speaks
# HTTP/2 with browsers one for each file of the page that one waits for.
MOST_CONNECTIONS = 600
_FILES_OPEN = 4096  # that a program may have, each connection one of them; macOS lets it have 256 unless it asks


class Patient(H11Protocol):
    """Closes a connection whose next request does not arrive, and one too many: uvicorn alone waits for headers for
    ever, and refuses requests but no connections."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if self.limit_concurrency is not None and len(self.connections) > self.limit_concurrency:
            self.transport.close()
        else:
            self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._rest()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._rest()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEADER_SECONDS, self.transport.close)

    def _rest(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class Listener:
    """One address that is listened on until `close`."""

    def __init__(self, server: uvicorn.Server, loop: asyncio.AbstractEventLoop, port: int) -> None:
        self._server, self._loop, self.port = server, loop, port
        self.ended = threading.Event()

    def close(self) -> None:
        """Stop listening. Answers under way have a moment; streams, which know no end, are cut off then."""
        self._server.should_exit = True
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._loop.call_later, LAST_SECONDS, self._cut)
        self.ended.wait(CLOSE_SECONDS + 2)

    def _cut(self) -> None:
        # As if the reader had left: the app ends such a stream by itself, while a cancelled one counts as a fault.
        for connection in list(self._server.server_state.connections):
            connection.transport.close()


class Listening:
    """The loop that all listeners share. Used as a context."""

    def __enter__(self) -> Listening:
        _ask_for_files()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="page", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CLOSE_SECONDS)

    def listen(self, app: ASGIApp, host: str, port: int, *, lifespan: bool, most: int | None = None) -> Listener:
        """Listen on `port` of `host`, 0 for a free one, with at most `most` connections at once. `lifespan` starts
        and ends the app itself with the listener: true for one listener alone.

        Raises OSError when the address is taken, RuntimeError when the app does not start.
        """
        config = uvicorn.Config(
            app, http=Patient, ws="none", log_level="warning", lifespan="on" if lifespan else "off",
            limit_concurrency=most, timeout_keep_alive=KEEP_SECONDS, timeout_graceful_shutdown=CLOSE_SECONDS,
            proxy_headers=False, server_header=False)
        listening = _bound(host, port)
        server = uvicorn.Server(config)
        listener = Listener(server, self._loop, int(listening.getsockname()[1]))
        future = asyncio.run_coroutine_threadsafe(server.serve([listening]), self._loop)
        future.add_done_callback(lambda _: listener.ended.set())
        waited = 0.0
        while not server.started:
            if future.done() or waited > START_SECONDS:
                listener.close()
                raise RuntimeError("the page did not start")
            listener.ended.wait(0.02)
            waited += 0.02
        return listener

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()


def _ask_for_files() -> None:
    """Room for the connections beside what the library has open. Windows knows no such limit."""
    if sys.platform != "win32":
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _FILES_OPEN if hard == resource.RLIM_INFINITY else min(_FILES_OPEN, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _bound(host: str, port: int) -> socket.socket:
    family, kind, _, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    listening = socket.socket(family, kind)
    try:
        if sys.platform != "win32":  # there it would let two programs share a port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(2048)
    except OSError:
        listening.close()
        raise
    return listening
