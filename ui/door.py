"""The door in front of both pages: who comes in, to which of them, and to what in it.

The role comes from the session cookie alone, never from an address or a Host header: whoever comes through a tunnel
comes from this machine. The owner's page stands at `/`, the guests' at `/guest/`. Anything a guest is not plainly
allowed is refused. Knows no component of either page.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import parse_qs
from weakref import WeakKeyDictionary

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ui.guest_requests import GuestRequests, is_stream, small_body
from ui.i18n import LANGUAGE_COOKIE, LANGUAGES, choose_language, translate
from ui.login_page import login_page
from ui.visitors import VISITOR, Role, Visitor, Visitors

COOKIE = "taller_session"
LOGIN_PATH, LOGOUT_PATH, GUEST_PATH = "/taller/login", "/taller/logout", "/guest"
ICON_PATH = "/favicon.ico"  # the same for everyone, and browsers ask for it before a login
AT_ONCE = 8  # requests of one guest; the others wait, for over HTTP/2 a browser asks for all files of a page together
MOST_STREAMS = 16  # that one guest may hold open; a window of their page holds two
MAX_LOGIN_BYTES = 4096

Enter = Callable[[str, str], Awaitable[tuple[str, Visitor] | None]]


class Door:
    """ASGI app in front of `app`. A `trusting` door takes everyone for the owner: only for an address that nobody else
    can reach. `enter` begins the session that a name and password open, says its token, and takes its time. `https`
    says whether visitors come by HTTPS though no header does."""

    def __init__(self, app: ASGIApp, visitors: Visitors, enter: Enter, guests: GuestRequests, *,
                 trusting: bool, https: Callable[[], bool] = bool) -> None:
        self._app, self._visitors, self._enter, self._guests = app, visitors, enter, guests
        self._trusting, self._https = trusting, https
        self._turns: WeakKeyDictionary[Visitor, asyncio.Semaphore] = WeakKeyDictionary()
        self._streams: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        scope.pop(VISITOR, None)
        path = scope["path"]
        if self._trusting:
            away = path == GUEST_PATH or path.startswith((f"{GUEST_PATH}/", "/taller/"))
            await (see_other("/") if away else self._app)(scope, receive, send)
            return
        headers = Headers(scope=scope)
        visitor = self._visitors.of(cookies(headers).get(COOKIE, ""))
        if path == ICON_PATH and scope["method"] == "GET":
            await self._app(scope, receive, send)
        elif path == LOGIN_PATH:
            await self._log_in(scope, receive, send, headers)
        elif path == LOGOUT_PATH and scope["method"] == "POST":
            if visitor is not None:
                self._visitors.end([visitor])
            await see_other("/")(scope, receive, send)
        elif visitor is None:
            await stranger(scope["method"], path, headers)(scope, receive, send)
        else:
            await self._admit(visitor, scope, receive, send)

    async def _admit(self, visitor: Visitor, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a visitor do what their role may."""
        path = scope["path"]
        in_guests = path == GUEST_PATH or path.startswith(f"{GUEST_PATH}/")
        if visitor.role is Role.OWNER:
            await (see_other("/") if in_guests else self._app)(scope, receive, send)
        elif path in ("/", GUEST_PATH) and scope["method"] in ("GET", "HEAD"):
            await see_other(f"{GUEST_PATH}/")(scope, receive, send)
        elif not in_guests:
            await denied(Headers(scope=scope))(scope, receive, send)
        else:
            await self._admit_guest(visitor, scope, receive, send)

    async def _admit_guest(self, visitor: Visitor, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        checked = await self._guests.check(visitor, scope, receive)
        if checked is None or visitor.ended:  # a body may have taken its time
            await denied(headers)(scope, receive, send)
            return
        scope[VISITOR] = visitor
        if self._guests.busy(visitor, scope["path"]):
            await busy(headers)(scope, receive, send)
        elif is_stream(scope["path"]):
            await self._stream(visitor, scope, checked, send)
        else:
            async with self._turns.setdefault(visitor, asyncio.Semaphore(AT_ONCE)):
                await self._while_here(visitor, scope, checked, send)

    async def _stream(self, visitor: Visitor, scope: Scope, receive: Receive, send: Send) -> None:
        """An answer that goes on until someone ends it."""
        if self._streams[visitor.id] >= MOST_STREAMS:
            await busy(Headers(scope=scope))(scope, receive, send)
            return
        self._streams[visitor.id] += 1
        try:
            await self._while_here(visitor, scope, receive, send)
        finally:
            self._streams -= Counter((visitor.id,))  # leaves out who has none

    async def _while_here(self, visitor: Visitor, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and break off when the session ends."""
        loop, task = asyncio.get_running_loop(), asyncio.ensure_future(self._app(scope, receive, send))

        def leave() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(task.cancel)
        forget = visitor.while_here(leave)
        try:
            await task
        except asyncio.CancelledError:
            if not visitor.ended:
                raise
            with contextlib.suppress(RuntimeError):  # it is finished already
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            task.cancel()
            forget()

    async def _log_in(self, scope: Scope, receive: Receive, send: Send, headers: Headers) -> None:
        if scope["method"] != "POST":
            await page(headers)(scope, receive, send)
            return
        given = await form(receive)
        entered = None
        if given.get("name") and given.get("password"):
            entered = await self._enter(given["name"].strip().lower(), given["password"].strip())
        if entered is None:
            await page(headers, wrong=True)(scope, receive, send)
            return
        token, visitor = entered
        response = see_other("/" if visitor.role is Role.OWNER else f"{GUEST_PATH}/")
        response.set_cookie(COOKIE, token, max_age=max(1, int(visitor.ends_at - time.time())), httponly=True,
                            samesite="lax",
                            secure=self._https() or headers.get("x-forwarded-proto", "") == "https")
        await response(scope, receive, send)


def cookies(headers: Headers) -> Mapping[str, str]:
    """The cookies of a request, beside whatever other programs of the same machine left there: ports share them."""
    return cookie_parser(headers.get("cookie", ""))


def language(headers: Headers) -> str:
    chosen = cookies(headers).get(LANGUAGE_COOKIE, "")
    return chosen if chosen in LANGUAGES else choose_language(headers.get("accept-language", ""))


def said(headers: Headers, key: str) -> str:
    return translate(language(headers), key)


def page(headers: Headers, *, wrong: bool = False) -> Response:
    """The login page. It says nothing of what is behind it."""
    html = login_page(language(headers), wrong=wrong)
    return HTMLResponse(html, 401 if wrong else 200, {"cache-control": "no-store"})


def stranger(method: str, path: str, headers: Headers) -> Response:
    """What someone without a session gets."""
    if method == "GET" and path in ("/", GUEST_PATH, f"{GUEST_PATH}/"):
        return page(headers)
    return PlainTextResponse(said(headers, "access.login"), 401, {"cache-control": "no-store"})


def denied(headers: Headers) -> Response:
    return PlainTextResponse(said(headers, "access.denied"), 403, {"cache-control": "no-store"})


def busy(headers: Headers) -> Response:
    return PlainTextResponse(said(headers, "access.busy"), 429, {"cache-control": "no-store"})


def see_other(place: str) -> Response:
    return RedirectResponse(place, 303, {"cache-control": "no-store"})


async def form(receive: Receive) -> dict[str, str]:
    """The fields of a small form; empty when it is too large, too slow or not to be read."""
    body = await small_body(receive, MAX_LOGIN_BYTES)
    with contextlib.suppress(UnicodeDecodeError, ValueError):
        fields = parse_qs((body or b"").decode("utf-8"), max_num_fields=8)
        return {name: values[0] for name, values in fields.items()}
    return {}
