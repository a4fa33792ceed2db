"""A script that comes before all others of a page, and leaves everything else as it was."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from ui.first_script import FirstScript

SCRIPT = "<script>'ñ'</script>"
PAGE = "<!doctype html><html><head><script>1</script></head><body>año <head></body></html>"


async def whole(request: Request) -> Response:
    return HTMLResponse(PAGE)


async def in_pieces(request: Request) -> Response:
    async def pieces() -> AsyncIterator[str]:
        for position in range(0, len(PAGE), 7):
            yield PAGE[position:position + 7]
    return StreamingResponse(pieces(), media_type="text/html")


async def text(request: Request) -> Response:
    return PlainTextResponse(PAGE)


@pytest.fixture
def visitor() -> TestClient:
    routes = [Route("/whole", whole, methods=["GET", "POST"]), Route("/pieces", in_pieces), Route("/text", text)]
    return TestClient(Starlette(routes=routes, middleware=[Middleware(FirstScript, html=SCRIPT)]))


@pytest.mark.parametrize("path", ["/whole", "/pieces"])
def test_the_script_comes_before_every_other_one_and_once(visitor: TestClient, path: str) -> None:
    answer = visitor.get(path)
    assert answer.text == PAGE.replace("<head>", "<head>" + SCRIPT, 1)
    assert int(answer.headers["content-length"]) == len(answer.content)


def test_what_is_no_page_stays_as_it_is(visitor: TestClient) -> None:
    assert visitor.get("/text").text == PAGE
    assert visitor.post("/whole").text == PAGE
    assert visitor.head("/whole").headers["content-length"] == str(len(PAGE.encode()))
