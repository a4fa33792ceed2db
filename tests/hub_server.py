"""A small Hugging Face hub on loopback that serves one model folder, with faults on demand.

    with HubServer("org/model", folder) as hub:
        hub.break_after = 100_000  # bytes of the weights, then the connection breaks
        …  # with HF_ENDPOINT=hub.url; then look at hub.ranges

Large files are weights, kept as the hub keeps them: known by their sha256 and sent from another address.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

REVISION = "0123456789abcdef0123456789abcdef01234567"
PIECE_BYTES = 16 * 1024


class HubServer:
    def __init__(self, model: str, folder: Path) -> None:
        self.model = model
        self.files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        self.fault = ""  # "gated", "missing", "damaged", "mute"
        self.break_after = 0  # bytes of the weights in one answer; 0: all of them
        self.bytes_per_second = 0
        self.knows_ranges = True
        self.ranges: list[str] = []  # asked of the weights
        self.closing = threading.Event()
        self._http = _Listener(("127.0.0.1", 0), _Handler)
        self._http.hub = self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> HubServer:
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    hub: HubServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves is no event for the terminal."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listener

    def log_message(self, *_: object) -> None:
        """Quiet: tests print enough."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        hub = self.server.hub
        path = self.path.partition("?")[0]
        if hub.fault == "mute":
            hub.closing.wait(60)
        elif hub.fault == "gated":
            self._refuse(403, "GatedRepo")
        elif hub.fault == "missing":
            self._refuse(404, "RepoNotFound")
        elif path == f"/api/models/{hub.model}":
            self._send(json.dumps({"id": hub.model, "modelId": hub.model, "sha": REVISION, "private": False,
                                   "siblings": [_sibling(name, hub.files[name]) for name in hub.files]}).encode())
        elif path.startswith("/cdn/"):
            self._send_weights(hub.files[path.removeprefix("/cdn/")])
        elif path.startswith(f"/{hub.model}/resolve/") and path.rpartition("/")[2] in hub.files:
            self._resolve(path.rpartition("/")[2])
        else:
            self._refuse(404, "EntryNotFound")

    def _resolve(self, name: str) -> None:
        content = self.server.hub.files[name]
        if not _is_large(name):
            self._send(content, ETag=f'"{_etag(content)}"', X_Repo_Commit=REVISION)
            return
        self.send_response(302)
        # To another host, as the hub does: one that is followed only for the content itself.
        self.send_header("Location", f"{self.server.hub.url.replace('127.0.0.1', 'localhost')}/cdn/{name}")
        self.send_header("X-Repo-Commit", REVISION)
        self.send_header("X-Linked-Etag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Linked-Size", str(len(content)))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send_weights(self, content: bytes) -> None:
        hub = self.server.hub
        asked = self.headers.get("Range", "")
        hub.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-") or 0) if asked and hub.knows_ranges else 0
        self.send_response(206 if asked and hub.knows_ranges else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        rest = content[start:] if hub.fault != "damaged" else bytes(len(content) - start)
        sent = 0
        for at in range(0, len(rest), PIECE_BYTES):
            if (hub.break_after and sent >= hub.break_after) or hub.closing.is_set():
                self.close_connection = True
                return
            self.wfile.write(rest[at:at + PIECE_BYTES])
            sent += PIECE_BYTES
            if hub.bytes_per_second:
                time.sleep(PIECE_BYTES / hub.bytes_per_second)

    def _send(self, body: bytes, **headers: str) -> None:
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()


def _is_large(name: str) -> bool:
    return name.endswith((".safetensors", ".bin"))


def _etag(content: bytes) -> str:
    """Of a small file: forty characters, as git's."""
    return hashlib.sha256(content).hexdigest()[:40]


def _sibling(name: str, content: bytes) -> dict[str, Any]:
    told: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": _etag(content)}
    if _is_large(name):
        told["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
    return told
