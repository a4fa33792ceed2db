"""The engine all pages share, and the line about it: found once, looked for again, followed unless the reader chose."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from starlette.requests import Request

import ui.workshop
from core.chat.conversations import Conversations
from core.documents.background import BackgroundIndexing
from core.documents.collection import Collection
from core.documents.preview import Previewer
from core.finetune.runs import Runs
from core.settings import Settings
from tests.ollama_server import OllamaServer
from tests.running_app import free_port
from ui.chat_session import Session
from ui.chat_settings import ChatSettings
from ui.house import House
from ui.i18n import translate
from ui.workshop import Engines, Workshop

MODELS: dict[str, dict[str, Any]] = {"gpt-oss:20b": {}, "llama3.2:3b": {}}
ENGLISH = gr.Request(request=Request({"type": "http", "headers": [(b"accept-language", b"en")]}))


def settings(folder: Path, url: str) -> Settings:
    return Settings(docs_dir=folder / "docs", data_dir=folder / "data", runs_dir=folder / "runs", ollama_host=url)


def looks(server: OllamaServer) -> int:
    return sum(path == "/api/show" for path, _ in server.counters.requests)


def test_one_look_serves_all_pages_until_it_is_old(tmp_path: Path) -> None:
    async def test() -> None:
        engines = Engines(settings(tmp_path, server.url))
        assert engines.choice is None
        await asyncio.gather(*(engines.look() for _ in range(5)))
        assert engines.choice is not None and engines.choice.status.model == "gpt-oss:20b"
        first = engines.choice
        await engines.look()
        assert engines.choice is first is await engines.current()

    with OllamaServer(models=MODELS) as server:
        asyncio.run(test())


def test_who_asks_before_the_first_look_gets_an_engine_too(tmp_path: Path) -> None:
    async def test() -> None:
        engines = Engines(settings(tmp_path, server.url))
        first, second = await asyncio.gather(engines.current(), engines.current())
        assert first is second and first.status.engine == "ollama"

    with OllamaServer(models=MODELS) as server:
        asyncio.run(test())


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def chat_settings(tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatSettings]:
    """The Chat tab's settings over a real collection; every tick looks for engines again."""
    monkeypatch.setattr(ui.workshop, "_LOOK_AGAIN_SECONDS", 0.0)
    monkeypatch.setenv("PATH", "")  # no Ollama to start
    chosen = settings(tmp_path, f"http://127.0.0.1:{port}")
    conversations = Conversations(tmp_path / "conversations.sqlite3")
    with Collection(chosen) as collection:
        yield ChatSettings(Workshop(chosen, collection, BackgroundIndexing(collection),
                                    Previewer(chosen, collection.store), Engines(chosen), Runs(chosen), "model",
                                    conversations, House(chosen, "127.0.0.1", (), "").sharing))
    conversations.close()


def test_an_engine_that_comes_later_is_followed_and_one_that_goes_is_left(
    chat_settings: ChatSettings, port: int
) -> None:
    async def test() -> None:
        session = Session()
        seen, pill, model, _, note, _ = await chat_settings.refresh("", session, ENGLISH)
        assert model["value"] == "" and translate("en", "engine.name_passages") in pill
        assert translate("en", "engine.note_no_engine", model="gpt-oss:20b").split("`")[0][:20] in note
        with OllamaServer(models=MODELS, port=port):
            seen, pill, model, _, note, _ = await chat_settings.refresh(seen, session, ENGLISH)
            assert "gpt-oss:20b" in pill and note == ""
            assert (translate("en", "chat.automatic", model="gpt-oss:20b"), "") in model["choices"]
            assert "ollama|llama3.2:3b" in [value for _, value in model["choices"]]
        seen, pill, model, _, note, _ = await chat_settings.refresh(seen, session, ENGLISH)
        assert translate("en", "engine.name_passages") in pill and note

    asyncio.run(test())


def test_the_readers_own_choice_stays_also_when_it_is_gone(chat_settings: ChatSettings, port: int) -> None:
    async def test() -> None:
        session = Session()
        with OllamaServer(models=MODELS, port=port):
            seen, *_ = await chat_settings.refresh("", session, ENGLISH)
            for picked in ("ollama|llama3.2:3b", "passages|"):
                session.choose(chat_settings._workshop.conversations, picked=picked)
                seen, pill, model, *_ = await chat_settings.refresh(seen, session, ENGLISH)
                assert model["value"] == picked and (picked.split("|")[1] or translate(
                    "en", "engine.name_passages")) in pill
                # Nothing new, nothing sent.
                assert await chat_settings.refresh(seen, session, ENGLISH) == [gr.skip()] * 6
            session.choose(chat_settings._workshop.conversations, picked="ollama|gone:1b")
            _, _, model, *_ = await chat_settings.refresh(seen, session, ENGLISH)
            assert (translate("en", "chat.model_gone", model="gone:1b"), "ollama|gone:1b") in model["choices"]

    asyncio.run(test())
