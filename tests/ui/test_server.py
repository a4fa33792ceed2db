"""Ports, the announcement of a running page, and the guard inside a real gradio page."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.middleware import Middleware

from core.errors import AppError
from ui.access import AccessPolicy, Login, RequestGuard
from ui.server import announce_page, free_port, running_page


def test_a_taken_port_gives_the_next_free_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        wanted = taken.getsockname()[1]
        for host in ("127.0.0.1", "localhost", "0.0.0.0"):  # noqa: S104
            assert wanted < free_port(host, wanted) < wanted + 20
    assert free_port("127.0.0.1", wanted) == wanted


def test_no_port_to_listen_on_is_said_in_words() -> None:
    with pytest.raises(AppError) as error:
        free_port("192.0.2.1", 65530)  # an address no machine has
    assert (error.value.code, error.value.values) == ("no_free_port", {"first": 65530, "last": 65535})


@pytest.mark.parametrize("content", ["", "[]", "{}", "null", '{"url": 3}', '{"url": "http://127.0.0.1:1"}',
                                     '{"url": "http://[oops"}', '{"url": "http://127.0.0.1:99999"}'])
def test_a_stale_or_broken_announcement_is_ignored(tmp_path: Path, content: str) -> None:
    assert running_page(tmp_path) is None
    (tmp_path / "server.json").write_text(content, encoding="utf-8")
    assert running_page(tmp_path) is None


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def page(data_dir: Path) -> Iterator[str]:
    """A minimal gradio page with the guard and the login; gives its address."""
    import gradio as gr

    policy = AccessPolicy("127.0.0.1", data_dir=data_dir, max_body_bytes=1000)
    with gr.Blocks() as demo:
        gr.Textbox(label="Question")
    demo.launch(
        server_name="127.0.0.1", server_port=free_port("127.0.0.1", 17860),
        prevent_thread_lock=True, quiet=True, inbrowser=False, ssr_mode=False,
        auth=Login({"taller": "right"}, pause_seconds=0.01).check,
        app_kwargs={
            "middleware": [Middleware(RequestGuard, policy=policy)],
            "docs_url": None, "redoc_url": None, "openapi_url": None,
        },
    )
    yield demo.local_url.rstrip("/")
    demo.close()


@pytest.fixture
def visitor(page: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=page, trust_env=False) as client:
        yield client


def log_in(visitor: httpx.Client, password: str) -> httpx.Response:
    pair = {"username": "taller", "password": password}
    return visitor.post("/login", data=pair, headers={"origin": str(visitor.base_url).rstrip("/")})


def test_a_gradio_page_loads_behind_the_guard(visitor: httpx.Client) -> None:
    answer = visitor.get("/")
    assert answer.status_code == 200
    assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]


def test_a_gradio_page_refuses_foreign_hosts_and_origins_and_hides_its_docs(visitor: httpx.Client) -> None:
    assert visitor.get("/", headers={"host": "evil.example"}).status_code == 421
    assert visitor.get("/", headers={"origin": "https://evil.example"}).status_code == 403
    files = {"files": ("a.txt", b"x")}
    upload = visitor.post("/gradio_api/upload", files=files, headers={"sec-fetch-site": "cross-site"})
    assert upload.status_code == 403
    assert {visitor.get(path).status_code for path in ("/docs", "/redoc", "/openapi.json")} == {404}


def test_gradio_awaits_the_login_and_lets_only_the_right_password_in(visitor: httpx.Client) -> None:
    assert log_in(visitor, "wrong").status_code == 400
    assert visitor.get("/config").status_code == 401
    assert log_in(visitor, "right").status_code == 200
    assert visitor.get("/config").status_code == 200


def test_a_gradio_upload_over_the_limit_is_refused(visitor: httpx.Client) -> None:
    log_in(visitor, "right")
    assert visitor.post("/gradio_api/upload", files={"files": ("a.txt", b"x" * 500)}).status_code == 200
    assert visitor.post("/gradio_api/upload", files={"files": ("a.txt", b"x" * 1500)}).status_code == 413


def test_a_second_start_finds_the_page_of_its_own_data_folder_only(
    page: str, data_dir: Path, tmp_path: Path
) -> None:
    announce_page(data_dir, page + "/")
    assert running_page(data_dir) == page
    (tmp_path / "server.json").write_text(json.dumps({"url": page, "pid": 1}), encoding="utf-8")
    assert running_page(tmp_path) is None
