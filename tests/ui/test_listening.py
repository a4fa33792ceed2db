"""Addresses that come and go, and connections that bring nothing."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from ui import listening
from ui.listening import Listener, Listening

APP = Starlette(routes=[Route("/", lambda request: PlainTextResponse("page"))])


@pytest.fixture
def loop() -> Iterator[Listening]:
    with Listening() as running:
        yield running


def get(listener: Listener) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{listener.port}/", trust_env=False, timeout=5)


def connected(listener: Listener, sent: bytes = b"") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", listener.port), timeout=10)
    connection.sendall(sent)
    return connection


def test_a_second_address_comes_and_goes_while_the_first_stays(loop: Listening) -> None:
    first = loop.listen(APP, "127.0.0.1", 0, lifespan=True)
    second = loop.listen(APP, "127.0.0.1", 0, lifespan=False)
    assert (get(first).text, get(second).text) == ("page", "page")
    second.close()
    with pytest.raises(httpx.ConnectError):
        get(second)
    assert get(first).text == "page"
    first.close()


def test_a_taken_address_is_refused(loop: Listening) -> None:
    first = loop.listen(APP, "127.0.0.1", 0, lifespan=False)
    with pytest.raises(OSError, match=r"in use|permitted|denied"):
        loop.listen(APP, "127.0.0.1", first.port, lifespan=False)
    first.close()


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nhost: x\r\nslow: ",
                                  b"GET / HTTP/1.1\r\nhost: x\r\n\r\nGET "])
def test_a_connection_that_brings_no_whole_request_is_closed(
        loop: Listening, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(listening, "HEADER_SECONDS", 0.5)
    monkeypatch.setattr(listening, "KEEP_SECONDS", 1)
    listener = loop.listen(APP, "127.0.0.1", 0, lifespan=False)
    began = time.monotonic()
    with connected(listener, sent) as slow:
        while slow.recv(4096):
            pass
    assert time.monotonic() - began < 5
    listener.close()


def test_a_header_without_end_is_refused(loop: Listening) -> None:
    listener = loop.listen(APP, "127.0.0.1", 0, lifespan=False)
    with connected(listener, b"GET / HTTP/1.1\r\nhost: x\r\n") as greedy:
        answer = b""
        with contextlib.suppress(ConnectionError):
            for _ in range(40):
                greedy.sendall(b"x-more: " + b"y" * 8000 + b"\r\n")
            answer = greedy.recv(4096)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
    listener.close()


def test_500_idle_connections_on_one_address_leave_the_other_as_it_was(loop: Listening) -> None:
    owners = loop.listen(APP, "127.0.0.1", 0, lifespan=False)
    guests = loop.listen(APP, "127.0.0.1", 0, lifespan=False, most=300)
    with contextlib.ExitStack() as stack:
        for _ in range(500):
            last = stack.enter_context(connected(guests, b"GET / HTTP/1.1\r\n"))
        with contextlib.suppress(ConnectionError):
            assert last.recv(1) == b""
        with pytest.raises(httpx.TransportError):
            get(guests)
        began = time.monotonic()
        assert all(get(owners).status_code == 200 for _ in range(10))
        assert time.monotonic() - began < 10
    owners.close()
    guests.close()


def test_a_stream_without_end_ends_with_its_listener_and_is_no_fault(
        loop: Listening, caplog: pytest.LogCaptureFixture) -> None:
    async def ticks() -> AsyncIterator[str]:
        while True:
            yield "tick\n"
            await asyncio.sleep(0.05)

    app = Starlette(routes=[Route("/", lambda request: StreamingResponse(ticks()))])
    listener = loop.listen(app, "127.0.0.1", 0, lifespan=False)
    with httpx.stream("GET", f"http://127.0.0.1:{listener.port}/", trust_env=False) as answer:
        assert next(answer.iter_lines()) == "tick"
        began = time.monotonic()
        listener.close()
        assert time.monotonic() - began < 1.5
    assert not caplog.records
