"""Models come from a hub, in pieces if need be, into the cache that other programs share."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.engines.config import EnginesConfig
from core.engines.download import Download, Downloads
from core.engines.embedded_models import installed
from core.engines.hub_cache import cache_folder
from core.errors import EngineError
from core.settings import Settings
from tests.hub_server import HubServer
from ui.i18n import explain

MODEL = "org/small-chat"
WEIGHT_BYTES = 600_000


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    folder = tmp_path / "published"
    folder.mkdir()
    kind = {"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "max_position_embeddings": 40960}
    (folder / "config.json").write_text(json.dumps(kind))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": "x"}))
    (folder / "model.safetensors").write_bytes(bytes(range(256)) * (WEIGHT_BYTES // 256))
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    (folder / "README.md").write_text("# A model")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with HubServer(MODEL, folder) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


@pytest.fixture
def downloads(tmp_path: Path) -> Iterator[Downloads]:
    running = Downloads(Settings(data_dir=tmp_path / "data"))
    yield running
    running.close()


def wait(downloads: Downloads, seconds: float = 30.0) -> Download:
    give_up = time.monotonic() + seconds
    while downloads.current is None or downloads.current.state == "running":
        assert time.monotonic() < give_up, downloads.current
        time.sleep(0.02)
    return downloads.current


def assert_done(ended: Download) -> None:
    assert (ended.state, str(ended.error)) == ("done", "None")


def names(tmp_path: Path) -> list[str]:
    return [model.name for model in installed(Settings(runs_dir=tmp_path / "none"), EnginesConfig())]


def test_a_download_ends_as_a_model_that_can_be_picked(hub: HubServer, downloads: Downloads, tmp_path: Path) -> None:
    came: list[str] = []
    downloads._finished = lambda: came.append("told")
    assert downloads.start(MODEL).state == "running"
    ended = wait(downloads)
    assert_done(ended)
    assert ended.done_bytes == ended.total_bytes > WEIGHT_BYTES - 256
    assert names(tmp_path) == [MODEL]
    files = {path.name for path in (cache_folder(MODEL) / "snapshots").rglob("*") if path.is_file()}
    assert files == {"config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"}
    assert not list((cache_folder(MODEL) / "blobs").glob("*.incomplete"))
    give_up = time.monotonic() + 5
    while not came and time.monotonic() < give_up:
        time.sleep(0.02)
    assert came == ["told"]


def test_other_programs_find_what_came(hub: HubServer, downloads: Downloads) -> None:
    from huggingface_hub import snapshot_download

    downloads.start(MODEL)
    wait(downloads)
    folder = snapshot_download(MODEL, local_files_only=True, cache_dir=cache_folder(MODEL).parent)
    assert (Path(folder) / "model.safetensors").stat().st_size == len(hub.files["model.safetensors"])


def test_a_cancelled_download_goes_on_where_it_was(hub: HubServer, downloads: Downloads, tmp_path: Path) -> None:
    hub.bytes_per_second = 300_000
    downloads.start(MODEL)
    while downloads.current is None or downloads.current.done_bytes < 100_000:
        time.sleep(0.02)
    started = time.monotonic()
    downloads.cancel()
    assert time.monotonic() - started < 2
    assert wait(downloads).state == "cancelled"
    assert names(tmp_path) == []
    hub.bytes_per_second = 0
    downloads.start(MODEL)
    assert_done(wait(downloads))
    assert len(hub.ranges) == 2
    assert int(hub.ranges[1].removeprefix("bytes=").rstrip("-")) >= 90_000
    assert names(tmp_path) == [MODEL]


def test_a_connection_that_breaks_is_taken_up_again(hub: HubServer, downloads: Downloads) -> None:
    hub.break_after = 250_000
    downloads.start(MODEL)
    assert_done(wait(downloads))
    assert len(hub.ranges) == 3


def test_a_server_without_ranges_sends_all_again(hub: HubServer, downloads: Downloads, tmp_path: Path) -> None:
    hub.knows_ranges = False
    downloads.start(MODEL)
    assert_done(wait(downloads))
    assert names(tmp_path) == [MODEL]


@pytest.mark.parametrize(("fault", "code"), [
    ("gated", "download_gated"), ("missing", "download_not_found"), ("damaged", "download_damaged")])
def test_every_fault_has_its_sentence(hub: HubServer, downloads: Downloads, fault: str, code: str) -> None:
    hub.fault = fault
    downloads.start(MODEL)
    ended = wait(downloads)
    assert ended.state == "failed"
    assert ended.error is not None
    assert ended.error.code == code
    for language in ("es", "en"):
        assert "{" not in explain(language, ended.error)


def test_without_a_network_it_says_so_within_seconds(
    downloads: Downloads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_ENDPOINT", "http://no-such-host.invalid")
    started = time.monotonic()
    downloads.start(MODEL)
    ended = wait(downloads)
    assert ended.error is not None
    assert ended.error.code == "download_unreachable"
    assert time.monotonic() - started < 12


def test_a_model_of_pickles_is_refused(hub: HubServer, downloads: Downloads) -> None:
    del hub.files["model.safetensors"]
    downloads.start(MODEL)
    ended = wait(downloads)
    assert ended.error is not None
    assert ended.error.code == "download_not_a_model"


def test_a_full_disk_is_told_before_anything_comes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from core.engines.download_worker import check_space

    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(EngineError) as caught:
        check_space(MODEL, 10**15)
    assert caught.value.code == "download_no_space"


@pytest.mark.parametrize("name", ["", "no-slash", "../../etc/passwd", "a/b/c", "org/mo del", "--flag/x", "a/b--c"])
def test_what_is_no_name_is_refused(downloads: Downloads, name: str) -> None:
    with pytest.raises(EngineError) as caught:
        downloads.start(name)
    assert caught.value.code == "download_bad_name"
