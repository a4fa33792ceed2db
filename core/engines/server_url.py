"""The address of an OpenAI-compatible server, in the forms people write it. Asks no network."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from core.errors import EngineError

ENDPOINTS = ("/chat/completions", "/completions", "/models")


def base_url(written: str) -> str:
    """`written` as `scheme://host[:port]/…/v1`, to which endpoints are added.

    Without a scheme it is http on this machine, in the local network or with a port, else https. Raises EngineError
    `engine_server_url`, or `engine_server_url_user` when it carries a user name or a password.
    """
    text = written.strip().strip("\"'")
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "", text
    try:
        parts = urlsplit(f"{scheme or 'http'}://{rest}")
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise EngineError("engine_server_url", url=written[:200]) from error
    if "@" in parts.netloc:
        raise EngineError("engine_server_url_user")  # its value would show the password
    if (scheme.lower() not in ("", "http", "https") or not re.fullmatch(r"[\w.:%-]+", host)
            or parts.query or parts.fragment):
        raise EngineError("engine_server_url", url=written[:200])
    if not scheme:
        scheme = "http" if port or _is_near(host) else "https"
    name = f"[{host}]" if ":" in host else host
    return f"{scheme.lower()}://{name}{f':{port}' if port else ''}{_with_version(parts.path)}"


def _with_version(path: str) -> str:
    path = re.sub("/{2,}", "/", path).rstrip("/")
    for endpoint in ENDPOINTS:
        path = path.removesuffix(endpoint)
    versioned = any(re.fullmatch(r"v\d+\w*", part) for part in path.split("/"))
    return path if versioned else f"{path}/v1"


def _is_near(host: str) -> bool:
    """A host of this machine or the local network, where https is rare."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith((".local", ".lan", ".home", ".internal"))
