"""Who is at the door: roles, and the sessions that a login begins.

A session is a random token in a cookie; the server keeps only the token's hash. Knows neither HTTP nor gradio.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

OWNER_SECONDS = 30 * 24 * 3600.0  # an owner's login, while the app runs
VISITOR = "taller_visitor"  # in an ASGI scope: the guest who asks; missing for the owner
GUEST_OWNER = "guest:"  # before a session's id: whose a guest's conversations are
MOST_VISITORS = 200  # sessions of one role at once; the longest unseen goes


class Role(Enum):
    """What someone may do: the owner everything, a guest ask and read."""

    OWNER = "owner"
    GUEST = "guest"


@dataclass(eq=False)
class Visitor:
    """One session. Times are seconds since 1970; `id` names it to others and opens nothing."""

    role: Role
    name: str
    ends_at: float
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    since: float = field(default_factory=time.time)
    seen: float = field(default_factory=time.time)
    ended: bool = False
    _leaving: dict[int, Callable[[], None]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def here(self) -> bool:
        """Whether something of theirs is under way: an open window keeps a stream open."""
        return bool(self._leaving)

    def while_here(self, leave: Callable[[], None]) -> Callable[[], None]:
        """Have `leave` called when the session ends, from any thread; call what this returns to be left out again."""
        with self._lock:
            if not self.ended:
                key = id(leave)
                self._leaving[key] = leave
                return lambda: self._forget(key)
        leave()
        return lambda: None

    def end(self) -> None:
        with self._lock:
            self.ended = True
            leaving, self._leaving = list(self._leaving.values()), {}
        for leave in leaving:
            leave()

    def _forget(self, key: int) -> None:
        with self._lock:
            self._leaving.pop(key, None)
            self.seen = time.time()


class Visitors:
    """All sessions that are open. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._by_token: dict[bytes, Visitor] = {}
        self._lock = threading.Lock()

    def begin(self, role: Role, name: str, ends_at: float) -> tuple[str, Visitor]:
        """A new session and its token, 256 random bits. Where there are too many of a role, one that is not here and
        was not seen for longest ends."""
        token, visitor = secrets.token_urlsafe(32), Visitor(role, name, ends_at)
        with self._lock:
            same = [(known, one) for known, one in self._by_token.items() if one.role is role]
            oldest = min(same, key=lambda pair: (pair[1].here, pair[1].seen))[0] if len(same) >= MOST_VISITORS else None
            gone = self._by_token.pop(oldest) if oldest is not None else None
            self._by_token[_hashed(token)] = visitor
        if gone is not None:
            gone.end()
        return token, visitor

    def of(self, token: str) -> Visitor | None:
        """Whose token this is; None for one that is unknown or over."""
        with self._lock:
            visitor = self._by_token.get(_hashed(token))
        if visitor is None:
            return None
        now = self._clock()
        if now >= visitor.ends_at:
            self.end([visitor])
            return None
        visitor.seen = now
        return visitor

    def of_role(self, role: Role) -> list[Visitor]:
        """Who is here, the first to come first."""
        with self._lock:
            return sorted((one for one in self._by_token.values() if one.role is role), key=lambda one: one.since)

    def end(self, visitors: list[Visitor]) -> None:
        """End these sessions, and what they are waiting for."""
        with self._lock:
            self._by_token = {token: one for token, one in self._by_token.items() if one not in visitors}
        for visitor in visitors:
            visitor.end()


def _hashed(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
