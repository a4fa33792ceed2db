"""Who may reach the page: the guard in front of every request, the login, and when a login is required.

gradio checks neither the Host header (so DNS rebinding would work) nor where an upload comes from, and does
not slow down password guesses; this module does. It knows no component of the page.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.i18n import choose_language, translate
from ui.server import HEALTH_PATH, folder_mark, health, ip_address

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
WILDCARD_HOSTS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - recognised here, never bound
CHANGING_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
# gradio holds a request that is not an upload in memory, whole; a chat or a form is far below this.
MAX_MESSAGE_BYTES = 32 * 1024 * 1024
DRAIN_BYTES, DRAIN_SECONDS = 256 * 1024, 0.5  # of a refused request, at most

# 'unsafe-eval': without it gradio's HTML templates and plots die. Nothing may come from, or go to, elsewhere.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; media-src 'self' blob: data:; connect-src 'self'; "
    "worker-src 'self' blob:; frame-src 'self' blob:; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'self'"
)


def host_name(address: str) -> str:
    """The bare lower-case name of a Host header, an Origin or a URL; empty when it is none.

    `[::1]:7860`, `http://localhost:7860/` and `Localhost.` give `::1`, `localhost` and `localhost`.
    """
    if ip_address(address):
        return address.lower()
    try:
        parts = urlsplit(address if "://" in address else f"//{address}")
        _ = parts.port  # raises for one that is none
    except ValueError:
        return ""
    return "" if "@" in parts.netloc else (parts.hostname or "").rstrip(".")


def is_loopback(host: str) -> bool:
    """Whether a bound address can be reached from this machine only."""
    name = host_name(host)
    address = ip_address(name)
    return name == "localhost" or (address is not None and address.is_loopback)


def near_address(host: str) -> str:
    """How others on the local network reach what listens on `host`; empty when they cannot, or there is no network."""
    if is_loopback(host):
        return ""
    if host_name(host) not in WILDCARD_HOSTS:
        return host_name(host)
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing: it tells which address leads out
        return str(probe.getsockname()[0])
    return ""


def own_names() -> set[str]:
    """This machine's addresses and names, as they are now (a laptop changes networks)."""
    names = {socket.gethostname().lower(), f"{socket.gethostname().lower()}.local"}
    for addresses in psutil.net_if_addrs().values():
        names.update(entry.address.split("%")[0].lower() for entry in addresses)
    return names


class AccessPolicy:
    """What the guard lets through. Hosts may be added while the page runs (the share link is known late).

    `max_body_bytes` limits one upload request, which may carry many files: leave room for several of the
    largest. `data_dir` is the folder the health answer vouches for. An empty `bound_host` is no name of this machine:
    only allowed hosts are let in.
    """

    def __init__(
        self, bound_host: str, *, data_dir: Path, max_body_bytes: int, allowed_hosts: Iterable[str] = ()
    ) -> None:
        self._bound = host_name(bound_host)
        self._allowed = {host_name(host) for host in allowed_hosts} - {""}
        self.max_body_bytes = max_body_bytes
        self.data_mark = folder_mark(data_dir)

    def allow(self, host: str) -> None:
        """Let in requests to this name or URL from now on."""
        name = host_name(host)
        if name:
            self._allowed = self._allowed | {name}

    def admits_host(self, header: str) -> bool:
        """Whether a Host header names this page."""
        return self.is_local(header) or host_name(header) in self._allowed

    def is_local(self, header: str) -> bool:
        """Whether a Host header names this machine itself, rather than a public name for it."""
        name = host_name(header)
        if not self._bound or not name:
            return False
        if name in LOOPBACK_NAMES or name == self._bound:
            return True
        return self._bound in WILDCARD_HOSTS and name in own_names()

    def admits_origin(self, origin: str, host_header: str) -> bool:
        """Whether a page of `origin` may call us: it is our own page, or one under a name the user allowed.

        The port counts: another program on this machine is another origin.
        """
        try:
            source, own = urlsplit(origin), urlsplit(f"//{host_header}")
            same_port = source.port == own.port
        except ValueError:
            return False
        name, own_name = host_name(origin), host_name(host_header)
        same_machine = name == own_name or {name, own_name} <= LOOPBACK_NAMES
        return source.scheme in ("http", "https") and ((same_machine and same_port) or name in self._allowed)


