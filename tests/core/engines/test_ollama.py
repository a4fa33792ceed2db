"""OllamaEngine against a real HTTP server that speaks Ollama's protocol and fails on demand."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from core.engines.base import ChatRequest, EngineEvent, Message, Thinking, Token
from core.engines.hosts import dial_url, is_loopback
from core.engines.ollama import OllamaEngine
from core.errors import EngineError
from core.settings import Settings
from tests.ollama_chat import Behaviour
from tests.ollama_server import OllamaServer
from ui.i18n import explain

MODEL = "gpt-oss:20b"
THINKER = {"family": "gptoss", "capabilities": ["completion", "thinking"]}
SETTINGS = Settings(first_token_timeout_seconds=20, token_timeout_seconds=20, connect_timeout_seconds=3)
PROMPT = (
    '<passage number="1" source="a.txt" page="2">The ferry leaves at nine.</passage>\nWhen does it leave?'
)


@pytest.fixture
def server() -> Iterator[OllamaServer]:
    with OllamaServer(models={MODEL: THINKER}) as running:
        yield running


def request(model: str = MODEL, prompt: str = PROMPT) -> ChatRequest:
    return ChatRequest(model, (Message("system", "Be brief."), Message("user", prompt)), question=prompt)


def ask(
    server: OllamaServer, settings: Settings = SETTINGS, chat: ChatRequest | None = None
) -> list[EngineEvent]:
    async def collected() -> list[EngineEvent]:
        engine = OllamaEngine(settings, server.url)
        return [event async for event in engine.chat(chat or request())]

    return asyncio.run(collected())


def text(events: list[EngineEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Token))


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_thinking_is_told_apart_from_the_answer(server: OllamaServer) -> None:
    server.behave(thinking="Let me look.", reply="Nine.")
    events = ask(server)
    assert "".join(event.text for event in events if isinstance(event, Thinking)) == "Let me look."
    assert text(events) == "Nine."


def test_the_request_sets_the_context_and_forbids_silent_truncation(server: OllamaServer) -> None:
    ask(server)
    body = server.chats[0]
    assert body["options"] == {"num_ctx": SETTINGS.num_ctx}
    assert body["keep_alive"] == SETTINGS.ollama_keep_alive
    assert body["truncate"] is False
    assert body["shift"] is False
    assert body["stream"] is True
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}


def test_only_gpt_oss_is_told_how_hard_to_think() -> None:
    models: dict[str, dict[str, Any]] = {
        MODEL: THINKER,
        "qwen3:4b": {"capabilities": ["completion", "thinking"]},
        "mine": {"family": "gptoss"},
    }
    with OllamaServer(models=models) as server:
        for model in models:
            ask(server, chat=request(model))
        assert [body.get("think") for body in server.chats] == ["medium", None, None]


def test_a_model_known_not_to_think_is_not_asked_to() -> None:
    with OllamaServer(models={"my-gpt-oss": {"family": "gptoss", "capabilities": ["completion"]}}) as server:

        async def run() -> None:
            engine = OllamaEngine(SETTINGS, server.url)
            await engine.models()
            async for _ in engine.chat(request("my-gpt-oss")):
                pass

        asyncio.run(run())
        assert "think" not in server.chats[0]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("out_of_memory", "engine_out_of_memory"),
        ("context_overflow", "engine_context_too_small"),
        ("unauthorized", "engine_unauthorized"),
        ("busy", "engine_busy"),
        ("error_in_stream", "engine_refused"),
        ("break_before", "engine_broken_stream"),
        ("break_middle", "engine_broken_stream"),
        ("end_early", "engine_broken_stream"),
        ("not_json", "engine_bad_answer"),
        ("wrong_shape", "engine_bad_answer"),
    ],
)
def test_every_fault_has_its_sentence(server: OllamaServer, fault: str, code: str) -> None:
    server.behave(fault=fault)
    with pytest.raises(EngineError) as caught:
        ask(server)
    assert caught.value.code == code
    for language in ("es", "en"):
        assert "{" not in explain(language, caught.value)


def test_a_refusal_tells_the_servers_own_words(server: OllamaServer) -> None:
    server.behave(fault="error_in_stream")
    with pytest.raises(EngineError) as caught:
        ask(server)
    assert str(caught.value.values["detail"]).startswith("model runner has unexpectedly stopped")


def test_a_prompt_larger_than_the_context_is_an_error_not_a_truncation(server: OllamaServer) -> None:
    with pytest.raises(EngineError) as caught:
        ask(server, chat=request(prompt="word " * 20_000))
    assert caught.value.code == "engine_context_too_small"
    assert caught.value.values["num_ctx"] == SETTINGS.num_ctx


def test_a_model_that_is_not_installed_is_named(server: OllamaServer) -> None:
    with pytest.raises(EngineError) as caught:
        ask(server, chat=request("nobody:1b"))
    assert (caught.value.code, caught.value.values) == ("engine_model_missing", {"model": "nobody:1b"})


def test_a_dead_server_is_unreachable_for_every_call() -> None:
    engine = OllamaEngine(SETTINGS, f"127.0.0.1:{free_port()}")

    async def chat() -> None:
        async for _ in engine.chat(request()):
            pass

    for call in (engine.models, chat):
        with pytest.raises(EngineError) as caught:
            asyncio.run(call())
        assert (caught.value.code, caught.value.values) == ("engine_unreachable", {"host": engine.url})
    assert asyncio.run(engine.version()) is None


def test_a_slow_load_is_no_timeout_between_tokens(server: OllamaServer) -> None:
    server.behave(load_seconds=0.6)
    settings = Settings(first_token_timeout_seconds=20, token_timeout_seconds=0.4)
    assert text(ask(server, settings))


def test_two_hundred_stops_at_any_moment_leave_no_connection(server: OllamaServer) -> None:
    server.behave(load_seconds=0.01, reply="word " * 500, tokens_per_second=200)
    engine, chance = OllamaEngine(SETTINGS, server.url), random.Random(4)
    asyncio.run(engine.models())  # imports the library, and asks what is asked once

    async def listen(*, to_the_first_token: bool = False) -> None:
        async with contextlib.aclosing(engine.chat(request())) as events:
            async for event in events:
                if to_the_first_token and isinstance(event, Token):
                    return

    async def stopped(seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await listen()

    async def run() -> None:
        started = time.monotonic()
        await asyncio.gather(*(listen(to_the_first_token=True) for _ in range(8)))
        seconds = time.monotonic() - started  # on this machine, as busy as it is
        for _ in range(25):
            await asyncio.gather(*(stopped(chance.uniform(0, 2 * seconds)) for _ in range(8)))

    asyncio.run(run())
    assert server.wait_until(lambda: server.active_chats == 0, 1)
    assert server.wait_until(lambda: server.counters.open_connections == 0, 1)
    assert server.disconnects > 50


def test_one_engine_serves_several_event_loops(server: OllamaServer) -> None:
    engine = OllamaEngine(SETTINGS, server.url)
    for _ in range(2):
        assert asyncio.run(engine.version()) == "0.12.6"
        assert [model.name for model in asyncio.run(engine.models())] == [MODEL]


def test_models_that_only_embed_are_left_out() -> None:
    models: dict[str, dict[str, Any]] = {
        "llama3.2:1b": {"size": 42},
        "all-minilm:latest": {"family": "bert", "capabilities": ["embedding"]},
        "old-embedder": {"family": "nomic-bert", "capabilities": None},
        "old-chat": {"family": "llama", "capabilities": None},
        "big:cloud": {"remote_host": "https://ollama.com"},
    }
    with OllamaServer(models=models) as server:
        found = asyncio.run(OllamaEngine(SETTINGS, server.url).models())
    assert [(model.name, model.remote) for model in found] == [
        ("llama3.2:1b", False), ("old-chat", False), ("big:cloud", True),
    ]  # fmt: skip
    assert (found[0].size_bytes, found[0].family) == (42, "llama")


def test_a_model_of_the_cloud_passes_for_none_of_this_machine_though_the_server_tells_little() -> None:
    models: dict[str, dict[str, Any]] = {"mine": {}, "kimi-k2:1t-cloud": {}, "other": {"remote_host": "https://ollama.com"}}
    with OllamaServer(models=models, behaviour=Behaviour(old=True)) as server:
        found = asyncio.run(OllamaEngine(SETTINGS, server.url).models())
    assert {model.name: model.remote for model in found} == {"mine": False, "kimi-k2:1t-cloud": True, "other": True}


def test_what_a_model_can_do_is_asked_once(server: OllamaServer) -> None:
    engine = OllamaEngine(SETTINGS, server.url)
    asyncio.run(engine.models())
    asyncio.run(engine.models())
    assert [path for path, _ in server.counters.requests].count("/api/show") == 1


def test_a_proxy_of_the_environment_is_not_asked_for_loopback(
    server: OllamaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = f"http://127.0.0.1:{free_port()}"
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, dead)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert asyncio.run(OllamaEngine(SETTINGS, server.url).version()) == "0.12.6"


def test_connections_are_closed_after_each_call(server: OllamaServer) -> None:
    ask(server)
    assert server.wait_until(lambda: server.counters.open_connections == 0, 1)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),  # noqa: S104 - where it is dialled, not bound
        ("0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("http://0.0.0.0:8080", "http://127.0.0.1:8080"),
        (":8080", "http://127.0.0.1:8080"),
        ("example.com", "http://example.com:11434"),
        ("example.com:8080", "http://example.com:8080"),
        ("http://example.com", "http://example.com:80"),
        ("https://example.com", "https://example.com:443"),
        ("https://example.com/ollama/", "https://example.com:443/ollama"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("::1", "http://[::1]:11434"),
        ("[::]", "http://[::1]:11434"),
        ("localhost", "http://localhost:11434"),
        (' "127.0.0.1" ', "http://127.0.0.1:11434"),
        ("127.0.0.1:port", "http://127.0.0.1:11434"),
        ("127.0.0.1:99999", "http://127.0.0.1:11434"),
    ],
)
def test_hosts_are_read_as_ollama_reads_them(host: str, url: str) -> None:
    assert dial_url(host) == url


@pytest.mark.parametrize("host", ["ftp://example.com", "http://[::1", "my computer"])
def test_what_is_no_address_is_refused(host: str) -> None:
    with pytest.raises(EngineError) as caught:
        OllamaEngine(SETTINGS, host)
    assert caught.value.code == "engine_bad_host"


def test_loopback_is_told_from_the_rest() -> None:
    assert all(
        map(is_loopback, ("http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1", "http://127.9.9.9:1"))
    )
    assert not any(
        map(is_loopback, ("http://example.com:1", "http://192.168.1.2:1", "http://localhost.evil.com:1"))
    )
