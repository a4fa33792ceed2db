"""What an Ollama server has: what is told of each model, what is in memory, what is pulled and deleted."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from ollama import ProgressResponse

from core.engines.base import ChatRequest, EngineEvent, Loading, Message, ModelInfo, Token
from core.engines.ollama import OllamaEngine
from core.engines.ollama_models import THINK_WORDS
from core.engines.ollama_pull import PullMeter, PullProgress
from core.errors import EngineError
from core.settings import Settings
from tests.ollama_server import OllamaServer
from ui.i18n import LANGUAGES, explain, translate

SETTINGS = Settings(first_token_timeout_seconds=20, token_timeout_seconds=20, connect_timeout_seconds=3)
THINKS = ["completion", "thinking"]
MODELS: dict[str, dict[str, Any]] = {
    "gpt-oss:20b": {"family": "gptoss", "capabilities": THINKS, "size": 13_780_000_000, "parameters": "20.9B",
                    "quantization": "MXFP4"},
    "qwen3:4b": {"family": "qwen3", "capabilities": THINKS, "context": 4096},
    "levels:latest": {"capabilities": THINKS, "thinking": {"values": [False, "low", "max"], "default": "low"}},
    "llama3.2:3b": {},
    "old:latest": {"capabilities": None},
}
CATALOGUE: dict[str, dict[str, Any]] = {"qwen3:8b": {"size": 5_000_000}, "gpt-oss:20b": {"size": 1_000_000}}


@pytest.fixture
def server() -> Iterator[OllamaServer]:
    with OllamaServer(models=MODELS, catalogue=CATALOGUE) as running:
        yield running


@pytest.fixture
def engine(server: OllamaServer) -> OllamaEngine:
    return OllamaEngine(SETTINGS, server.url)


def found(engine: OllamaEngine) -> dict[str, ModelInfo]:
    return {model.name: model for model in asyncio.run(engine.models())}


def ask(engine: OllamaEngine, model: str, **changes: Any) -> list[EngineEvent]:
    async def collected() -> list[EngineEvent]:
        request = replace(ChatRequest(model, (Message("user", "Hello"),), "Hello"), **changes)
        return [event async for event in engine.chat(request)]

    return asyncio.run(collected())


def pull(engine: OllamaEngine, name: str) -> list[PullProgress]:
    async def collected() -> list[PullProgress]:
        return [progress async for progress in engine.installed.pull(name)]

    return asyncio.run(collected())


# What a model is.

def test_a_model_tells_its_size_parameters_quantization_and_context(engine: OllamaEngine) -> None:
    model = found(engine)["gpt-oss:20b"]
    assert (model.size_bytes, model.family, model.parameters) == (13_780_000_000, "gptoss", "20.9B")
    assert (model.quantization, model.context_tokens, model.remote) == ("MXFP4", 131_072, False)


def test_how_a_model_may_think_follows_from_its_capabilities(engine: OllamaEngine) -> None:
    assert {name: model.think_levels for name, model in found(engine).items()} == {
        "gpt-oss:20b": ("low", "medium", "high"), "qwen3:4b": ("off", "on"), "levels:latest": ("off", "low", "max"),
        "llama3.2:3b": (), "old:latest": (),
    }


@pytest.mark.parametrize(("values", "levels"), [
    ([False, True], ("off", "on")), (["low", "high"], ("low", "high")), ([True], ()), (["odd", "low"], ()), ([], ()),
])
def test_a_newer_server_lists_how_a_model_may_think(
    server: OllamaServer, engine: OllamaEngine, values: list[object], levels: tuple[str, ...]
) -> None:
    server.models["llama3.2:3b"] = {"capabilities": THINKS, "thinking": {"values": values}}
    assert found(engine)["llama3.2:3b"].think_levels == levels


def test_every_level_has_its_word_on_the_page() -> None:
    assert all(translate(language, f"chat.think_{word}") for language in LANGUAGES for word in THINK_WORDS)


def test_thinking_is_sent_as_the_model_understands_it(server: OllamaServer, engine: OllamaEngine) -> None:
    for model, think in (("gpt-oss:20b", None), ("gpt-oss:20b", "high"), ("gpt-oss:20b", "off"), ("qwen3:4b", None),
                         ("qwen3:4b", "on"), ("qwen3:4b", "off"), ("levels", "max"), ("llama3.2:3b", "on")):
        ask(engine, model, think=think)
    sent = [body.get("think", "nothing") for body in server.chats]
    assert sent == ["medium", "high", "medium", "nothing", True, False, "max", "nothing"]


def test_the_context_is_the_models_own_where_that_is_smaller(server: OllamaServer, engine: OllamaEngine) -> None:
    contexts = {model: asyncio.run(engine.context(model)) for model in ("gpt-oss:20b", "qwen3:4b", "old")}
    assert contexts == {"gpt-oss:20b": SETTINGS.num_ctx, "qwen3:4b": 4096, "old": SETTINGS.num_ctx}
    for model in contexts:
        ask(engine, model)
    assert [body["options"]["num_ctx"] for body in server.chats] == list(contexts.values())


def test_temperature_and_length_are_sent_when_they_are_chosen(server: OllamaServer, engine: OllamaEngine) -> None:
    ask(engine, "llama3.2:3b", temperature=0.0, max_tokens=60)
    assert server.chats[0]["options"] == {"num_ctx": SETTINGS.num_ctx, "temperature": 0.0, "num_predict": 60}


def test_a_server_that_needs_a_sign_in_says_so(server: OllamaServer, engine: OllamaEngine) -> None:
    server.behave(fault="unauthorized")
    with pytest.raises(EngineError) as caught:
        ask(engine, "gpt-oss:20b")
    assert (caught.value.code, caught.value.values) == ("engine_unauthorized", {"host": server.url})


# What is in memory.

def test_a_cold_start_is_told_first_and_once(engine: OllamaEngine) -> None:
    found(engine)
    assert ask(engine, "gpt-oss:20b")[0] == Loading("gpt-oss:20b", 13_780_000_000)
    assert not any(isinstance(event, Loading) for event in ask(engine, "gpt-oss:20b"))


def test_loading_is_told_while_the_model_still_loads(server: OllamaServer, engine: OllamaEngine) -> None:
    server.behave(load_seconds=10)

    async def first() -> tuple[EngineEvent, float]:
        started = time.monotonic()
        stream = engine.chat(ChatRequest("llama3.2:3b", (Message("user", "Hello"),), "Hello"))
        event = await anext(stream)
        await stream.aclose()
        return event, time.monotonic() - started

    event, seconds = asyncio.run(first())
    assert event == Loading("llama3.2:3b", 0) and seconds < 9


def test_a_model_that_somebody_elses_question_loads_is_loading_too(
    server: OllamaServer, engine: OllamaEngine
) -> None:
    server.behave(load_seconds=10)

    async def both() -> list[EngineEvent]:
        request = ChatRequest("llama3.2:3b", (Message("user", "Hello"),), "Hello")
        async with (contextlib.aclosing(engine.chat(request)) as first,
                    contextlib.aclosing(engine.chat(request)) as second):
            events = [await anext(first)]
            waiting = asyncio.create_task(anext(first))
            await asyncio.to_thread(server.wait_until, lambda: server.active_chats == 1)
            events.append(await anext(second))
            waiting.cancel()
            await asyncio.wait([waiting])
            return events

    assert [type(event) for event in asyncio.run(both())] == [Loading, Loading]


def test_a_server_too_old_to_tell_of_its_memory_answers_all_the_same(server: OllamaServer) -> None:
    server.behave(old=True)
    engine = OllamaEngine(SETTINGS, server.url)
    assert "old:latest" in found(engine) and asyncio.run(engine.context("llama3.2:3b")) == SETTINGS.num_ctx
    assert isinstance(ask(engine, "llama3.2:3b", think="on")[0], Token)
    assert "think" not in server.chats[0]


def test_another_context_means_loading_again(server: OllamaServer, engine: OllamaEngine) -> None:
    ask(engine, "llama3.2:3b")
    other = OllamaEngine(replace(SETTINGS, num_ctx=2048), server.url)
    assert isinstance(ask(other, "llama3.2:3b")[0], Loading)


def test_a_server_slow_to_tell_its_memory_does_not_hold_up_the_answer(server: OllamaServer) -> None:
    server.behave(memory_seconds=5)
    started = time.monotonic()
    events = ask(OllamaEngine(SETTINGS, server.url), "llama3.2:3b")
    assert isinstance(events[0], Token) and time.monotonic() - started < 1


def test_a_model_of_someone_elses_machine_is_never_loading(server: OllamaServer, engine: OllamaEngine) -> None:
    server.models["big:cloud"] = {"remote_host": "https://ollama.com"}
    assert found(engine)["big:cloud"].remote
    assert isinstance(ask(engine, "big:cloud")[0], Token)


def test_models_leave_the_memory_when_told(engine: OllamaEngine) -> None:
    for model in ("gpt-oss:20b", "llama3.2:3b"):
        ask(engine, model)
    loaded = asyncio.run(engine.installed.loaded())
    assert {model.name for model in loaded} == {"gpt-oss:20b", "llama3.2:3b"}
    assert loaded[0].context_tokens == SETTINGS.num_ctx and loaded[0].gpu_bytes > 0
    assert 500 < loaded[0].expires - time.time() < 700  # keep_alive is ten minutes
    asyncio.run(engine.installed.unload("gpt-oss:20b"))
    assert [model.name for model in asyncio.run(engine.installed.loaded())] == ["llama3.2:3b"]
    asyncio.run(engine.installed.unload_all())
    assert asyncio.run(engine.installed.loaded()) == []
    asyncio.run(engine.installed.unload("nobody:1b"))


# Pulling.

def test_a_pull_ends_with_the_model_installed(engine: OllamaEngine) -> None:
    steps = pull(engine, "qwen3:8b")
    assert list(dict.fromkeys(step.stage for step in steps)) == [
        "manifest", "downloading", "verifying", "writing", "done"]
    assert steps[-1].completed_bytes == steps[-1].total_bytes == 5_000_000
    sizes = [step.completed_bytes for step in steps]
    assert sizes == sorted(sizes)
    assert "qwen3:8b" in found(engine)


def test_a_slow_pull_tells_its_speed_and_the_time_left(server: OllamaServer, engine: OllamaEngine) -> None:
    server.behave(pull_bytes_per_second=4_000_000.0)
    steps = [step for step in pull(engine, "qwen3:8b") if step.bytes_per_second]
    assert steps and all(2e6 < step.bytes_per_second < 5e6 for step in steps)
    first = steps[0]
    assert first.seconds_left == pytest.approx((first.total_bytes - first.completed_bytes) / first.bytes_per_second)


def test_a_pull_to_which_nothing_comes_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    meter = PullMeter()
    seen = []
    for clock[0], completed in ((100.0, 0), (101.0, 50), (102.0, 50), (107.0, 50), (118.0, 50), (119.0, 60)):
        seen.append(meter.read(ProgressResponse(status="pulling", digest="sha256:a", total=100, completed=completed)))
    assert [progress.stalled for progress in seen] == [False, False, False, True, True, False]
    assert [round(progress.bytes_per_second, 1) for progress in seen] == [0, 50, 25, 7.1, 0, 0.8]


def test_closing_a_pull_ends_the_download_and_the_next_one_goes_on(
    server: OllamaServer, engine: OllamaEngine
) -> None:
    server.behave(pull_bytes_per_second=5_000_000.0)

    async def some() -> int:
        stream = engine.installed.pull("qwen3:8b")
        async for progress in stream:
            if progress.completed_bytes > 1_000_000:
                break
        await stream.aclose()
        assert await asyncio.to_thread(server.wait_until, lambda: server.counters.active_pulls == 0, 1)
        return progress.completed_bytes

    stopped_at = asyncio.run(some())
    assert server.counters.cancelled_pulls == 1 and "qwen3:8b" not in server.models
    server.behave(pull_bytes_per_second=0)
    downloading = [step for step in pull(engine, "qwen3:8b") if step.stage == "downloading"]
    assert downloading[0].completed_bytes >= stopped_at
    assert downloading[0].bytes_per_second == 0  # what lay there was not fetched in no time
    assert "qwen3:8b" in server.models


@pytest.mark.parametrize(("fault", "code"), [
    ("pull_not_found", "pull_not_found"),
    ("pull_newer", "pull_needs_newer"),
    ("pull_unauthorized", "pull_unauthorized"),
    ("pull_no_network", "pull_no_network"),
    ("pull_no_space", "pull_no_space"),
    ("pull_retries", "pull_no_network"),
    ("pull_odd", "pull_refused"),
    ("break_middle", "pull_broken"),
    ("end_early", "pull_broken"),
    ("not_json", "engine_bad_answer"),
])
def test_every_fault_of_a_pull_has_its_sentence(
    server: OllamaServer, engine: OllamaEngine, fault: str, code: str
) -> None:
    server.behave(fault=fault)
    with pytest.raises(EngineError) as caught:
        pull(engine, "qwen3:8b")
    assert caught.value.code == code
    for language in ("es", "en"):
        assert "{" not in explain(language, caught.value).replace('{"', "")


def test_a_model_nobody_knows_is_not_found(engine: OllamaEngine) -> None:
    with pytest.raises(EngineError) as caught:
        pull(engine, "qwen33:8b")
    assert (caught.value.code, caught.value.values) == ("pull_not_found", {"model": "qwen33:8b"})


def test_what_is_no_name_is_never_sent(server: OllamaServer, engine: OllamaEngine) -> None:
    with pytest.raises(EngineError) as caught:
        pull(engine, "two words")
    assert caught.value.code == "pull_bad_name"
    assert server.counters.requests == []


def test_a_pull_of_a_dead_server_is_unreachable(server: OllamaServer, engine: OllamaEngine) -> None:
    server.__exit__()
    with pytest.raises(EngineError) as caught:
        pull(engine, "qwen3:8b")
    assert caught.value.code == "engine_unreachable"


def test_a_model_is_deleted(server: OllamaServer, engine: OllamaEngine) -> None:
    asyncio.run(engine.installed.delete("llama3.2:3b"))
    assert "llama3.2:3b" not in found(engine)
    with pytest.raises(EngineError) as caught:
        asyncio.run(engine.installed.delete("llama3.2:3b"))
    assert (caught.value.code, caught.value.values) == ("engine_model_missing", {"model": "llama3.2:3b"})
