"""Sharing the page for a while: a tunnel, a password for guests, their sessions, what they may see, and its end.

Knows nothing of how the page looks. The guests' address is a listener of its own, which the tunnel leads to; the
owner's page does not listen there without a login.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from core.errors import AppError
from ui.access import Login, generate_password
from ui.tunnel import Command, Tunnel, open_tunnel
from ui.visitors import OWNER_SECONDS, Role, Visitor, Visitors

MINUTES = (15, 60, 480)
DEFAULT_MINUTES = 60
OWNER = "taller"
GUEST_NAMES = ("guest", "invitado")  # one guest, in both languages
_LOOK_SECONDS = 0.5
_ASKED_SECONDS = 3600.0
_ASKED_MOST = 500
_UNKNOWN = ""  # a content
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ShareStatus:
    """`url` is the public address, or `near_url` where only the local network could be had; both and `password` are
    empty unless it is on. `ends_at` in seconds since 1970; `error` is why it ended by itself, a code and its values."""

    state: Literal["off", "starting", "on"] = "off"
    url: str = ""
    password: str = ""
    ends_at: float = 0.0
    error: tuple[str, dict[str, Any]] | None = None
    near_url: str = ""


@dataclass(frozen=True)
class Asked:
    """A guest's question. `at` in seconds since 1970; `guest` is the number of the guest."""

    at: float
    guest: str
    visitor_id: str
    question: str


class Listening(Protocol):
    """The guests' address while it is listened on."""

    port: int

    def close(self) -> None: ...


