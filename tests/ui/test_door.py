"""Who gets through the door, and to what, over real HTTP in front of an app that says what reached it."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from ui.door import AT_ONCE, COOKIE, LOGIN_PATH, LOGOUT_PATH, MOST_STREAMS, Door, Enter
from ui.guest_requests import WINDOWS, GuestRequests
from ui.i18n import translate
from ui.listening import Listening
from ui.visitors import VISITOR, Role, Visitor, Visitors

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
WINDOW = "abcdefgh123"


async def told(request: Request) -> Response:
    visitor = request.scope.get(VISITOR)
    body = (await request.body()).decode("utf-8", "replace")
    return JSONResponse({"path": request.url.path, "visitor": visitor.id if visitor else None, "body": body})


async def endless(request: Request) -> Response:
    async def ticks() -> AsyncIterator[str]:
        while True:
            yield "data: tick\n\n"
            await asyncio.sleep(0.05)

    return StreamingResponse(ticks(), media_type="text/event-stream")


class Windows:
    """Those of the guests' page, without one: busy when it is said, and which were forgotten."""

    def __init__(self) -> None:
        self.busy, self.forgotten = False, list[str]()

    def are_busy(self, windows: Iterable[str]) -> bool:
        return self.busy and bool(list(windows))

    async def forget(self, window: str) -> None:
        self.forgotten.append(window)


class Slow:
    """Takes its time, and says how many it did so for together."""

    def __init__(self) -> None:
        self._at_once = 0

    async def answer(self, request: Request) -> Response:
        self._at_once += 1
        most = self._at_once
        await asyncio.sleep(0.02)
        self._at_once -= 1
        return JSONResponse({"at_once": most})


def entering(visitors: Visitors) -> Enter:
    async def enter(name: str, password: str) -> tuple[str, Visitor] | None:
        known = {("taller", "owners"): (Role.OWNER, "taller"), ("guest", "guests"): (Role.GUEST, "1")}
        found = known.get((name, password))
        return visitors.begin(*found, time.time() + 60) if found else None
    return enter


Client = Callable[..., httpx.Client]


@pytest.fixture(scope="module")
def visitors() -> Visitors:
    return Visitors()


@pytest.fixture(scope="module")
def windows() -> Windows:
    return Windows()


@pytest.fixture(scope="module")
def address(visitors: Visitors, windows: Windows) -> Iterator[Callable[[bool], str]]:
    app = Starlette(routes=[
        Route("/guest/gradio_api/queue/data", endless),
        Route("/guest/assets/slow.js", Slow().answer),
        Route("/{path:path}", told, methods=list(METHODS))])
    with Listening() as listening:
        ports = {trusting: listening.listen(Door(app, visitors, entering(visitors), GuestRequests(windows),
                                                 trusting=trusting), "127.0.0.1", 0, lifespan=False)
                 for trusting in (True, False)}
        yield lambda trusting: f"http://127.0.0.1:{ports[trusting].port}"
        for listener in ports.values():
            listener.close()


@pytest.fixture
def client(address: Callable[[bool], str]) -> Iterator[Client]:
    """Opens clients: of nobody, or logged in with a password."""
    opened: list[httpx.Client] = []

    def open_one(name: str = "", password: str = "", *, trusting: bool = False) -> httpx.Client:
        one = httpx.Client(base_url=address(trusting), trust_env=False, headers={"accept-language": "en"}, timeout=10)
        opened.append(one)
        if name:
            assert one.post(LOGIN_PATH, data={"name": name, "password": password}).status_code == 303
        return one
    yield open_one
    for one in opened:
        one.close()


PLACES = ("/", "/config", "/gradio_api/queue/join", "/gradio_api/upload", "/gradio_api/file=/etc/passwd",
          "/guest/config", "/guest/gradio_api/queue/join", "/guest/gradio_api/upload", "/anything")


def test_nobody_reaches_anything_but_the_login(client: Client) -> None:
    nobody = client()
    for path in PLACES:
        for method in METHODS:
            answer = nobody.request(method, path)
            if (method, path) == ("GET", "/"):
                assert answer.status_code == 200 and "<form" in answer.text
            else:
                assert answer.status_code == 401, (method, path)
            assert "visitor" not in answer.text


