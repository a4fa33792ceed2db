"""The guard in front of real servers, and the login with a clock of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from ui.access import (
    CONTENT_SECURITY_POLICY,
    AccessPolicy,
    Login,
    RequestGuard,
    generate_password,
    host_name,
    is_loopback,
    own_names,
)
from ui.server import folder_mark

UPLOAD_LIMIT = 2000


async def echo_size(request: Request) -> Response:
    try:
        return PlainTextResponse(str(len(await request.body())))
    except Exception:  # as gradio and FastAPI do with a body they cannot read
        return PlainTextResponse("cannot parse", 400)


async def tick(request: Request) -> Response:
    released: asyncio.Event = request.app.state.released

    async def events() -> AsyncIterator[str]:
        yield "data: first\n\n"
        await asyncio.wait_for(released.wait(), 5)
        yield "data: second\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


async def release(request: Request) -> Response:
    request.app.state.released.set()
    return PlainTextResponse("released")


def small_app(policy: AccessPolicy) -> Starlette:
    app = Starlette(
        routes=[
            Route("/", lambda request: PlainTextResponse("page")),
            Route("/upload", echo_size, methods=["POST"]),
            Route("/change", echo_size, methods=["POST", "PUT", "DELETE"]),
            Route("/stream", tick),
            Route("/release", release),
        ],
        middleware=[Middleware(RequestGuard, policy=policy)],
    )
    app.state.released = asyncio.Event()
    return app


@contextlib.contextmanager
def served(app: Starlette) -> Iterator[str]:
    """The app behind a real uvicorn; gives its address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=5)


@pytest.fixture
def policy(tmp_path: Path) -> AccessPolicy:
    return AccessPolicy("127.0.0.1", data_dir=tmp_path, max_body_bytes=UPLOAD_LIMIT)


@pytest.fixture
def client(policy: AccessPolicy) -> Iterator[httpx.Client]:
    with (
        served(small_app(policy)) as url,
        httpx.Client(base_url=url, trust_env=False, headers={"accept-language": "en"}) as client,
    ):
        yield client


def own_origin(client: httpx.Client) -> str:
    return str(client.base_url).rstrip("/")


def test_the_page_loads_with_the_security_headers(client: httpx.Client) -> None:
    answer = client.get("/")
    assert (answer.status_code, answer.text) == (200, "page")
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"


def test_not_found_and_refused_answers_carry_the_headers_too(client: httpx.Client) -> None:
    for answer in (client.get("/missing"), client.get("/", headers={"host": "evil.example"})):
        assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("host", [
    "evil.example", "evil.example:7860", "127.0.0.1.evil.example", "localhost@evil.example", "203.0.113.7",
    "", "[::1",
])
def test_a_foreign_host_is_refused(client: httpx.Client, host: str) -> None:
    assert client.get("/", headers={"host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:9999", "[::1]:7860", "localhost."])
def test_loopback_names_are_admitted_with_any_port(client: httpx.Client, host: str) -> None:
    assert client.get("/", headers={"host": host}).status_code == 200


def test_a_refusal_speaks_the_readers_language(client: httpx.Client) -> None:
    answer = client.get("/", headers={"host": "evil.example", "accept-language": "es-MX,en;q=0.5"})
    assert "dirección" in answer.text
    assert "address" in client.get("/", headers={"host": "evil.example"}).text


def test_a_share_host_can_be_added_while_the_page_runs(client: httpx.Client, policy: AccessPolicy) -> None:
    headers = {"host": "abc.gradio.live", "origin": "https://abc.gradio.live"}
    assert client.post("/change", headers=headers).status_code == 421
    policy.allow("https://abc.gradio.live")
    assert client.post("/change", headers=headers).status_code == 200


def test_an_allowed_name_in_front_of_a_proxy_may_be_the_origin(tmp_path: Path) -> None:
    names = ["docs.example.org"]
    policy = AccessPolicy("127.0.0.1", data_dir=tmp_path, max_body_bytes=1, allowed_hosts=names)
    assert policy.admits_host("docs.example.org")
    assert policy.admits_origin("https://docs.example.org", "127.0.0.1:7860")
    assert not policy.admits_origin("https://example.org", "127.0.0.1:7860")


