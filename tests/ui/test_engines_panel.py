"""What the panel of the engines beside Ollama does, against a real server and a real hub on loopback."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from starlette.requests import Request

from core.engines import config
from core.engines.base import ModelInfo
from core.engines.config import EnginesConfig
from core.engines.download import Download
from core.engines.embedded import EmbeddedState
from core.engines.embedded_models import DEFAULT_MODEL
from core.engines.hub_cache import cache_folder
from core.finetune.runs import Runs
from core.settings import Settings
from tests.hub_server import HubServer
from tests.openai_server import OpenAIServer
from ui import engines_panel, models_panel
from ui.engines_panel import EngineEvents
from ui.engines_view import EmbeddedShelf, embedded_view, server_view
from ui.every_second import EverySecond
from ui.i18n import LANGUAGES
from ui.workshop import Engines

ENGLISH = gr.Request(request=Request({"type": "http", "headers": [(b"accept-language", b"en")]}))
KEY = "a-very-secret-key"


@pytest.fixture
def engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engines]:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("PATH", str(tmp_path))  # no Ollama
    settings = Settings(data_dir=tmp_path / "data", runs_dir=tmp_path / "runs", ollama_host="http://127.0.0.1:1",
                        connect_timeout_seconds=2)
    made = Engines(settings)
    yield made
    made.close()


@pytest.fixture
def events(engines: Engines) -> EngineEvents:
    return page_of(engines)


def page_of(engines: Engines) -> EngineEvents:
    settings = engines.chooser._settings
    workshop = SimpleNamespace(engines=engines, settings=settings, runs=Runs(settings))
    return EngineEvents(workshop)  # type: ignore[arg-type]


def saved(engines: Engines) -> EnginesConfig:
    return config.load(engines.chooser._settings.data_dir)


def make_model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    about = {"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "max_position_embeddings": 40960}
    (folder / "config.json").write_text(json.dumps(about))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "chat_template.jinja").write_text("x")
    (folder / "model.safetensors").write_bytes(b"0" * 400_000)
    return folder


def pressed(act: str, model: str = "") -> Any:
    return SimpleNamespace(_data={"act": act, "model": model})


def test_a_server_that_answers_is_saved_and_its_key_is_nowhere_to_be_seen(
    engines: Engines, events: EngineEvents, tmp_path: Path
) -> None:
    async def test(server: OpenAIServer) -> None:
        refused, *_ = await events.save(server.url, "wrong", False, ENGLISH)
        assert "error" in refused and saved(engines) == EnginesConfig()
        notice, url, key_field = await events.save(server.url, KEY, True, ENGLISH)
        assert ("done" in notice, url, key_field) == (True, f"{server.url}/v1", "")
        drawn = await events.refresh(None, "", ENGLISH)
        assert KEY not in repr(drawn)
        assert "key saved ••••" in drawn[2]
        assert drawn[-2:] == [f"{server.url}/v1", True]
        assert (await engines.current()).status.engine == "openai"

    with OpenAIServer([{"id": "big", "max_model_len": 4096}], key=KEY) as server:
        asyncio.run(test(server))
    assert saved(engines).openai_key == KEY
    assert not [path for path in (tmp_path / "data").rglob("*.log") if KEY in path.read_text()]
    assert "forgotten" in events.forget(ENGLISH)[0]
    assert saved(engines) == EnginesConfig()


def test_a_saved_key_never_goes_to_another_server(engines: Engines, events: EngineEvents) -> None:
    async def test(one: OpenAIServer, other: OpenAIServer) -> None:
        await events.save(one.url, KEY, False, ENGLISH)
        await events.save(one.url, "", True, ENGLISH)
        assert saved(engines).openai_key == KEY
        await events.save(other.url, "", False, ENGLISH)

    with OpenAIServer([{"id": "a"}], key=KEY) as one, OpenAIServer([{"id": "b"}]) as other:
        asyncio.run(test(one, other))
        assert not [headers for _, headers, _ in other.requests if KEY in str(headers)]
    assert saved(engines).openai_key == ""


def test_a_server_without_a_model_is_saved_and_says_so(engines: Engines, events: EngineEvents) -> None:
    with OpenAIServer([{"id": "text-embedding-nomic"}]) as server:
        notice, url, _ = asyncio.run(events.save(server.url, "", False, ENGLISH))
    assert "no model for conversations yet" in notice
    assert saved(engines).openai_url == url == f"{server.url}/v1"


@pytest.mark.parametrize("url", ["", "ftp://x", "http://me:password@host"])
def test_what_is_no_server_is_told_and_not_saved(engines: Engines, events: EngineEvents, url: str) -> None:
    notice, *_ = asyncio.run(events.save(url, "", False, ENGLISH))
    assert notice
    assert "password@" not in notice
    assert saved(engines) == EnginesConfig()


def test_a_folder_is_used_once_it_is_whole(engines: Engines, events: EngineEvents, tmp_path: Path) -> None:
    assert "config.json" in events.add(str(tmp_path), ENGLISH)[0]
    model = make_model(tmp_path / "model")
    notice, field = events.add(f' "{model}" ', ENGLISH)
    assert ("done" in notice, field) == (True, "")
    assert asyncio.run(engines.current()).status.model == str(model)
    assert str(model) in asyncio.run(events.redraw("", ENGLISH))[1]


def test_a_download_is_seen_by_every_page_and_ends_as_a_model_that_answers(
    engines: Engines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def shown(events: EngineEvents, text: str) -> None:
        give_up = time.monotonic() + 20
        while text not in (await events.redraw("", ENGLISH))[1]:
            assert time.monotonic() < give_up, (await events.redraw("", ENGLISH))[1]
            await asyncio.sleep(0.1)

    async def test(hub: HubServer) -> None:
        here, there = page_of(engines), page_of(engines)
        await engines.look()
        assert "Download (1.5 GB)" in (await here.redraw("", ENGLISH))[1]
        hub.bytes_per_second = 100_000
        here.act("", pressed("download", DEFAULT_MODEL), ENGLISH)
        await shown(there, "<progress aria-label")
        there.act("", pressed("cancel"), ENGLISH)
        await shown(here, "What has come is kept")
        hub.bytes_per_second = 0
        here.act("", pressed("download", DEFAULT_MODEL), ENGLISH)
        await shown(there, "it can be chosen now")
        assert (await engines.current()).status.engine == "embedded"
        there.act("", pressed("put-away"), ENGLISH)
        await shown(here, "qwen3")

    with HubServer(DEFAULT_MODEL, make_model(tmp_path / "published")) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        asyncio.run(test(hub))


def test_a_downloaded_model_is_deleted_after_a_yes_and_a_folder_of_the_users_never(
    engines: Engines, events: EngineEvents, tmp_path: Path
) -> None:
    def press(act: str, model: str, asked: str = "") -> list[str]:
        return events.act(asked, pressed(act, model), ENGLISH)

    def shown(asked: str = "") -> str:
        return str(asyncio.run(events.redraw(asked, ENGLISH))[1])

    own = make_model(tmp_path / "own")
    events.add(str(own), ENGLISH)
    (cache_folder("org/chat") / "refs").mkdir(parents=True)
    (cache_folder("org/chat") / "refs" / "main").write_text("abc")
    make_model(cache_folder("org/chat") / "snapshots" / "abc")
    (cache_folder("org/half") / "blobs").mkdir(parents=True)
    (cache_folder("org/half") / "blobs" / "1f.taller.incomplete").write_bytes(b"0" * 5000)
    asyncio.run(engines.current())
    assert shown().count('data-act="ask"') == 2 and "Half downloaded" in shown() and "Trained here" not in shown()
    assert press("delete", "org/chat") == ["", ""]  # nobody was asked
    assert press("ask", "org/chat") == ["", "org/chat"]
    assert "It frees 400 kB" in shown("org/chat") and "other programs on this machine" in shown("org/chat")
    for model in ("org/chat", "org/half"):
        assert "was deleted" in press("delete", model, asked=model)[0]
        assert not cache_folder(model).exists()
    assert "is not on this machine" in press("delete", str(own), asked=str(own))[0]
    assert [model.name for model in asyncio.run(engines.current()).models] == [str(own)]


def test_only_what_changed_is_drawn(events: EngineEvents) -> None:
    async def test() -> None:
        seen = (await events.refresh(None, "", ENGLISH))[0]
        assert await events.refresh(seen, "", ENGLISH) == [gr.skip()] * 6

    asyncio.run(test())


def test_no_handler_of_the_panels_shows_the_seconds_it_takes(engines: Engines) -> None:
    workshop: Any = SimpleNamespace(engines=engines, settings=engines.chooser._settings, runs=None)
    with gr.Blocks() as page:
        every_second = EverySecond()
        models_panel.build(workshop, every_second)
        engines_panel.build(workshop, every_second)
        every_second.wire()
    dependencies = page.config["dependencies"]
    assert len(dependencies) > 15
    assert {dependency["show_progress"] for dependency in dependencies} == {"hidden"}


def test_names_are_text_and_never_markup() -> None:
    hostile = '<script>alert("x")</script>'
    shelf = EmbeddedShelf((ModelInfo(hostile, 1, hostile, engine="embedded"),), EmbeddedState("ready", hostile, 10**9),
                          Download(hostile, "running", 1, 2, 1.0))
    for language in LANGUAGES:
        page = embedded_view(language, shelf) + server_view(language, EnginesConfig(hostile, "k"))
        assert "<script" not in page
