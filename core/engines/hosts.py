"""Where Ollama listens: the forms its `OLLAMA_HOST` may take, as an address that can be dialled.

Knows no protocol beyond the address, and asks no network.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from core.errors import EngineError
from core.settings import Settings

OLLAMA_PORT = 11434
SCHEME_PORTS = {"http": 80, "https": 443}


def dial_url(host: str) -> str:
    """`host` in any form Ollama accepts, as `scheme://address:port[/path]`.

    An address that means "listen everywhere" (0.0.0.0, ::) becomes loopback: it cannot be dialled on Windows.
    A missing or impossible port becomes the scheme's own, or 11434 without a scheme, as Ollama reads it.
    Raises EngineError `engine_bad_host`.
    """
    written = host.strip().strip("\"'")
    scheme, separator, rest = written.partition("://")
    if not separator:
        scheme, rest, default_port = "http", written, OLLAMA_PORT
    elif scheme in SCHEME_PORTS:
        default_port = SCHEME_PORTS[scheme]
    else:
        raise EngineError("engine_bad_host", host=host)
    try:
        parts = urlsplit(f"{scheme}://{_bracketed(rest)}")
        name = parts.hostname or "127.0.0.1"
    except ValueError as error:
        raise EngineError("engine_bad_host", host=host) from error
    if any(character.isspace() for character in name):
        raise EngineError("engine_bad_host", host=host)
    try:
        port = parts.port or default_port
    except ValueError:
        port = default_port
    path = parts.path.strip("/")
    return f"{scheme}://{_dialled(name)}:{port}" + (f"/{path}" if path else "")


def is_loopback(url: str) -> bool:
    """Whether a dialled URL stays on this machine."""
    name = urlsplit(url).hostname or ""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def connect_seconds(url: str, settings: Settings) -> float:
    """How long to wait for a connection. This machine refuses one at once or takes it, only late when it is busy; a
    host elsewhere that is off never answers."""
    return settings.answer_timeout_seconds if is_loopback(url) else settings.connect_timeout_seconds


def _bracketed(address: str) -> str:
    """A bare IPv6 address needs brackets before it can stand in a URL."""
    try:
        is_bare_v6 = ipaddress.ip_address(address).version == 6
    except ValueError:
        is_bare_v6 = False
    return f"[{address}]" if is_bare_v6 else address


def _dialled(name: str) -> str:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "[::1]"
    return f"[{address}]" if address.version == 6 else str(address)
