"""What a guest's browser may ask of the guests' page, told from the request itself.

gradio lets anyone call any handler of a page and read any window's stream whose name they know. Here the few requests
that the guests' page needs are let through: its files, and events of its own windows, in a body that is read and
written anew, so that no other reading of it can differ. Knows nothing of what the handlers do.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, Protocol
from urllib.parse import parse_qs

from starlette.types import Message, Receive, Scope

from ui.visitors import Visitor

MAX_BODY_BYTES = 64 * 1024
BODY_SECONDS = 15.0  # for it to arrive
WINDOWS = 20  # that one guest may have; the oldest is forgotten
PREFIX = "/guest"
# Files of the page, the same for everyone who may see it.
_FILES = re.compile(r"/(config|theme\.css|favicon\.ico|manifest\.json|(static|assets|svelte)/[\w./@+-]*)?")
_ASK, _EVENTS, _HEARTBEAT = "/gradio_api/queue/join", "/gradio_api/queue/data", "/gradio_api/heartbeat/"
_WINDOW = re.compile(r"[a-z0-9]{8,24}")  # gradio's name for a window of a browser, made there
# The fields gradio's page sends with an event.
_FIELDS = ("data", "fn_index", "session_hash", "event_data", "trigger_id", "event_id")


class Windows(Protocol):
    """What is kept for the windows of the guests' page."""

    def are_busy(self, windows: Iterable[str]) -> bool: ...

    async def forget(self, window: str) -> None: ...


class GuestRequests:
    """Tells what is let through. A window belongs to the guest whose browser named it first; `windows` does what is to
    be done about it. For one event loop."""

    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        self._owners: dict[str, Visitor] = {}
        self._of_guest: dict[Visitor, OrderedDict[str, None]] = {}

    def busy(self, visitor: Visitor, path: str) -> bool:
        """Whether a request that may pass asks for more than one guest gets at once."""
        return path == f"{PREFIX}{_ASK}" and self._windows.are_busy(self._of_guest.get(visitor, ()))

    async def check(self, visitor: Visitor, scope: Scope, receive: Receive) -> Receive | None:
        """Where the request's body comes from when it may pass; None when it may not."""
        method, path = scope["method"], scope["path"].removeprefix(PREFIX)
        if ".." in path or "\\" in path:
            return None
        if method in ("GET", "HEAD") and _FILES.fullmatch(path):
            return _body(b"", receive)
        if method == "GET" and path == _EVENTS:
            named = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("session_hash", [])
            return receive if len(named) == 1 and await self._owns(visitor, named[0]) else None
        if method == "GET" and path.startswith(_HEARTBEAT):
            return receive if await self._owns(visitor, path.removeprefix(_HEARTBEAT)) else None
        if method == "POST" and path in (_ASK, "/gradio_api/cancel", "/gradio_api/reset"):
            return await self._event(visitor, scope, receive)
        return None

    async def _event(self, visitor: Visitor, scope: Scope, receive: Receive) -> Receive | None:
        """An event of one of the guest's own windows, written anew."""
        body = await small_body(receive, MAX_BODY_BYTES)
        try:
            asked = json.loads(body or b"", object_hook=_without_files)
            fields = {name: asked[name] for name in _FIELDS if name in asked} if isinstance(asked, dict) else {}
            # As UTF-8, which half of a surrogate pair is not: such a text would end the stream of whoever is shown it.
            clean = json.dumps(fields, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            return None
        if not isinstance(fields.get("fn_index", 0), int):
            return None
        if not await self._owns(visitor, fields.get("session_hash")):
            return None
        kept = [(name, value) for name, value in scope["headers"]
                if name not in (b"content-length", b"content-type", b"transfer-encoding")]
        scope["headers"] = [*kept, (b"content-type", b"application/json"),
                            (b"content-length", str(len(clean)).encode("ascii"))]
        return _body(clean, receive)

    async def _owns(self, visitor: Visitor, window: Any) -> bool:
        """Whether a window is this guest's; one that nobody named yet becomes so."""
        if not isinstance(window, str) or not _WINDOW.fullmatch(window):
            return False
        if self._owners.setdefault(window, visitor) is not visitor:
            return False
        own = self._of_guest.setdefault(visitor, OrderedDict())
        is_new = window not in own
        own[window] = None
        own.move_to_end(window)
        if is_new:
            await self._forget_some(own)
        return True

    async def _forget_some(self, own: OrderedDict[str, None]) -> None:
        """The oldest window of those who have too many, and all of those who are gone."""
        forgotten = [own.popitem(last=False)[0]] if len(own) > WINDOWS else []
        for visitor in [one for one in self._of_guest if one.ended]:
            forgotten += self._of_guest.pop(visitor)
        for window in forgotten:
            del self._owners[window]
            await self._windows.forget(window)


def is_stream(path: str) -> bool:
    """Whether a request that may pass is answered for as long as the window is there."""
    return path.removeprefix(PREFIX).startswith((_EVENTS, _HEARTBEAT))


def _without_files(found: dict[str, Any]) -> dict[str, Any]:
    """An object of an event. Raises ValueError for what gradio takes for a file: it would fetch an address named as its
    path, from anywhere and of any size, and guests have no files to give."""
    if "path" in found:
        raise ValueError("a file")
    return found


async def small_body(receive: Receive, limit_bytes: int) -> bytes | None:
    """A whole body; None for one that is larger or does not arrive in time."""
    body = b""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    return None
                body += message.get("body", b"")
                if len(body) > limit_bytes:
                    return None
                if not message.get("more_body"):
                    return body
    except TimeoutError:
        return None


def _body(content: bytes, receive: Receive) -> Receive:
    """A `receive` that gives this body, then what comes from the connection: its end."""
    left = [content]

    async def give() -> Message:
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        return await receive()
    return give
