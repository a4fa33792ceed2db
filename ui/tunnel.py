"""Gradio's tunnel as a child of ours: a public address for a port of this machine, until it is closed.

Gradio's own class leaves its child running when the app is killed, and keeps no eye on it; ours stands behind
`core.guard`. The program, its checksum and the server that hands out addresses are Gradio's. Knows nothing of who may
come through.
"""

from __future__ import annotations

import contextlib
import queue
import re
import secrets
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from core import processes
from core.errors import AppError

ADDRESS_SECONDS = 15.0  # for the server that hands out addresses
OPEN_SECONDS = 30.0  # for the tunnel to stand
_LOOK_SECONDS = 0.2
_OPENED = re.compile(r"start proxy success: (\S+)")
_REFUSED = ("login to server failed", "start error")


@dataclass(frozen=True)
class TunnelServer:
    """Where the tunnel's other end is, and the certificate it is known by, in PEM."""

    host: str
    port: int
    certificate: str


class Tunnel:
    """An open tunnel. `url` is its public address."""

    def __init__(self, child: subprocess.Popen[bytes], url: str) -> None:
        self._child, self.url = child, url

    @property
    def alive(self) -> bool:
        return self._child.poll() is None

    def close(self) -> None:
        """End the child; the address is gone with it."""
        processes.end(self._child)


Command = Callable[[int], Sequence[str]]  # the program that opens a tunnel to a local port


def gradio_command(data_dir: Path) -> Command:
    """Gradio's tunnel program. Calling it may download the program, once, and asks Gradio for an address.

    Raises AppError `share_no_network` or `share_blocked`.
    """
    def command(port: int) -> list[str]:
        server = _ask_for_server()
        certificate = data_dir / "share" / "certificate.pem"
        certificate.parent.mkdir(parents=True, exist_ok=True)
        certificate.write_text(server.certificate, encoding="utf-8")
        return [_program(), "http", "-n", secrets.token_hex(16), "-l", str(port), "-i", "127.0.0.1",
                "--uc", "--ue", "--sd", "random", "--server_addr", f"{server.host}:{server.port}",
                "--disable_log_color", "--tls_enable", "--tls_trusted_ca_file", str(certificate)]
    return command


def open_tunnel(command: Sequence[str], log_path: Path, wanted: Callable[[], bool] = lambda: True) -> Tunnel:
    """Start the program and wait for its address, as long as it is wanted.

    Raises AppError `share_blocked` when it is refused, ends, or says nothing for 30 s, and `share_cancelled`.
    """
    child = processes.start(processes.python_module("core.guard", "--output", *command), log_path=log_path)
    lines: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read, args=(child, lines), daemon=True).start()
    give_up = time.monotonic() + OPEN_SECONDS
    try:
        while time.monotonic() < give_up:
            if not wanted():
                raise AppError("share_cancelled")
            with contextlib.suppress(queue.Empty):
                line = lines.get(timeout=_LOOK_SECONDS)
                if found := _OPENED.search(line):
                    return Tunnel(child, _checked(found.group(1)))
                if not line or any(word in line for word in _REFUSED):
                    break
        raise AppError("share_blocked")
    except BaseException:
        processes.end(child)
        raise


def _read(child: subprocess.Popen[bytes], lines: queue.Queue[str]) -> None:
    """Read on for ever: a pipe that is full would stop the program. An empty line is the end."""
    assert child.stdout is not None
    with contextlib.suppress(OSError, ValueError):
        for line in child.stdout:
            lines.put(line.decode("utf-8", "replace"))
    lines.put("")


def _checked(url: str) -> str:
    """An address a browser can open, from a program of others. Raises AppError `share_blocked`."""
    with contextlib.suppress(ValueError):
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname:
            return f"{parts.scheme}://{parts.netloc}"
    raise AppError("share_blocked")


def _ask_for_server() -> TunnelServer:
    from gradio.networking import GRADIO_API_SERVER

    try:
        answer = httpx.get(GRADIO_API_SERVER, timeout=ADDRESS_SECONDS)
        server = answer.raise_for_status().json()[0]
        return TunnelServer(str(server["host"]), int(server["port"]), str(server["root_ca"]))
    except httpx.TransportError as error:
        raise AppError("share_no_network") from error
    except (httpx.HTTPError, ValueError, LookupError, TypeError) as error:
        raise AppError("share_blocked") from error


def _program() -> str:
    """Where Gradio's tunnel program is; downloaded and compared with its checksum where it is missing."""
    from gradio.exceptions import ChecksumMismatchError
    from gradio.tunneling import BINARY_PATH
    from gradio.tunneling import Tunnel as GradioTunnel

    try:
        GradioTunnel.download_binary()
    except ChecksumMismatchError as error:
        Path(BINARY_PATH).unlink(missing_ok=True)  # else it would be trusted the next time
        raise AppError("share_blocked") from error
    except httpx.TransportError as error:
        raise AppError("share_no_network") from error
    except (httpx.HTTPError, OSError) as error:
        raise AppError("share_blocked") from error
    return str(BINARY_PATH)
