"""One pull of the small Ollama: a stream of layers that grow, kept where it is left, with faults on demand.

Knows the protocol of `/api/pull`, and of sockets only what `Connection` says.
"""

from __future__ import annotations

import time
from typing import Any

from tests.ollama_chat import Behaviour, Connection, end_lines, reset, send_line, start_lines
from tests.ollama_shelf import Layer, Shelf

TICK_SECONDS = 0.06  # so often Ollama tells of a layer
# Word for word what Ollama says inside the stream: before the layers, or in the middle of the first.
MANIFEST_ERRORS = {
    "pull_not_found": "pull model manifest: file does not exist",
    "pull_newer": (
        "pull model manifest: 412: \n\nThe model you are attempting to pull requires a newer version of Ollama.\n\n"
        "Please download the latest version at:\n\n\thttps://ollama.com/download\n\n"
    ),
    "pull_unauthorized": "pull model manifest: 401: {\"error\":\"Invalid username or password.\"}",
    "pull_no_network": (
        'pull model manifest: Get "https://registry.ollama.ai/v2/library/qwen3/manifests/4b": dial tcp: '
        "lookup registry.ollama.ai: no such host"
    ),
}
LAYER_ERRORS = {
    "pull_no_space": "write /usr/share/ollama/.ollama/models/blobs/sha256-a3de86-partial: no space left on device",
    "pull_retries": "max retries exceeded: unexpected EOF",
    "pull_odd": "digest mismatch, file must be downloaded again: want sha256:a3de86, got sha256:e3b0c4",
}


class Pull:
    """One pull, from the manifest to "success"."""

    def __init__(self, connection: Connection, name: str, shelf: Shelf, behaviour: Behaviour) -> None:
        self._connection, self._name, self._shelf, self._behaviour = connection, name, shelf, behaviour

    def answer(self) -> None:
        connection, fault = self._connection, self._behaviour.fault
        if fault == "not_json":
            connection.send_text(200, "<html>It works!</html>\n")
            return
        start_lines(connection)
        self._line(status="pulling manifest")
        error = MANIFEST_ERRORS.get(fault)
        if self._name not in self._shelf.catalogue:
            error = error or MANIFEST_ERRORS["pull_not_found"]
        if error:
            self._line(error=error)
        elif self._fetch_all():
            for status in ("verifying sha256 digest", "writing manifest"):
                self._line(status=status)
                connection.wait(self._behaviour.verify_seconds)
            self._shelf.install(self._name)
            self._line(status="success")
        if not connection.close_connection:
            end_lines(connection)

    def _fetch_all(self) -> bool:
        return all(self._fetch(layer) for layer in self._shelf.layers(self._name))

    def _fetch(self, layer: Layer) -> bool:
        """Tell of a layer as it grows from where it was left. False when the pull ends in the middle of it."""
        fault, rate = self._behaviour.fault, self._behaviour.pull_bytes_per_second
        partial, started = self._shelf.partial, time.monotonic()
        found = partial.get(layer.digest, 0)
        while partial.get(layer.digest, 0) < layer.size:
            self._layer(layer)
            self._connection.wait(TICK_SECONDS if rate else 0)
            if rate:
                done = found + int(rate * (time.monotonic() - started))
            else:
                done = partial.get(layer.digest, 0) + layer.size // 2 + 1
            partial[layer.digest] = min(layer.size, done)
            if partial[layer.digest] >= layer.size // 2 and self._fails(fault):
                return False
        self._layer(layer)
        return True

    def _fails(self, fault: str) -> bool:
        if fault in LAYER_ERRORS:
            self._line(error=LAYER_ERRORS[fault])
        elif fault == "break_middle":
            reset(self._connection)
        elif fault == "stall_middle":
            self._connection.wait(60)
        return fault in LAYER_ERRORS or fault in ("break_middle", "end_early", "stall_middle")

    def _layer(self, layer: Layer) -> None:
        done = self._shelf.partial.get(layer.digest, 0)
        short = layer.digest.removeprefix("sha256:")[:12]
        known = {"completed": done} if done else {}  # Go leaves a zero out
        self._line(status=f"pulling {short}", digest=layer.digest, total=layer.size, **known)

    def _line(self, **content: Any) -> None:
        send_line(self._connection, content)