def test_an_owner_reaches_everything_of_their_page(client: Client) -> None:
    owner = client("taller", "owners")
    for path in ("/", "/config", "/gradio_api/queue/join", "/gradio_api/upload", "/anything"):
        for method in METHODS:
            assert owner.request(method, path).json() == {"path": path, "visitor": None, "body": ""}


def test_a_guest_is_led_to_their_page_and_refused_everything_of_the_owners(client: Client) -> None:
    guest = client("guest", "guests")
    assert guest.get("/").headers["location"] == "/guest/"
    assert guest.get("/guest/").json()["visitor"]
    for path in PLACES[1:]:
        for method in METHODS:
            if (method, path) != ("GET", "/guest/config"):
                assert guest.request(method, path).status_code == 403, (method, path)


@pytest.mark.parametrize("path", [
    "/guest", "/guest/../config", "/guest/%2e%2e/config", "/guest/..%2fconfig", "/guest//../config", "//config",
    "/guest/assets/../../config", "/guest/assets/%2e%2e/%2e%2e/config", "/GUEST/config", "/guest/gradio_api/info",
    "/guest/gradio_api/file=/etc/passwd", "/guest/gradio_api/call/ask", "/guest/gradio_api/run/predict",
    "/guest/login", "/guest/logout", "/guest/monitoring", "/guest/gradio_api/startup-events/../upload"])
def test_no_spelling_of_a_path_leads_a_guest_out_of_their_page(client: Client, path: str) -> None:
    guest = client("guest", "guests")
    raw = http.client.HTTPConnection("127.0.0.1", guest.base_url.port or 0, timeout=10)  # sends a path as it is
    with contextlib.closing(raw):
        raw.request("GET", path, headers={"cookie": f"{COOKIE}={guest.cookies[COOKIE]}"})
        answer = raw.getresponse()
        assert answer.status in (303, 403)
        assert b"visitor" not in answer.read()


def test_a_header_gives_nobody_a_role(client: Client) -> None:
    nobody = client()
    for name in ("x-forwarded-for", "x-real-ip", "x-forwarded-host", "x-forwarded-user", "remote-user", VISITOR,
                 "authorization"):
        assert nobody.get("/config", headers={name: "127.0.0.1"}).status_code == 401
    for cookie in ("", "x", f"{COOKIE}=", f"{COOKIE}=owner", f"{COOKIE}=\"\"; {COOKIE}=taller", "a" * 4000, "=;=;\x01"):
        assert nobody.get("/config", headers={"cookie": cookie}).status_code == 401


def test_a_trusting_door_takes_everyone_for_the_owner_and_has_no_guests_page(client: Client) -> None:
    here = client(trusting=True)
    assert here.get("/config").json() == {"path": "/config", "visitor": None, "body": ""}
    assert here.get("/guest/config").headers["location"] == "/"
    assert here.post(LOGIN_PATH, data={"name": "guest", "password": "guests"}).headers["location"] == "/"


def test_a_wrong_password_gives_the_form_again_in_the_readers_language(client: Client) -> None:
    nobody = client()
    answer = nobody.post(LOGIN_PATH, data={"name": "taller", "password": "guests"}, headers={"accept-language": "es"})
    assert answer.status_code == 401 and COOKIE not in answer.cookies
    assert translate("es", "login.wrong") in answer.text and 'lang="es"' in answer.text


@pytest.mark.parametrize("body", [
    b"", b"name=taller", b"name=&password=", b"\xff\xfe", b"name=taller&password=" + b"x" * 5000,
    b"&".join(b"a=b" for _ in range(500)), b'{"name": "taller", "password": "owners"}'])
def test_a_form_that_cannot_be_read_lets_nobody_in(client: Client, body: bytes) -> None:
    answer = client().post(LOGIN_PATH, content=body)
    assert answer.status_code == 401 and COOKIE not in answer.cookies


def test_the_login_page_says_nothing_of_what_is_behind_it(client: Client) -> None:
    page = client().get("/").text.lower()
    assert not [word for word in ("gradio", "uvicorn", "version", "endpoint", "<script", "document") if word in page]


