"""Model names: local folders and the hub, which here is a small server or nobody at all."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from core.errors import TrainingError
from core.finetune import models


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


FILES = {
    "config.json": b'{"model_type": "llama"}',
    "tokenizer.json": b"{}",
    "model.safetensors": b"weights" * 1000,
    "pytorch_model.bin": b"a pickle",
    "original/model.safetensors": b"a copy",
}
COMMIT = "0123456789" * 4


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class WholeHub(BaseHTTPRequestHandler):
    """As much of the hub's protocol as a download needs: the model, its tree, its files."""

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if "/resolve/" in path:
            name = path.split(f"/resolve/{COMMIT}/")[1]
            return self.answer(FILES[name], ETag=f'"{digest(FILES[name])}"')
        if "/tree/" in path:
            tree = [
                {"type": "file", "path": name, "size": len(content), "oid": digest(content)}
                for name, content in FILES.items()
            ]
            return self.answer(json.dumps(tree).encode())
        return self.answer(json.dumps({"id": "someone/something", "sha": COMMIT, "siblings": []}).encode())

    do_HEAD = do_GET

    def answer(self, content: bytes, **headers: str) -> None:
        self.send_response(200)
        for name, value in {**headers, "X-Repo-Commit": COMMIT, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def hub(status: int, *, delay_seconds: float = 0.0, error_code: str = "") -> Iterator[str]:
    """A server that gives every request the same answer."""
    stop = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            stop.wait(delay_seconds)
            self.send_response(status)
            if error_code:
                self.send_header("X-Error-Code", error_code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as endpoint:
        try:
            yield endpoint
        finally:
            stop.set()


def fetch_code(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    from huggingface_hub import hf_api

    monkeypatch.setattr(hf_api.constants, "ENDPOINT", endpoint)
    with pytest.raises(TrainingError) as refused:
        models.fetch("someone/something")
    return refused.value.code


def test_a_model_is_downloaded_once_without_pickles_and_copies_and_stays_when_the_hub_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from huggingface_hub import hf_api

    with serving(WholeHub) as endpoint:
        files = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(hf_api.constants, "ENDPOINT", endpoint)
        monkeypatch.setattr(hf_api.constants, "HUGGINGFACE_CO_URL_TEMPLATE", files)
        found = models.fetch("someone/something")
    assert (found.model_type, found.weight_bytes) == ("llama", 7000)
    assert sorted(path.name for path in found.path.iterdir()) == [
        "config.json", "model.safetensors", "tokenizer.json"]
    assert models.fetch("someone/something") == found


def test_a_model_the_hub_does_not_know_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with hub(404, error_code="RepoNotFound") as endpoint:
        assert fetch_code(endpoint, monkeypatch) == "train_model_not_found"


def test_a_gated_model_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with hub(403, error_code="GatedRepo") as endpoint:
        assert fetch_code(endpoint, monkeypatch) == "train_model_gated"


@pytest.mark.parametrize("status", [404, 500, 503])
def test_an_answer_that_is_not_the_hubs_means_unreachable(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hub(status) as endpoint:
        assert fetch_code(endpoint, monkeypatch) == "train_hub_unreachable"


def test_a_hub_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "HUB_TIMEOUT_SECONDS", 0.5)
    before = time.monotonic()
    with hub(200, delay_seconds=30) as endpoint:
        assert fetch_code(endpoint, monkeypatch) == "train_hub_unreachable"
    assert time.monotonic() - before < 5


def test_a_refused_connection_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fetch_code("http://127.0.0.1:9", monkeypatch) == "train_hub_unreachable"


def test_without_the_hub_the_copy_downloaded_before_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import hf_api

    commit = "0" * 40
    repository = tmp_path / "hub" / "models--someone--something"
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    (snapshot / "config.json").write_text('{"model_type": "llama"}')
    (snapshot / "tokenizer.json").write_text("{}")
    assert fetch_code("http://127.0.0.1:9", monkeypatch) == "train_hub_unreachable"  # no weights: not whole
    (snapshot / "model.safetensors").write_bytes(b"12345678")
    monkeypatch.setattr(hf_api.constants, "ENDPOINT", "http://127.0.0.1:9")
    found = models.fetch("someone/something")
    assert (found.path, found.model_type, found.weight_bytes) == (snapshot, "llama", 8)


def test_a_local_folder_is_absolute_and_comes_before_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    assert models.local_folder("mine") == tmp_path / "mine"
    assert models.local_folder("Qwen/Qwen3-0.6B") is None
