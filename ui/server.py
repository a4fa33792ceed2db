"""The page's place on this machine: a free port, and the page already running on the same data folder.

A running page writes its address into the data folder; a second start finds it there, asks it whether it is
really the one, and sends the user to it. Knows neither gradio nor what the page shows.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import ipaddress
import json
import os
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Scope

from core.errors import AppError

HEALTH_PATH = "/taller/health"
APP_NAME = "taller"
PORTS_TRIED = 20
ANSWER_TIMEOUT_SECONDS = 2.0  # a local page answers in milliseconds; a stopped process never does


def free_port(host: str, wanted: int) -> int:
    """The first free port from `wanted` on, of 20, to listen on `host`.

    Raises AppError `no_free_port`. 127.0.0.1 is tried too, because gradio does before it starts.
    """
    last = min(wanted + PORTS_TRIED - 1, 65535)
    for port in range(wanted, last + 1):
        if _can_listen(host.strip("[]"), port) and _can_listen("127.0.0.1", port):
            return port
    raise AppError("no_free_port", first=wanted, last=last)


def _can_listen(host: str, port: int) -> bool:
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind) as probe:
            if sys.platform != "win32":  # there it would let two programs share a port
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError:
        return False
    return True


def announce_page(data_dir: Path, url: str) -> None:
    """Write where the page of this data folder is. `url` is one this machine can open: not `0.0.0.0`."""
    data_dir.mkdir(parents=True, exist_ok=True)
    unfinished = data_dir / f"server.{os.getpid()}.tmp"
    unfinished.write_text(json.dumps({"url": url.rstrip("/"), "pid": os.getpid()}), encoding="utf-8")
    unfinished.replace(_announcement(data_dir))


def running_page(data_dir: Path) -> str | None:
    """The URL of the page that works on this data folder now, or None. A stale announcement is ignored."""
    try:
        url = str(json.loads(_announcement(data_dir).read_text(encoding="utf-8"))["url"])
        answer = _ask(url)
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException):
        return None
    expected = {"app": APP_NAME, "data": folder_mark(data_dir)}
    return url if answer == expected else None


def _announcement(data_dir: Path) -> Path:
    return data_dir / "server.json"


def _ask(url: str) -> object:
    """What the page at `url` says about itself. Never through a proxy: it is on this machine."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(
        parts.hostname or "", parts.port or 80, timeout=ANSWER_TIMEOUT_SECONDS
    )
    with contextlib.closing(connection):
        connection.request("GET", HEALTH_PATH)
        response = connection.getresponse()
        return json.loads(response.read(4096)) if response.status == 200 else None


def folder_mark(folder: Path) -> str:
    """A name for a data folder that says nothing about where it is."""
    return hashlib.sha256(str(folder.resolve()).encode("utf-8", "surrogatepass")).hexdigest()


def health(scope: Scope, data_mark: str) -> Response:
    """The answer to `GET /taller/health`: which data folder the page works on, said to this machine alone."""
    if scope["method"] != "GET" or not _from_this_machine(scope):
        return PlainTextResponse("", status_code=404)
    return JSONResponse({"app": APP_NAME, "data": data_mark})


def _from_this_machine(scope: Scope) -> bool:
    client, server = scope.get("client"), scope.get("server")
    address = ip_address(client[0]) if client else None
    if address is None or address.is_loopback:
        return address is not None
    # A page bound to one network address is reached by its own machine from that same address.
    return server is not None and client is not None and client[0] == server[0]


def ip_address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The IP address a name spells out, if it does."""
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