def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites_and_secure_behind_https(client: Client) -> None:
    data = {"name": "guest", "password": "guests"}
    plain = client().post(LOGIN_PATH, data=data).headers["set-cookie"]
    assert "HttpOnly" in plain and "SameSite=lax" in plain and "Secure" not in plain
    behind = client().post(LOGIN_PATH, data=data, headers={"x-forwarded-proto": "https"}).headers["set-cookie"]
    assert "Secure" in behind


def test_the_cookie_is_secure_where_visitors_come_by_https_though_no_header_says_so(
        visitors: Visitors, windows: Windows) -> None:
    door = Door(Starlette(), visitors, entering(visitors), GuestRequests(windows), trusting=False, https=lambda: True)

    async def log_in() -> str:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(door), base_url="http://there") as browser:
            answer = await browser.post(LOGIN_PATH, data={"name": "guest", "password": "guests"})
        return answer.headers["set-cookie"]
    assert "Secure" in asyncio.run(log_in())


def test_the_cookies_of_other_programs_keep_nobody_out(client: Client) -> None:
    owner = client("taller", "owners")
    beside = f'theirs={{"a": [1, "b"]}}; {COOKIE}={owner.cookies[COOKIE]}; {{}}'
    assert httpx.get(f"{owner.base_url}/config", headers={"cookie": beside}, trust_env=False).status_code == 200


def test_logging_out_ends_the_session(client: Client) -> None:
    guest = client("guest", "guests")
    before = dict(guest.cookies)
    assert guest.get(LOGOUT_PATH).status_code == 403  # a link from elsewhere logs nobody out
    assert guest.post(LOGOUT_PATH).status_code == 303
    again = client()
    again.cookies.update(before)
    assert again.get("/guest/").text.startswith("<!doctype")


def test_a_stream_breaks_off_when_its_guests_session_is_ended(client: Client, visitors: Visitors) -> None:
    guest = client("guest", "guests")
    visitor_id = guest.get("/guest/").json()["visitor"]
    began = time.monotonic()
    with guest.stream("GET", "/guest/gradio_api/queue/data", params={"session_hash": WINDOW}) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "data: tick"
        visitors.end([one for one in visitors.of_role(Role.GUEST) if one.id == visitor_id])
        assert len(list(lines)) < 200
    assert time.monotonic() - began < 5
    assert guest.get("/guest/config").status_code == 401


def test_an_event_whose_body_ends_after_its_guests_session_does_not_reach_the_page(
        client: Client, visitors: Visitors) -> None:
    guest = client("guest", "guests")
    visitor_id = guest.get("/guest/").json()["visitor"]
    body = json.dumps({"data": [], "fn_index": 0, "session_hash": WINDOW + "b"}).encode("ascii")
    with contextlib.closing(http.client.HTTPConnection(guest.base_url.host, guest.base_url.port, timeout=10)) as slow:
        slow.putrequest("POST", "/guest/gradio_api/queue/join")
        slow.putheader("cookie", f"{COOKIE}={guest.cookies[COOKIE]}")
        slow.putheader("content-length", str(len(body)))
        slow.endheaders(body[:5])
        time.sleep(0.2)
        visitors.end([one for one in visitors.of_role(Role.GUEST) if one.id == visitor_id])
        slow.send(body[5:])
        assert slow.getresponse().status == 403


def test_an_event_reaches_the_page_written_anew_without_what_is_not_gradios(client: Client) -> None:
    guest = client("guest", "guests")
    sent = {"data": ["¿qué?"], "fn_index": 2, "session_hash": WINDOW + "a", "simple_format": True, "batched": True}
    got = guest.post("/guest/gradio_api/queue/join", content=json.dumps(sent), headers={"content-type": "text/plain"})
    assert json.loads(got.json()["body"]) == {"data": ["¿qué?"], "fn_index": 2, "session_hash": WINDOW + "a"}


@pytest.mark.parametrize("body", [
    b"", b"[]", b"null", b"{", b'{"fn_index": 1}', b'{"session_hash": 5, "fn_index": 1}', b'{"session_hash": "short"}',
    b'{"session_hash": "abcdefgh999", "fn_index": "1"}', b'{"session_hash": "../../etc/x", "fn_index": 1}',
    b'{"session_hash": "abcdefgh998", "data": "' + b"x" * 70_000 + b'"}', b"[" * 30_000, b"\xff" * 10,
    b'{"session_hash": "abcdefgh997", "fn_index": 1, "data": [{"text": "half of a pair: \\ud800"}]}',
    b'{"session_hash": "abcdefgh996", "fn_index": 1, "data": [[{"path": "http://203.0.113.9/x", "meta": {}}]]}'])