def test_the_pages_own_origin_may_change_things(client: httpx.Client) -> None:
    own = own_origin(client)
    for origin in (own, own.replace("127.0.0.1", "localhost")):
        headers = {"origin": origin, "sec-fetch-site": "same-origin"}
        answer = client.post("/change", content=b"abc", headers=headers)
        assert (answer.status_code, answer.text) == (200, "3")


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:1", "http://localhost:3000",
                                    "file://127.0.0.1", "http://127.0.0.1:port"])
def test_a_foreign_origin_is_refused(client: httpx.Client, origin: str) -> None:
    assert client.post("/change", headers={"origin": origin}).status_code == 403
    assert client.get("/", headers={"origin": origin}).status_code == 403


def test_a_null_origin_changes_nothing_unless_the_browser_calls_it_our_own(client: httpx.Client) -> None:
    null = {"origin": "null"}
    assert client.post("/change", headers=null).status_code == 403
    assert client.post("/change", headers={**null, "sec-fetch-site": "cross-site"}).status_code == 403
    assert client.post("/change", headers={**null, "sec-fetch-site": "same-origin"}).status_code == 200
    assert client.get("/", headers=null).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_cross_site_change_is_refused(client: httpx.Client, method: str) -> None:
    assert client.request(method, "/change", headers={"sec-fetch-site": "cross-site"}).status_code == 403


def test_a_link_from_another_site_opens_the_page(client: httpx.Client) -> None:
    assert client.get("/", headers={"sec-fetch-site": "cross-site"}).status_code == 200


def test_an_upload_up_to_the_limit_passes_and_one_byte_more_does_not(client: httpx.Client) -> None:
    assert client.post("/upload", content=b"x" * UPLOAD_LIMIT).text == str(UPLOAD_LIMIT)
    assert client.post("/upload", content=b"x" * (UPLOAD_LIMIT + 1)).status_code == 413


def test_a_body_without_a_length_is_counted_while_it_streams(client: httpx.Client) -> None:
    def body(pieces: int) -> Iterator[bytes]:
        for _ in range(pieces):
            yield b"x" * 500

    assert client.post("/upload", content=body(4)).text == "2000"
    refused = client.post("/upload", content=body(5))
    assert refused.status_code == 413
    assert "limit" in refused.text


