"""OpenAICompatibleEngine against a real HTTP server that speaks the protocol and fails on demand."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from core.engines.base import ChatRequest, EngineEvent, Finished, Message, Thinking, Token
from core.engines.openai_compatible import DEFAULT_CONTEXT, OpenAICompatibleEngine
from core.engines.openai_stream import ThinkSplitter
from core.engines.server_url import base_url
from core.errors import EngineError
from core.settings import Settings
from tests.openai_server import OpenAIServer
from ui.i18n import explain

MODEL = "llama-3.3-70b"
SETTINGS = Settings(first_token_timeout_seconds=20, token_timeout_seconds=20, connect_timeout_seconds=3)
PROMPT = '<passage number="1" source="a.txt" page="2">The ferry leaves at nine.</passage>\nWhen does it leave?'


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer([{"id": MODEL, "max_model_len": 16384}]) as running:
        yield running


def request(**changes: Any) -> ChatRequest:
    values = {"model": MODEL, "messages": (Message("system", "Be brief."), Message("user", PROMPT)), "question": PROMPT}
    return ChatRequest(**{**values, **changes})


def ask(server: OpenAIServer, settings: Settings = SETTINGS, key: str = "", **changes: Any) -> list[EngineEvent]:
    async def collected() -> list[EngineEvent]:
        engine = OpenAICompatibleEngine(server.url, key, settings)
        return [event async for event in engine.chat(request(**changes))]

    return asyncio.run(collected())


def text(events: list[EngineEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Token))


def thought(events: list[EngineEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Thinking))


def models(server: OpenAIServer, key: str = "") -> list[Any]:
    return asyncio.run(OpenAICompatibleEngine(server.url, key, SETTINGS).models())


@pytest.mark.parametrize("place", ["reasoning_content", "reasoning", "tags"])
def test_thinking_is_told_apart_wherever_the_server_puts_it(server: OpenAIServer, place: str) -> None:
    server.behave(thinking="Let me look at it.", thinking_in=place, reply="Nine, says <think>.")
    events = ask(server)
    assert (thought(events), text(events)) == ("Let me look at it.", "Nine, says <think>.")


def test_tags_are_found_however_the_text_is_cut() -> None:
    whole = "<think>\none </t two\n</think>\n\nanswer <b>"
    for size in range(1, len(whole) + 1):
        splitter = ThinkSplitter()
        cuts = [whole[at:at + size] for at in range(0, len(whole), size)]
        events = [event for cut in cuts for event in splitter.feed(cut)] + list(splitter.close())
        assert (thought(events).strip(), text(events).strip()) == ("one </t two", "answer <b>"), size


def test_thinking_that_never_ends_is_no_answer() -> None:
    splitter = ThinkSplitter()
    events = [*splitter.feed("<think>on and </th"), *splitter.close()]
    assert (thought(events), text(events)) == ("on and </th", "")


def test_the_request_carries_what_was_asked_for_and_nothing_else(server: OpenAIServer) -> None:
    ask(server)
    ask(server, temperature=0.2, max_tokens=50, think="off")
    ask(server, think="high")
    plain, tuned, levelled = server.chats
    assert set(plain) == {"model", "messages", "stream", "stream_options"}
    assert (tuned["temperature"], tuned["max_tokens"]) == (0.2, 50)
    assert tuned["chat_template_kwargs"] == {"enable_thinking": False}
    assert levelled["reasoning_effort"] == "high"


def test_a_server_that_does_not_count_tokens_answers_all_the_same(server: OpenAIServer) -> None:
    server.behave(refuses_stream_options=True)
    last = ask(server)[-1]
    assert isinstance(last, Finished)
    assert last.usage.answer_tokens == 0
    assert ["stream_options" in chat for chat in server.chats] == [True, False]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("model_missing", "engine_server_model_missing"),
        ("too_long", "engine_context_too_small"),
        ("too_long_llama", "engine_context_too_small"),
        ("too_large", "engine_context_too_small"),
        ("busy", "engine_server_busy"),
        ("overloaded", "engine_server_busy"),
        ("out_of_memory", "engine_out_of_memory"),
        ("forbidden", "engine_server_key"),
        ("server_error", "engine_server_refused"),
        ("not_json", "engine_server_bad_answer"),
        ("error_at_200", "engine_server_refused"),
        ("break_before", "engine_broken_stream"),
        ("break_middle", "engine_broken_stream"),
        ("end_early", "engine_broken_stream"),
        ("error_in_stream", "engine_server_refused"),
        ("not_json_middle", "engine_server_bad_answer"),
        ("wrong_shape", "engine_server_bad_answer"),
    ],
)
def test_every_fault_has_its_sentence(server: OpenAIServer, fault: str, code: str) -> None:
    server.behave(fault=fault)
    with pytest.raises(EngineError) as caught:
        ask(server)
    assert caught.value.code == code
    for language in ("es", "en"):
        assert "{" not in explain(language, caught.value)
    assert server.wait_until(lambda: server.open_connections == 0, 1)


def test_a_dead_server_is_unreachable_but_its_context_is_guessed() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        engine = OpenAICompatibleEngine(f"127.0.0.1:{taken.getsockname()[1]}", "", SETTINGS)
    with pytest.raises(EngineError) as caught:
        asyncio.run(engine.models())
    assert (caught.value.code, caught.value.values) == ("engine_server_unreachable", {"host": engine.url})
    assert asyncio.run(engine.context("any")) == DEFAULT_CONTEXT


def test_the_key_goes_to_the_server_and_nowhere_else() -> None:
    with OpenAIServer([{"id": MODEL, "max_model_len": 4096}], key="top-secret-key") as server:
        assert text(ask(server, key="top-secret-key"))
        engine = OpenAICompatibleEngine(server.url, "wrong-key-words", SETTINGS)
        for call in (engine.models, lambda: anext(engine.chat(request()))):
            with pytest.raises(EngineError) as caught:
                asyncio.run(call())
            assert caught.value.code == "engine_server_key"
            shown = str(caught.value) + repr(engine) + explain("es", caught.value)
            assert "wrong-key-words" not in shown


def test_a_refusal_that_repeats_the_key_is_shown_without_it(server: OpenAIServer) -> None:
    from core.engines.openai_stream import meaning, problem

    body = {"error": {"message": "Incorrect API key provided: sk-12345678. Bearer abcdef is wrong"}}
    shown = str(meaning(problem(400, body), MODEL, 0))
    assert "12345678" not in shown
    assert "abcdef" not in shown


def test_a_key_that_cannot_be_sent_is_refused_at_once(server: OpenAIServer) -> None:
    for key in ("clave-ñ", "two\nlines"):
        with pytest.raises(EngineError):
            OpenAICompatibleEngine(server.url, key, SETTINGS)


def test_the_context_is_what_the_server_gives_each_model() -> None:
    llama = {"id": "m.gguf", "meta": {"n_ctx_train": 131072, "size": 42}}
    cases: list[tuple[dict[str, Any], dict[str, object], int]] = [
        ({"id": MODEL, "max_model_len": 16384}, {}, 16384),
        (llama, {"/props": {"default_generation_settings": {"n_ctx": 4096}}}, 4096),
        (llama, {}, DEFAULT_CONTEXT),
        ({"id": "lm"}, {"/api/v0/models": {"data": [{"id": "lm", "loaded_context_length": 6000}]}}, 6000),
        ({"id": "lm"}, {"/api/v0/models": {"data": [{"id": "lm", "max_context_length": 32768}]}}, 4096),
        ({"id": "other"}, {}, DEFAULT_CONTEXT),
    ]
    for entry, pages, expected in cases:
        with OpenAIServer([entry], pages=pages) as server:
            engine = OpenAICompatibleEngine(server.url, "", SETTINGS)
            assert asyncio.run(engine.context(entry["id"])) == expected, entry


def test_models_that_do_not_chat_are_left_out() -> None:
    entries = [{"id": "qwen3-8b"}, {"id": "text-embedding-nomic"}, {"id": "x", "type": "embeddings"}, {"no": "id"}, "?"]
    with OpenAIServer(entries) as server:  # type: ignore[arg-type]
        found = models(server)
    assert [(model.name, model.engine, model.remote) for model in found] == [("qwen3-8b", "openai", False)]
    assert found[0].think_levels == ("off", "on")


@pytest.mark.parametrize("answer", ["<html>", "[]", '{"data": 3}'])
def test_something_else_at_the_address_is_told_so(answer: str) -> None:
    with OpenAIServer([], pages={"/v1/models": answer}) as server, pytest.raises(EngineError) as caught:
        models(server)
    assert caught.value.code == "engine_server_bad_answer"


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("127.0.0.1:8000", "http://127.0.0.1:8000/v1"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000/v1"),
        (" http://host:1234/v1/ ", "http://host:1234/v1"),
        ("http://host:1234/v1/chat/completions", "http://host:1234/v1"),
        ("https://example.com/llm", "https://example.com/llm/v1"),
        ("https://example.com/v1beta/openai/", "https://example.com/v1beta/openai"),
        ("api.example.com", "https://api.example.com/v1"),
        ("gpu-box", "http://gpu-box/v1"),
        ("192.168.1.20", "http://192.168.1.20/v1"),
        ("[::1]:8000", "http://[::1]:8000/v1"),
    ],
)
def test_addresses_are_read_in_the_forms_people_write(written: str, url: str) -> None:
    assert base_url(written) == url


@pytest.mark.parametrize("written", ["", "ftp://host", "http://", "my server", "http://h:99999", "http://h/?q=1", "//"])
def test_what_is_no_address_is_refused(written: str) -> None:
    with pytest.raises(EngineError) as caught:
        base_url(written)
    assert caught.value.code == "engine_server_url"


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(EngineError) as caught:
        base_url("http://me:hunter2@host:8000")
    assert caught.value.code == "engine_server_url_user"
    assert "hunter2" not in str(caught.value)