def test_an_event_that_is_not_plainly_one_is_refused(client: Client, body: bytes) -> None:
    assert client("guest", "guests").post("/guest/gradio_api/queue/join", content=body).status_code == 403


def test_a_window_belongs_to_the_guest_who_named_it_first(client: Client) -> None:
    first, second = client("guest", "guests"), client("guest", "guests")
    window = "window0of0first"
    event = {"data": [], "fn_index": 0, "session_hash": window}
    assert first.post("/guest/gradio_api/queue/join", json=event).status_code == 200
    assert second.post("/guest/gradio_api/queue/join", json=event).status_code == 403
    assert second.post("/guest/gradio_api/cancel", json=event).status_code == 403
    stolen = second.get("/guest/gradio_api/queue/data", params={"session_hash": window})
    assert stolen.status_code == 403
    assert second.get(f"/guest/gradio_api/heartbeat/{window}").status_code == 403
    assert first.post("/guest/gradio_api/queue/join", json=event).status_code == 200


def test_a_guests_windows_are_forgotten_when_they_are_too_many_or_the_guest_is_gone(
        client: Client, windows: Windows) -> None:
    first, second = client("guest", "guests"), client("guest", "guests")
    named = [f"many{number:08d}" for number in range(WINDOWS + 1)]
    for window in named:
        assert first.post("/guest/gradio_api/reset", json={"session_hash": window}).status_code == 200
    assert windows.forgotten[-1] == named[0]
    first.post(LOGOUT_PATH)
    assert second.post("/guest/gradio_api/reset", json={"session_hash": "another00001"}).status_code == 200
    assert set(named) <= set(windows.forgotten)


def test_a_guest_who_has_much_under_way_can_stop_it_but_not_begin_more(client: Client, windows: Windows) -> None:
    guest = client("guest", "guests")
    event = {"data": [], "fn_index": 0, "session_hash": "much00000001"}
    windows.busy = True
    try:
        assert guest.post("/guest/gradio_api/queue/join", json=event).status_code == 429
        assert guest.post("/guest/gradio_api/cancel", json=event).status_code == 200
    finally:
        windows.busy = False
    assert guest.post("/guest/gradio_api/queue/join", json=event).status_code == 200


def test_one_guest_holds_no_more_than_a_few_streams_at_once(client: Client) -> None:
    guest, other = client("guest", "guests"), client("guest", "guests")
    one_more = {"session_hash": "onemore00001"}

    def status() -> int:
        with guest.stream("GET", "/guest/gradio_api/queue/data", params=one_more) as answer:
            return answer.status_code
    with streams(guest, MOST_STREAMS):
        assert status() == 429
        assert guest.get("/guest/config").status_code == other.get("/guest/config").status_code == 200
    give_up = time.monotonic() + 5
    while status() == 429 and time.monotonic() < give_up:
        time.sleep(0.05)
    assert status() == 200


def test_a_guests_requests_wait_for_each_other_and_none_is_lost(client: Client) -> None:
    async def all_at_once(url: str, cookie: str) -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=20, cookies={COOKIE: cookie},
                                     limits=httpx.Limits(max_connections=100)) as browser:
            return await asyncio.gather(*[browser.get("/guest/assets/slow.js") for _ in range(10 * AT_ONCE)])
    guest = client("guest", "guests")
    answers = asyncio.run(all_at_once(str(guest.base_url), guest.cookies[COOKIE]))
    assert {answer.status_code for answer in answers} == {200}
    assert max(answer.json()["at_once"] for answer in answers) == AT_ONCE


@contextlib.contextmanager
def streams(guest: httpx.Client, count: int) -> Iterator[None]:
    """So many open streams of one guest."""
    with contextlib.ExitStack() as stack:
        for number in range(count):
            answer = stack.enter_context(guest.stream("GET", "/guest/gradio_api/queue/data",
                                                      params={"session_hash": f"stream{number:05d}"}))
            assert answer.status_code == 200
        yield