class Sharing:
    """`listen` opens the guests' address, which then answers to the names `admit` is told; `near` is the page's own
    address on the local network, empty where it has none; `contents` tells what each document holds, a hash by its
    name. `pause_seconds` lie between any two tries of a password.
    Thread-safe; a thread of its own ends a share in time."""

    def __init__(self, data_dir: Path, visitors: Visitors, *, listen: Callable[[], Listening],
                 admit: Callable[[str], None], command: Command, near: Callable[[], str] = str,
                 contents: Callable[[], Mapping[str, str]] = dict,
                 owner_password: str = "", pause_seconds: float = 2.0) -> None:
        self._folder, self._visitors = data_dir, visitors
        self._listen, self._admit, self._command, self._near = listen, admit, command, near
        self._contents = contents
        self._passwords = {OWNER: owner_password} if owner_password else {}
        self._login = Login(self._passwords, pause_seconds=pause_seconds)
        self._lock = threading.RLock()
        self._status = ShareStatus()
        self._tunnel: Tunnel | None = None
        self._listener: Listening | None = None
        self._share = 0  # counts the shares, so that a late end of one does not end the next
        self._guests = 0
        self._asked: deque[Asked] = deque(maxlen=_ASKED_MOST)
        self._forbidden = self._read_forbidden()  # documents by name, each with its content
        self._hidden = _contents_of(self._forbidden or {})

    @property
    def status(self) -> ShareStatus:
        return self._status

    async def start(self, minutes: int) -> None:
        """Share for so long; returns when guests can come.

        Raises AppError `share_no_network`, `share_blocked`, `share_running` or `share_cancelled`.
        """
        await asyncio.to_thread(self.start_now, minutes)

    def start_now(self, minutes: int) -> None:
        """`start`, for a thread."""
        with self._lock:
            if self._status.state != "off":
                raise AppError("share_running")
            self._known_forbidden()
            self._share += 1
            share, self._status = self._share, ShareStatus("starting")
        try:
            self._open(share, 60.0 * minutes)
        except AppError as error:
            self._end(share, error)
            raise
        except BaseException:
            self._end(share)
            raise

    async def stop(self) -> None:
        """End the tunnel and every guest's session, at once."""
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        self._end(self._share)

    async def enter(self, name: str, password: str) -> tuple[str, Visitor] | None:
        """The session that this name and password begin, and its token, after the wait that the brake on guessing asks
        for."""
        name = GUEST_NAMES[0] if name in GUEST_NAMES else name
        if not await self._login.check(name, password):
            return None
        if name == OWNER:
            return self._visitors.begin(Role.OWNER, name, time.time() + OWNER_SECONDS)
        with self._lock:  # no guest's session begins once the share has ended
            if self._status.state != "on":
                return None
            self._guests += 1
            return self._visitors.begin(Role.GUEST, str(self._guests), self._status.ends_at)

    def guests(self) -> list[Visitor]:
        """Who is here, the first to come first."""
        return self._visitors.of_role(Role.GUEST)

    def end_guest(self, visitor_id: str) -> None:
        """End one guest's session. With the password they can come again."""
        self._visitors.end([one for one in self.guests() if one.id == visitor_id])

    def note(self, visitor: Visitor, question: str) -> None:
        """Remember for the owner that a guest asked this."""
        with self._lock:
            self._asked.append(Asked(time.time(), visitor.name, visitor.id, question))

    def asked(self) -> list[Asked]:
        """What guests asked in the last hour, the newest first."""
        with self._lock:
            return [one for one in reversed(self._asked) if one.at > time.time() - _ASKED_SECONDS]

    def allowed(self, source: str) -> bool:
        """Whether guests may find and read a document: neither it nor, under another name, its content is forbidden."""
        forbidden, hidden = self._forbidden, self._hidden
        if forbidden is None or source in forbidden:
            return False
        if not hidden:
            return True
        content = self._contents().get(source)
        return content is not None and content not in hidden  # of one that came this moment it is not known yet

    def allow(self, sources: Iterable[str], allowed: bool) -> None:
        """Allow or forbid documents, and others with the same content, from now on and after a restart.

        Raises AppError `share_unreadable` when it is not known which were forbidden before, and OSError when it cannot
        be written; then nothing changed.
        """
        with self._lock:
            contents, wanted = self._contents(), dict(self._known_forbidden())
            named = {source: contents.get(source, _UNKNOWN) for source in sources}
            if allowed:
                known = set(named.values()) - {_UNKNOWN}
                wanted = {source: content for source, content in wanted.items()
                          if source not in named and content not in known}
            else:
                wanted |= named
            unfinished = self._file.with_name(f"{self._file.name}.{os.getpid()}.tmp")
            unfinished.write_text(json.dumps({"forbidden": wanted}, ensure_ascii=False), encoding="utf-8")
            unfinished.replace(self._file)
            self._forbidden, self._hidden = wanted, _contents_of(wanted)

    def _known_forbidden(self) -> Mapping[str, str]:
        if self._forbidden is None:
            raise AppError("share_unreadable", path=str(self._file))
        return self._forbidden

    def _open(self, share: int, seconds: float) -> None:
        """Open a way in, and let guests come."""
        listener, tunnel = self._dig(share)
        with self._lock:
            if not self._is_starting(share):  # stopped at the last moment
                _close(tunnel, listener)
                raise AppError("share_cancelled")
            if tunnel is not None:
                self._admit(tunnel.url)
            self._tunnel, self._listener = tunnel, listener
            self._passwords[GUEST_NAMES[0]] = password = generate_password()
            self._asked.clear()
            self._guests = 0
            near = self._near()
            self._status = ShareStatus("on", tunnel.url if tunnel is not None else near, password,
                                       time.time() + seconds, near_url=near)
        threading.Thread(target=self._watch, args=(share, tunnel), name="sharing", daemon=True).start()

    def _dig(self, share: int) -> tuple[Listening | None, Tunnel | None]:
        """The guests' address and the tunnel that leads there; none where guests can come over the local network and a
        tunnel cannot be had."""
        listener = self._listen()
        try:
            return listener, open_tunnel(self._command(listener.port), self._folder / "logs" / "tunnel.log",
                                         lambda: self._is_starting(share))
        except AppError as error:
            listener.close()
            if error.code == "share_cancelled" or not self._near():
                raise
            return None, None
        except BaseException:
            listener.close()
            raise

    def _is_starting(self, share: int) -> bool:
        return self._share == share and self._status.state == "starting"

    def _watch(self, share: int, tunnel: Tunnel | None) -> None:
        """End the share when its time is over, by the clock on the wall, or its tunnel is gone."""
        while self._share == share and self._status.state == "on":
            if time.time() >= self._status.ends_at:
                self._end(share, AppError("share_over"))
            elif tunnel is not None and not tunnel.alive:
                self._end(share, AppError("share_lost"))
            time.sleep(_LOOK_SECONDS)

    def _end(self, share: int, error: AppError | None = None) -> None:
        with self._lock:
            if share != self._share or self._status.state == "off":
                return
            # First what lets people in, then those who are in.
            self._passwords.pop(GUEST_NAMES[0], None)
            self._status = ShareStatus(error=(error.code, dict(error.values)) if error is not None else None)
            tunnel, listener = self._tunnel, self._listener
            self._tunnel = self._listener = None
            self._visitors.end(self._visitors.of_role(Role.GUEST))
        _close(tunnel, listener)

    @property
    def _file(self) -> Path:
        return self._folder / "share.json"

    def _read_forbidden(self) -> Mapping[str, str] | None:
        """Documents forbidden before, each with its content; None when that cannot be read, and then guests may see
        nothing."""
        try:
            kept = json.loads(self._file.read_text(encoding="utf-8"))["forbidden"]
            # Names alone were kept before contents were.
            pairs = kept.items() if isinstance(kept, dict) else dict.fromkeys(kept, _UNKNOWN).items()
            return {str(source): str(content) for source, content in pairs}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, LookupError, TypeError):
            _log.warning("What guests may see could not be read", exc_info=True)
            return None


def _contents_of(forbidden: Mapping[str, str]) -> frozenset[str]:
    return frozenset(forbidden.values()) - {_UNKNOWN}


def _close(*parts: Tunnel | Listening | None) -> None:
    for part in parts:
        if part is not None:
            part.close()
