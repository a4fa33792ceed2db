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
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.ollama_chat import Behaviour, Chat
from tests.ollama_pull import Pull
from tests.ollama_replies import pleasant_reply
from tests.ollama_shelf import Shelf, seconds_of
from tests.small_server import ClientLeft, Counters, SmallHandler, SmallServer


@dataclass
class OllamaCounters(Counters):
    active_pulls: int = 0
    cancelled_pulls: int = 0  # pulls whose client left before the end
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)  # (path, body), oldest first


class OllamaServer(SmallServer):
    """A server on `port` (0: a free one). `models` maps a name to what differs from a plain chat model: family,
    capabilities (None: an old server that does not tell), thinking, context, parameters, quantization, size,
    remote_host. `catalogue` holds, in the same way, what can be pulled."""

    counters: OllamaCounters

    def __init__(
        self, models: Mapping[str, dict[str, Any]], port: int = 0, behaviour: Behaviour | None = None,
        catalogue: Mapping[str, dict[str, Any]] | None = None,
    ) -> None:
        self.shelf = Shelf(dict(models), dict(catalogue or {}))
        self.behaviour = behaviour or Behaviour()
        super().__init__(_Handler, port, OllamaCounters())

    @property
    def chats(self) -> list[dict[str, Any]]:
        """The bodies of the chats asked so far, oldest first."""
        return [body for path, body in self.counters.requests if path == "/api/chat"]

    @property
    def models(self) -> dict[str, dict[str, Any]]:
        return self.shelf.installed

    def behave(self, **changes: Any) -> None:
        """Change how the next chats go, by Behaviour's fields."""
        self.behaviour = replace(self.behaviour, **changes)


class _Handler(SmallHandler):
    @property
    def ollama(self) -> OllamaServer:
        server: OllamaServer = self.server.owner
        return server

    def do_GET(self) -> None:
        ollama = self.ollama
        if self.path == "/":
            self.send_text(200, "Ollama is running")
        elif self.path == "/api/version":
            self.send_json(200, {"version": "0.12.6"})
        elif self.path == "/api/tags":
            self.send_json(200, ollama.shelf.tags())
        elif self.path == "/api/ps" and not ollama.behaviour.old:
            with contextlib.suppress(ClientLeft):
                self.wait(ollama.behaviour.memory_seconds)
                self.send_json(200, ollama.shelf.processes())
        else:
            self.send_text(404, "404 page not found")

    def do_POST(self) -> None:
        body = self._body()
        if self.path == "/api/pull":
            self._pull(body)
            return
        answer = {"/api/show": self._show, "/api/chat": self._chat, "/api/generate": self._generate}.get(
            self.path
        )
        if answer is None:
            self.send_text(404, "404 page not found")
        elif name := self._installed(body):
            answer(name, body)

    def do_DELETE(self) -> None:
        body = self._body()
        if self.path != "/api/delete":
            self.send_text(404, "404 page not found")
        elif name := self._installed(body):
            self.ollama.shelf.delete(name)
            self.send_json(200, {})

    def _body(self) -> dict[str, Any]:
        body = self.read_json()
        ollama = self.ollama
        with ollama.lock:
            ollama.counters.requests.append((self.path, body))
        return body

    def _installed(self, body: dict[str, Any]) -> str | None:
        """The model a request means; where there is none, the refusal is sent."""
        model = body.get("model", "")
        name = self.ollama.shelf.find(model)
        if name is None:
            self.send_json(404, {"error": f"model '{model}' not found"})
        return name

    def _show(self, name: str, body: dict[str, Any]) -> None:
        ollama = self.ollama
        shown = ollama.shelf.show(name)
        if ollama.behaviour.old:
            shown = {key: shown[key] for key in ("modelfile", "parameters", "template", "details")}
        self.send_json(200, shown)

    def _generate(self, name: str, body: dict[str, Any]) -> None:
        """Only what loads and unloads a model: no prompt."""
        shelf, seconds = self.ollama.shelf, seconds_of(body.get("keep_alive"))
        if seconds == 0:
            shelf.unload(name)
        else:
            shelf.load(name, body.get("options", {}).get("num_ctx", 4096), seconds, 0)
        reason = "load" if seconds else "unload"
        self.send_json(200, {"model": body["model"], "response": "", "done": True, "done_reason": reason})

    def _chat(self, name: str, body: dict[str, Any]) -> None:
        ollama = self.ollama
        with ollama.counted("active_chats"):
            try:
                seconds = 0.0
                if ollama.behaviour.fault not in ("out_of_memory", "unauthorized", "busy"):
                    context = body.get("options", {}).get("num_ctx", 4096)
                    seconds = ollama.shelf.load(
                        name, context, seconds_of(body.get("keep_alive")), ollama.behaviour.load_seconds)
                Chat(self, body, ollama.behaviour, seconds).answer()
            except (ClientLeft, ConnectionError):
                self.left("disconnects")

    def _pull(self, body: dict[str, Any]) -> None:
        ollama = self.ollama
        name = str(body.get("model", ""))
        if not name or " " in name:
            self.send_json(400, {"error": "invalid model name"})
            return
        with ollama.counted("active_pulls"):
            try:
                Pull(self, name, ollama.shelf, ollama.behaviour).answer()
            except (ClientLeft, ConnectionError):
                self.left("cancelled_pulls")