def test_only_an_upload_may_be_large(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.access.MAX_MESSAGE_BYTES", 10)
    assert client.post("/change", content=b"x" * 11).status_code == 413
    assert client.post("/upload", content=b"x" * 11).status_code == 200


def test_a_stream_arrives_piece_by_piece(client: httpx.Client) -> None:
    with client.stream("GET", "/stream") as answer:
        pieces = answer.iter_text()
        assert next(pieces) == "data: first\n\n"  # the second is held back until we ask for it
        assert httpx.get(own_origin(client) + "/release", trust_env=False).text == "released"
        assert "".join(pieces) == "data: second\n\n"


def test_scopes_other_than_http_are_left_alone(policy: AccessPolicy) -> None:
    seen: list[object] = []

    async def app(scope: object, receive: object, send: object) -> None:
        seen.extend([scope, receive, send])

    async def nothing(message: object = None) -> dict[str, object]:
        return {}

    for kind in ("websocket", "lifespan"):
        scope = {"type": kind}
        asyncio.run(RequestGuard(app, policy)(scope, nothing, nothing))  # type: ignore[arg-type]
        assert seen == [scope, nothing, nothing]
        seen.clear()


def test_health_names_the_data_folder_to_this_machine_only(
    client: httpx.Client, policy: AccessPolicy, tmp_path: Path
) -> None:
    assert client.get("/taller/health").json() == {"app": "taller", "data": folder_mark(tmp_path)}
    policy.allow("abc.gradio.live")
    assert client.get("/taller/health", headers={"host": "abc.gradio.live"}).status_code == 404


def test_a_page_on_every_address_answers_to_the_machines_own_names(tmp_path: Path) -> None:
    everywhere = AccessPolicy("0.0.0.0", data_dir=tmp_path, max_body_bytes=1)  # noqa: S104
    only_here = AccessPolicy("127.0.0.1", data_dir=tmp_path, max_body_bytes=1)
    assert socket.gethostname().lower() in own_names()
    assert everywhere.admits_host(f"{socket.gethostname()}:7860")
    assert not only_here.admits_host(f"{socket.gethostname()}:7860")
    assert not everywhere.admits_host("evil.example")
    assert AccessPolicy("192.0.2.5", data_dir=tmp_path, max_body_bytes=1).admits_host("192.0.2.5:7860")


def test_a_host_name_is_read_from_headers_origins_and_urls() -> None:
    assert host_name("[::1]:7860") == host_name("::1") == host_name("http://[::1]:7860/") == "::1"
    assert host_name("Taller.Local:80") == "taller.local"
    assert host_name("https://abc.gradio.live/x?y") == "abc.gradio.live"
    assert host_name("") == host_name("[") == ""


def test_an_address_of_this_machine_alone_is_told_from_others() -> None:
    here = ("127.0.0.1", "localhost", "::1", "[::1]", "127.0.0.2")
    elsewhere = ("0.0.0.0", "::", "192.168.1.5", "my-laptop")  # noqa: S104
    assert all(is_loopback(host) for host in here)
    assert not any(is_loopback(host) for host in elsewhere)


def test_passwords_are_long_different_and_without_look_alikes() -> None:
    passwords = {generate_password() for _ in range(200)}
    assert len(passwords) == 200
    assert all(len(password) >= 20 for password in passwords)
    assert not set("".join(passwords)) & set("01lIoO")


class Clock:
    """Time that passes only while someone sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


def make_login(clock: Clock) -> Login:
    return Login({"taller": "contraseña-ñ"}, clock=lambda: clock.now, sleep=clock.sleep)


def test_the_right_password_enters_at_once_and_a_wrong_one_never() -> None:
    clock = Clock()
    login = make_login(clock)
    assert asyncio.run(login.check("taller", "contraseña-ñ"))
    assert clock.waits == [0]
    for name, password in (("taller", "x"), ("taller", ""), ("", ""), ("otro", ""), ("otro", "contraseña-ñ")):
        assert not asyncio.run(login.check(name, password))


def test_each_failure_doubles_the_wait_up_to_a_bound_and_success_resets_it() -> None:
    clock = Clock()
    login = make_login(clock)
    for _ in range(7):
        asyncio.run(login.check("taller", "wrong"))
    assert clock.waits == [0, 2, 4, 8, 16, 30, 30]
    assert asyncio.run(login.check("taller", "contraseña-ñ"))
    asyncio.run(login.check("taller", "wrong"))
    asyncio.run(login.check("taller", "wrong"))
    assert clock.waits[-1] == 2


def test_guesses_for_other_names_hold_the_owner_up_by_two_seconds_at_most() -> None:
    clock = Clock()
    login = make_login(clock)
    for number in range(20):
        asyncio.run(login.check(f"name{number}", "x"))
    clock.waits.clear()
    assert asyncio.run(login.check("taller", "contraseña-ñ"))
    assert clock.waits[0] <= 2


def test_guesses_sent_together_take_turns_and_the_surplus_is_refused_unseen() -> None:
    clock = Clock()
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    login = Login({"taller": "right"}, clock=lambda: clock.now, sleep=sleep)

    async def guess_all() -> list[bool]:
        wrong = [login.check("taller", f"wrong{number}") for number in range(50)]
        return await asyncio.gather(*wrong, login.check("taller", "right"))

    assert not any(asyncio.run(guess_all()))
    assert waits == [0, 2, 6, 14, 30, 60]
