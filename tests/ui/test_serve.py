"""The page's life as a process: one a folder, a port that is free, a terminal beside it, and an end that ends all."""

from __future__ import annotations

import http.client
import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from core.documents.store import Store
from tests.ollama_server import OllamaServer
from tests.running_app import RunningApp, alive, run_app, wait_for
from ui.i18n import translate

SPANISH = "es_ES.UTF-8"


@pytest.fixture(scope="module")
def ollama() -> Iterator[OllamaServer]:
    with OllamaServer(models={"gpt-oss:20b": {}}) as server:
        yield server


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, ollama: OllamaServer) -> Iterator[RunningApp]:
    """A page whose first choice of a port was taken; its guide is indexed."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        folder = tmp_path_factory.mktemp("serve")
        with RunningApp(folder, ollama_url=ollama.url, port=taken.getsockname()[1], language=SPANISH) as running:
            assert wait_for(lambda: guide_indexed(running.data), 60), running.output
            yield running


def guide_indexed(data: Path) -> bool:
    states = [document.state for document in Store(data / "taller.sqlite3").documents()]
    return bool(states) and set(states) == {"indexed"}


def test_a_busy_port_gives_way_to_the_next_and_is_said(app: RunningApp) -> None:
    assert app.url != f"http://127.0.0.1:{app.port}"
    port = int(app.url.rsplit(":", 1)[1])
    assert translate("es", "terminal.port_busy", wanted=app.port, port=port) in app.output
    assert translate("es", "terminal.serving", url=app.url) in app.output


def test_a_second_start_names_the_running_page_and_leaves_it_alone(app: RunningApp) -> None:
    ran = run_app(app.folder, "serve", "--no-browser", language=SPANISH)
    assert (ran.returncode, ran.stdout.strip()) == (0, translate("es", "terminal.already_running", url=app.url))


def test_indexing_beside_a_running_page_is_refused_in_words(app: RunningApp) -> None:
    ran = run_app(app.folder, "index", language=SPANISH)
    pid = json.loads((app.data / "writer.json").read_text(encoding="utf-8"))["pid"]
    assert psutil.pid_exists(pid)
    assert (ran.returncode, ran.stderr.strip()) == (
        1, translate("es", "error.store_held_by_page", path=app.data, url=app.url, pid=pid))


def test_a_question_in_the_terminal_is_answered_beside_a_running_page(app: RunningApp, ollama: OllamaServer) -> None:
    ran = run_app(app.folder, "ask", "What is Taller?", "--json", ollama_url=ollama.url)
    assert ran.returncode == 0, ran.stderr
    answer = json.loads(ran.stdout)
    assert (answer["engine"], answer["model"]) == ("ollama", "gpt-oss:20b")
    assert answer["citations"][0]["rank"] == 1 and "[1]" in answer["answer"]
    assert answer["usage"]["prompt_tokens"] > 0


@pytest.mark.skipif(sys.platform == "win32", reason="folders are private there by the user's own profile")
def test_uploads_go_to_a_folder_nobody_else_can_read(app: RunningApp) -> None:
    assert (app.data / "uploads").stat().st_mode & 0o077 == 0


def test_the_page_keeps_no_documentation_of_itself_and_refuses_foreign_names(app: RunningApp) -> None:
    host = app.url.removeprefix("http://")
    statuses = {}
    for name, path, headers in (("page", "/", {}), ("docs", "/docs", {}), ("foreign", "/", {"Host": "evil.example"})):
        connection = http.client.HTTPConnection(host, timeout=10)
        connection.request("GET", path, headers=headers)
        statuses[name] = connection.getresponse().status
        connection.close()
    assert statuses == {"page": 200, "docs": 404, "foreign": 421}


def test_killing_the_page_ends_its_children_and_the_next_start_carries_on(
    app: RunningApp, ollama: OllamaServer
) -> None:
    children = app.children()
    assert any("embedding_worker" in " ".join(child.cmdline()) for child in children)
    app.kill()
    assert wait_for(lambda: not alive(children), 5), alive(children)

    with RunningApp(app.folder, ollama_url=ollama.url) as again:
        assert guide_indexed(again.data)
        assert wait_for(lambda: bool(again.children()), 20)
        ended_by_a_signal(again)


def ended_by_a_signal(running: RunningApp) -> None:
    """Ctrl+C and SIGTERM leave the same way; here while the embedder still loads its model."""
    children = running.children()
    running.process.terminate()
    status = running.process.wait(timeout=20)
    assert status == (0 if os.name == "posix" else status)
    assert wait_for(lambda: not alive(children), 5 if os.name == "posix" else 20), alive(children)
    assert "Traceback" not in running.output
    assert not psutil.pid_exists(running.process.pid)