def main() -> None:
    arguments = argparse.ArgumentParser(description="A small Ollama that answers from the prompt's passages.")
    arguments.add_argument("command", nargs="?", default="serve", choices=["serve"])
    arguments.add_argument("--port", type=int, default=None)
    arguments.add_argument("--tokens-per-second", type=float, default=30.0)
    arguments.add_argument("--load-seconds", type=float, default=0.0)
    arguments.add_argument("--pull-bytes-per-second", type=float, default=150e6)
    arguments.add_argument("--model", action="append", help="a model to have; may be repeated")
    chosen = arguments.parse_args()
    host_port = os.environ.get("OLLAMA_HOST", "").rsplit(":", 1)[-1]
    port = chosen.port if chosen.port is not None else int(host_port) if host_port.isdigit() else 11434
    gpt_oss = {
        "family": "gptoss",
        "capabilities": ["completion", "tools", "thinking"],
        "size": 13_780_000_000,
        "parameters": "20.9B",
        "quantization": "MXFP4",
    }
    smaller = {name: {"family": family, "size": size, "capabilities": capabilities, "parameters": parameters,
                      "quantization": "Q4_K_M", "context": 40_960}
               for name, family, size, capabilities, parameters in (
                   ("qwen3:8b", "qwen3", 5_225_000_000, ["completion", "tools", "thinking"], "8.2B"),
                   ("gemma3:4b", "gemma3", 3_340_000_000, ["completion", "vision"], "4.3B"),
                   ("qwen3:4b", "qwen3", 2_500_000_000, ["completion", "tools", "thinking"], "4.0B"),
                   ("llama3.2:3b", "llama", 2_020_000_000, ["completion", "tools"], "3.2B"),
                   ("qwen3:1.7b", "qwen3", 1_360_000_000, ["completion", "tools", "thinking"], "2.0B"),
                   ("qwen3:0.6b", "qwen3", 523_000_000, ["completion", "tools", "thinking"], "752M"))}
    known: dict[str, dict[str, Any]] = {"gpt-oss:20b": gpt_oss, **smaller}
    models = {name: known.get(name, gpt_oss) for name in chosen.model or ["gpt-oss:20b"]}
    behaviour = Behaviour(
        tokens_per_second=chosen.tokens_per_second,
        load_seconds=chosen.load_seconds,
        pull_bytes_per_second=chosen.pull_bytes_per_second,
        make_reply=pleasant_reply,
        thinking="The question asks about the documents. Passage 1 says it; passage 2 adds to it.",
    )
    server = OllamaServer(models, port, behaviour, catalogue=known)
    print(f"A small Ollama answers at {server.url}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
