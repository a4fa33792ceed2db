"""What the small servers of the tests have in common: a real HTTP server on loopback that counts who is there.

Knows no protocol above HTTP; see `ollama_server`, `openai_server` and `hub_server`.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

POLL_SECONDS = 0.02  # between two looks at whether the client is still there


class ClientLeft(Exception):
    """The client closed its connection."""


@dataclass
class Counters:
    open_connections: int = 0
    active_chats: int = 0
    disconnects: int = 0  # chats whose client left before the end


class SmallServer:
    """Serves while its context lasts, on `port` (0: a free one)."""

    def __init__(self, handler: type[SmallHandler], port: int = 0, counters: Counters | None = None) -> None:
        self.counters = counters or Counters()
        self.lock = threading.Lock()
        self.closing = threading.Event()
        self._http = Listener(("127.0.0.1", port), handler)
        self._http.owner = self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def open_connections(self) -> int:
        return self.counters.open_connections

    @property
    def active_chats(self) -> int:
        return self.counters.active_chats

    @property
    def disconnects(self) -> int:
        return self.counters.disconnects

    def wait_until(self, condition: Callable[[], bool], seconds: float = 5.0) -> bool:
        """Whether `condition` became true within `seconds`."""
        give_up = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > give_up:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """From now on connections are refused."""
        if not self.closing.is_set():
            self.closing.set()
            self._http.shutdown()
            self._http.server_close()

    def serve_forever(self) -> None:
        with contextlib.suppress(KeyboardInterrupt):
            self._http.serve_forever()

    def count(self, name: str, change: int = 1) -> None:
        with self.lock:
            setattr(self.counters, name, getattr(self.counters, name) + change)

    @contextlib.contextmanager
    def counted(self, name: str) -> Iterator[None]:
        self.count(name)
        try:
            yield
        finally:
            self.count(name, -1)


class Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    owner: Any  # the SmallServer, with what its handler needs

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves is no event for the terminal."""


class SmallHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # as Go's servers do: else an answer in two pieces waits 40 ms for the second
    server: Listener

    def handle(self) -> None:
        with self.server.owner.counted("open_connections"):
            super().handle()

    def log_message(self, *_: object) -> None:
        """Quiet: tests print enough."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        raise NotImplementedError

    def read_json(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        return body

    def left(self, counter: str) -> None:
        """The client went away before the end."""
        self.close_connection = True
        self.server.owner.count(counter)

    def wait(self, seconds: float) -> None:
        """Wait, but leave at once when the client does: what it closed reads as the end of its stream."""
        give_up = time.monotonic() + seconds
        while (left := give_up - time.monotonic()) > 0 and not self.server.owner.closing.is_set():
            readable, _, _ = select.select([self.connection], [], [], min(left, POLL_SECONDS))
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                raise ClientLeft

    def send_json(self, status: int, body: object) -> None:
        """A text goes as it is, as if it were JSON."""
        text = body if isinstance(body, str) else json.dumps(body)
        self.send_bytes(status, text.encode(), "application/json; charset=utf-8")

    def send_text(self, status: int, text: str) -> None:
        self.send_bytes(status, text.encode(), "text/plain; charset=utf-8")

    def send_bytes(self, status: int, body: bytes, content_type: str, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": content_type, **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
