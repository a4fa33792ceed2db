"""What the buttons of the models' panel do, against a server that pulls and deletes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from starlette.requests import Request

from core.settings import Settings
from tests.ollama_server import OllamaServer
from ui.models_panel import ModelEvents
from ui.workshop import Engines

MODELS: dict[str, dict[str, Any]] = {"gpt-oss:20b": {"family": "gptoss"}, "llama3.2:3b": {}}
CATALOGUE: dict[str, dict[str, Any]] = {"qwen3:4b": {"size": 4_000_000, "family": "qwen3"}}
ENGLISH = gr.Request(request=Request({"type": "http", "headers": [(b"accept-language", b"en")]}))


@pytest.fixture
def server() -> Iterator[OllamaServer]:
    with OllamaServer(models=MODELS, catalogue=CATALOGUE) as running:
        yield running


@pytest.fixture
def engines(server: OllamaServer) -> Iterator[Engines]:
    made = Engines(Settings(ollama_host=server.url))
    yield made
    made.close()


def pressed(act: str, model: str) -> Any:
    return SimpleNamespace(_data={"act": act, "model": model})


async def shown(events: ModelEvents, asked: str = "") -> str:
    return "".join((await events.redraw(asked, ENGLISH))[1:])


def test_the_panel_lists_models_and_draws_only_what_changed(engines: Engines) -> None:
    async def test() -> None:
        events = ModelEvents(engines)
        seen, installed, *_ = await events.redraw("", ENGLISH)
        assert "gpt-oss:20b" in installed and "llama3.2:3b" in installed
        assert await events.refresh(seen, "", ENGLISH) == [gr.skip()] * 4

    asyncio.run(test())


def test_a_download_is_seen_by_every_page_and_ends_with_the_model_in_the_choice(
    server: OllamaServer, engines: Engines
) -> None:
    async def test() -> None:
        server.behave(pull_bytes_per_second=4_000_000.0)
        here, there = ModelEvents(engines), ModelEvents(engines)
        assert len((await engines.current()).models) == 2
        assert here.pull_written(" ollama pull qwen3:4b ", ENGLISH) == ["", ""]
        assert await asyncio.to_thread(server.wait_until, lambda: server.counters.active_pulls == 1)
        assert "Cancel the download of qwen3:4b" in await shown(there)
        give_up = time.monotonic() + 5
        while "it can be chosen now" not in await shown(there):
            assert time.monotonic() < give_up
            await asyncio.sleep(0.1)
        assert (await engines.current()).models[0].name == "qwen3:4b"

    asyncio.run(test())


def test_a_download_is_cancelled_gone_on_with_and_put_away(server: OllamaServer, engines: Engines) -> None:
    async def test() -> None:
        server.behave(pull_bytes_per_second=500_000.0)
        events = ModelEvents(engines)
        await events.act("", pressed("pull", "qwen3:4b"), ENGLISH)
        assert await asyncio.to_thread(server.wait_until, lambda: server.counters.active_pulls == 1)
        await events.act("", pressed("cancel", "qwen3:4b"), ENGLISH)
        assert await asyncio.to_thread(server.wait_until, lambda: server.counters.cancelled_pulls == 1)
        assert "Try again" in await shown(events)
        await events.act("", pressed("put-away", "qwen3:4b"), ENGLISH)
        assert "Try again" not in await shown(events)

    asyncio.run(test())


def test_what_is_no_name_stays_in_the_field_with_a_sentence(engines: Engines) -> None:
    notice, field = ModelEvents(engines).pull_written("two words", ENGLISH)
    assert "is not the name of a model" in notice and field == gr.skip()


def test_a_model_is_deleted_after_a_yes_and_leaves_the_choice(server: OllamaServer, engines: Engines) -> None:
    async def test() -> None:
        events = ModelEvents(engines)
        assert (await engines.current()).status.model == "gpt-oss:20b"
        assert await events.act("", pressed("delete", "gpt-oss:20b"), ENGLISH) == ["", ""]  # nobody was asked
        assert "gpt-oss:20b" in server.models
        assert await events.act("", pressed("ask", "gpt-oss:20b"), ENGLISH) == ["", "gpt-oss:20b"]
        assert "It frees" in await shown(events, "gpt-oss:20b")
        notice, asked = await events.act("gpt-oss:20b", pressed("delete", "gpt-oss:20b"), ENGLISH)
        assert "was deleted" in notice and asked == ""
        assert "gpt-oss:20b" not in server.models
        assert (await engines.current()).status.model == "llama3.2:3b"

    asyncio.run(test())


def test_a_model_somebody_else_deleted_is_told(server: OllamaServer, engines: Engines) -> None:
    async def test() -> None:
        server.shelf.delete("llama3.2:3b")
        notice, _ = await ModelEvents(engines).act("llama3.2:3b", pressed("delete", "llama3.2:3b"), ENGLISH)
        assert "is not installed" in notice

    asyncio.run(test())


def test_a_model_is_taken_out_of_memory(server: OllamaServer, engines: Engines) -> None:
    async def test() -> None:
        events = ModelEvents(engines)
        server.shelf.load("llama3.2:3b", 4096, 300, 0)
        assert "In memory" in await shown(events)
        await events.act("", pressed("unload", "llama3.2:3b"), ENGLISH)
        assert "In memory" not in await shown(events)

    asyncio.run(test())


def test_a_server_that_takes_its_time_holds_up_no_page_and_is_seen_when_it_answers(
    server: OllamaServer, engines: Engines
) -> None:
    async def test() -> None:
        events = ModelEvents(engines)
        server.behave(memory_seconds=1.2)
        started = time.monotonic()
        seen, *_ = await events.refresh(None, "", ENGLISH)
        assert (seen.shelf, time.monotonic() - started < 1) == (None, True)
        await asyncio.sleep(1)
        assert "gpt-oss:20b" in (await events.refresh(seen, "", ENGLISH))[1]

    asyncio.run(test())


def test_a_server_that_is_away_is_told(server: OllamaServer, engines: Engines) -> None:
    async def test() -> None:
        server.__exit__()
        assert "Ollama does not answer at" in await shown(ModelEvents(engines))

    asyncio.run(test())
