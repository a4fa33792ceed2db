"""A small Hugging Face hub on loopback that serves one model folder, with faults on demand.

    with HubServer("org/model", folder) as hub:
        hub.break_after = 100_000  # bytes of the weights, then the connection breaks
        …  # with HF_ENDPOINT=hub.url; then look at hub.ranges

Large files are weights, kept as the hub keeps them: known by their sha256 and sent from another address.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

from tests.small_server import SmallHandler, SmallServer

REVISION = "0123456789abcdef0123456789abcdef01234567"
PIECE_BYTES = 16 * 1024


class HubServer(SmallServer):
    def __init__(self, model: str, folder: Path) -> None:
        super().__init__(_Handler)
        self.model = model
        self.files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        self.fault = ""  # "gated", "missing", "damaged", "mute"
        self.break_after = 0  # bytes of the weights in one answer; 0: all of them
        self.bytes_per_second = 0
        self.knows_ranges = True
        self.ranges: list[str] = []  # asked of the weights


class _Handler(SmallHandler):
    @property
    def hub(self) -> HubServer:
        server: HubServer = self.server.owner
        return server

    def do_GET(self) -> None:
        hub = self.hub
        path = self.path.partition("?")[0]
        if hub.fault == "mute":
            hub.closing.wait(60)
        elif hub.fault == "gated":
            self._refuse(403, "GatedRepo")
        elif hub.fault == "missing":
            self._refuse(404, "RepoNotFound")
        elif path == f"/api/models/{hub.model}":
            siblings = [_sibling(name, content) for name, content in hub.files.items()]
            self.send_json(200, {"id": hub.model, "modelId": hub.model, "sha": REVISION, "private": False,
                                 "siblings": siblings})
        elif path.startswith("/cdn/"):
            self._send_weights(hub.files[path.removeprefix("/cdn/")])
        elif path.startswith(f"/{hub.model}/resolve/") and path.rpartition("/")[2] in hub.files:
            self._resolve(path.rpartition("/")[2])
        else:
            self._refuse(404, "EntryNotFound")

    def _resolve(self, name: str) -> None:
        content = self.hub.files[name]
        if not _is_large(name):
            self.send_bytes(200, content, "text/plain", ETag=f'"{_etag(content)}"', X_Repo_Commit=REVISION)
            return
        self.send_response(302)
        # To another host, as the hub does: one that is followed only for the content itself.
        self.send_header("Location", f"{self.hub.url.replace('127.0.0.1', 'localhost')}/cdn/{name}")
        self.send_header("X-Repo-Commit", REVISION)
        self.send_header("X-Linked-Etag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Linked-Size", str(len(content)))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send_weights(self, content: bytes) -> None:
        hub = self.hub
        asked = self.headers.get("Range", "")
        hub.ranges.append(asked)
        first, _, last = asked.removeprefix("bytes=").partition("-") if hub.knows_ranges else ("", "", "")
        start = int(first or 0)
        content = content[:int(last) + 1] if last else content
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