class RequestGuard:
    """ASGI middleware: refuses what does not come from the page, and adds the security headers.

    421 for a foreign Host, 403 for a foreign Origin or a cross-site change, 413 for a body that is too large.
    Streams pass through as they come; only `http` is looked at.
    """

    def __init__(self, app: ASGIApp, policy: AccessPolicy) -> None:
        self.app = app
        self.policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        send = with_security_headers(send)
        limit = self._body_limit(scope)
        refused = self._refusal(scope["method"], headers, limit)
        if refused is not None:
            await drain(receive)
            await refusal(refused, headers)(scope, receive, send)
        elif scope["path"] == HEALTH_PATH and self.policy.is_local(headers["host"]):
            await health(scope, self.policy.data_mark)(scope, receive, send)
        else:
            body = LimitedBody(receive, send, limit)
            await body.run(self.app, scope, refusal(413, headers))

    def _body_limit(self, scope: Scope) -> int:
        is_upload = scope["path"].rstrip("/").endswith("/upload")
        return self.policy.max_body_bytes if is_upload else MAX_MESSAGE_BYTES

    def _refusal(self, method: str, headers: Headers, limit: int) -> int | None:
        """The status a request is refused with, or None."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self.policy.admits_host(hosts[0]):
            return 421
        if self._is_foreign(method, headers):
            return 403
        length = headers.get("content-length", "0")
        return 413 if length.isdecimal() and int(length) > limit else None

    def _is_foreign(self, method: str, headers: Headers) -> bool:
        """Whether another site's page is behind this request."""
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        changes = method in CHANGING_METHODS
        if changes and site == "cross-site":
            return True
        if origin == "null":
            # Under no-referrer a browser sends `null` for our own forms too, but calls them same-origin.
            return changes and site != "same-origin"
        return origin is not None and not self.policy.admits_origin(origin, headers["host"])


async def drain(receive: Receive) -> None:
    """Read a small body to its end, a large one not: a connection closed with bytes unread is reset, and the refusal
    may be lost on its way."""
    seen = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS):
            while seen < DRAIN_BYTES:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body"):
                    return
                seen += len(message.get("body", b""))


def refusal(status: int, headers: Headers) -> Response:
    """A sentence in the reader's language. The connection closes: what is left of the body is not read."""
    language = choose_language(headers.get("accept-language", ""))
    reason = {421: "host", 403: "origin", 413: "size"}[status]
    text = translate(language, f"access.{reason}")
    return PlainTextResponse(text, status, {"connection": "close", "content-language": language})


def with_security_headers(send: Send) -> Send:
    """`send`, with our headers on every response. A stricter policy of a response stays beside ours."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["x-content-type-options"] = "nosniff"
            # Not "no-referrer": under it a form of ours comes from the origin "null".
            headers["referrer-policy"] = "same-origin"
            headers.append("content-security-policy", CONTENT_SECURITY_POLICY)
        await send(message)

    return send_with_headers


class BodyTooLarge(Exception):
    """Stops an app that goes on reading; reaches the server only when the answer has begun already."""


class LimitedBody:
    """Counts a request's body while it streams in, and answers in the app's place once it is too large."""

    def __init__(self, receive: Receive, send: Send, limit_bytes: int) -> None:
        self._receive, self._send = receive, send
        self._left = limit_bytes
        self._started = False

    async def receive(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise BodyTooLarge
        return message

    async def send(self, message: Message) -> None:
        # An app may turn our exception into an answer of its own, such as "400 cannot parse": drop that.
        if self._left >= 0 or self._started:
            self._started = True
            await self._send(message)

    async def run(self, app: ASGIApp, scope: Scope, refused: Response) -> None:
        try:
            await app(scope, self.receive, self.send)
        except BodyTooLarge:
            if self._started:
                raise
        if self._left < 0 and not self._started:
            await drain(self._receive)
            await refused(scope, self._receive, self._send)


def generate_password() -> str:
    """24 characters in groups of six, without look-alikes (0 O 1 l I): about 118 bits."""
    alphabet = "abcdefghijkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(alphabet) for _ in range(6)) for _ in range(4))


class Login:
    """The passwords, and a brake on guessing them. `passwords`, by name, is looked at anew each time.

    Guesses take turns: two seconds between any two, and for one name a wait that doubles with each failure up
    to `longest_wait`. Who would have to wait longer than twice that is refused unseen, so none pile up.
    While someone guesses, the owner waits too: the price of not trusting addresses.
    """

    def __init__(
        self,
        passwords: Mapping[str, str],
        *,
        pause_seconds: float = 2.0,
        longest_wait_seconds: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._passwords = passwords
        self._pause, self._longest_wait = pause_seconds, longest_wait_seconds
        self._clock, self._sleep = clock, sleep
        self._next_turn = 0.0
        self._next_by_name: dict[str, float] = {}
        self._failures: dict[str, int] = {}

    async def check(self, username: str, password: str) -> bool:
        """Whether the pair is right; takes as long as the brake says."""
        name = username if username in self._passwords else ""  # unknown names share one record
        wait = self._take_turn(name)
        if wait > 2 * self._longest_wait:
            return False
        await self._sleep(wait)
        expected = self._passwords.get(username, "")
        same = hmac.compare_digest(_bytes(password), _bytes(expected))
        if not (same and expected):
            return False
        self._failures.pop(name, None)
        self._next_by_name.pop(name, None)
        return True

    def _take_turn(self, name: str) -> float:
        """Seconds until this guess may be looked at. Counted as a failure until it proves right."""
        now = self._clock()
        turn = max(now, self._next_turn, self._next_by_name.get(name, 0.0))
        if turn - now <= 2 * self._longest_wait:
            failures = self._failures.get(name, 0)
            self._failures[name] = failures + 1
            # The exponent stops growing long after the wait has: a float would overflow.
            self._next_by_name[name] = turn + min(self._pause * 2 ** min(failures, 16), self._longest_wait)
            self._next_turn = max(self._next_turn, now) + self._pause
        return turn - now


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
