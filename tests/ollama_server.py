"""A small real Ollama: an HTTP server on loopback that speaks its protocol, with faults on demand.

    with OllamaServer(models={"gpt-oss:20b": {}}) as server:
        server.behave(fault="stall_before")
        …  # talk to server.url; then look at server.chats, server.active_chats, server.disconnects

By hand, to look at the page with an engine that seems alive:
`python -m tests.ollama_server --port 11434 --tokens-per-second 30`. It also listens where OLLAMA_HOST says.
Knows no model: replies come from `ollama_replies`, and tokens are words.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.ollama_chat import Behaviour, Chat, ClientLeft
from tests.ollama_replies import pleasant_reply

POLL_SECONDS = 0.02  # between two looks at whether the client is still there


@dataclass
class Counters:
    open_connections: int = 0
    active_chats: int = 0
    disconnects: int = 0  # chats whose client left before the end
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)  # (path, body), oldest first


class OllamaServer:
    """A server on `port` (0: a free one). `models` maps a name to what differs from a plain chat model:
    family, capabilities (None: an old server that does not tell), size, remote_host."""

    def __init__(
        self, models: Mapping[str, dict[str, Any]], port: int = 0, behaviour: Behaviour | None = None
    ) -> None:
        self.models = dict(models)
        self.behaviour = behaviour or Behaviour()
        self.counters = Counters()
        self.lock = threading.Lock()
        self.closing = threading.Event()
        self._http = _Listener(("127.0.0.1", port), _Handler)
        self._http.ollama = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def chats(self) -> list[dict[str, Any]]:
        """The bodies of the chats asked so far, oldest first."""
        return [body for path, body in self.counters.requests if path == "/api/chat"]

    @property
    def active_chats(self) -> int:
        return self.counters.active_chats

    @property
    def disconnects(self) -> int:
        return self.counters.disconnects

    def behave(self, **changes: Any) -> None:
        """Change how the next chats go, by Behaviour's fields."""
        self.behaviour = replace(self.behaviour, **changes)

    def wait_until(self, condition: Callable[[], bool], seconds: float = 5.0) -> bool:
        """Whether `condition` became true within `seconds`."""
        give_up = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > give_up:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def __enter__(self) -> OllamaServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()

    def serve_forever(self) -> None:
        with contextlib.suppress(KeyboardInterrupt):
            self._http.serve_forever()

    @contextlib.contextmanager
    def counted(self, name: str) -> Iterator[None]:
        with self.lock:
            setattr(self.counters, name, getattr(self.counters, name) + 1)
        try:
            yield
        finally:
            with self.lock:
                setattr(self.counters, name, getattr(self.counters, name) - 1)


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    ollama: OllamaServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves is no event for the terminal."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listener

    def handle(self) -> None:
        with self.server.ollama.counted("open_connections"):
            super().handle()

    def log_message(self, *_: object) -> None:
        """Quiet: tests print enough."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        ollama = self.server.ollama
        if self.path == "/":
            self.send_text(200, "Ollama is running")
        elif self.path == "/api/version":
            self.send_json(200, {"version": "0.12.6"})
        elif self.path == "/api/tags":
            self.send_json(200, {"models": [_listed(name, model) for name, model in ollama.models.items()]})
        else:
            self.send_text(404, "404 page not found")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        ollama = self.server.ollama
        with ollama.lock:
            ollama.counters.requests.append((self.path, body))
        answer = {"/api/show": self._show, "/api/chat": self._chat, "/api/generate": self._generate}.get(
            self.path
        )
        if answer is None:
            self.send_text(404, "404 page not found")
            return
        model = body.get("model", "")
        name = model if ":" in model else f"{model}:latest"
        if name not in {known if ":" in known else f"{known}:latest" for known in ollama.models}:
            self.send_json(404, {"error": f"model '{model}' not found"})
            return
        answer(body)

    def _show(self, body: dict[str, Any]) -> None:
        model = self.server.ollama.models.get(body["model"], {})
        shown = {"modelfile": "", "template": "", "details": _details(model), "model_info": {}}
        capabilities = model.get("capabilities", ["completion"])
        if capabilities is not None:
            shown["capabilities"] = capabilities
        if "remote_host" in model:
            shown["remote_host"] = model["remote_host"]
        self.send_json(200, shown)

    def _generate(self, body: dict[str, Any]) -> None:
        """Only what loads and unloads a model: no prompt."""
        reason = "unload" if body.get("keep_alive") == 0 else "load"
        self.send_json(200, {"model": body["model"], "response": "", "done": True, "done_reason": reason})

    def _chat(self, body: dict[str, Any]) -> None:
        ollama = self.server.ollama
        with ollama.counted("active_chats"):
            try:
                Chat(self, body, ollama.behaviour).answer()
            except (ClientLeft, ConnectionError):
                self.close_connection = True
                with ollama.lock:
                    ollama.counters.disconnects += 1

    def wait(self, seconds: float) -> None:
        """Wait, but leave at once when the client does: what it closed reads as the end of its stream."""
        give_up = time.monotonic() + seconds
        while (left := give_up - time.monotonic()) > 0 and not self.server.ollama.closing.is_set():
            readable, _, _ = select.select([self.connection], [], [], min(left, POLL_SECONDS))
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                raise ClientLeft

    def send_json(self, status: int, body: object) -> None:
        self._send(status, json.dumps(body).encode(), "application/json; charset=utf-8")

    def send_text(self, status: int, text: str) -> None:
        self._send(status, text.encode(), "text/plain; charset=utf-8")

    def _send(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _details(model: Mapping[str, Any]) -> dict[str, Any]:
    family = model.get("family", "llama")
    return {
        "format": "gguf",
        "family": family,
        "families": [family],
        "parameter_size": "1B",
        "quantization_level": "Q4_0",
    }


def _listed(name: str, model: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "model": name,
        "modified_at": "2026-01-01T00:00:00Z",
        "size": model.get("size", 1_000_000),
        "digest": hashlib.sha256(name.encode()).hexdigest(),
        "details": _details(model),
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description="A small Ollama that answers from the prompt's passages.")
    arguments.add_argument("command", nargs="?", default="serve", choices=["serve"])
    arguments.add_argument("--port", type=int, default=None)
    arguments.add_argument("--tokens-per-second", type=float, default=30.0)
    arguments.add_argument("--load-seconds", type=float, default=0.0)
    arguments.add_argument("--model", action="append", help="a model to have; may be repeated")
    chosen = arguments.parse_args()
    host_port = os.environ.get("OLLAMA_HOST", "").rsplit(":", 1)[-1]
    port = chosen.port if chosen.port is not None else int(host_port) if host_port.isdigit() else 11434
    gpt_oss = {
        "family": "gptoss",
        "capabilities": ["completion", "tools", "thinking"],
        "size": 13_780_000_000,
    }
    models: dict[str, dict[str, Any]] = {name: dict(gpt_oss) for name in chosen.model or ["gpt-oss:20b"]}
    behaviour = Behaviour(
        tokens_per_second=chosen.tokens_per_second,
        load_seconds=chosen.load_seconds,
        make_reply=pleasant_reply,
        thinking="The question asks about the documents. Passage 1 says it; passage 2 adds to it.",
    )
    server = OllamaServer(models, port, behaviour)
    print(f"A small Ollama answers at {server.url}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
