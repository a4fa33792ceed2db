"""What an answer's stream promises, whichever server writes it: its end, its silences, and that leaving frees it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from core.engines.base import ChatRequest, Engine, EngineEvent, Finished, Message, Token
from core.engines.ollama import OllamaEngine
from core.engines.openai_compatible import OpenAICompatibleEngine
from core.errors import EngineError
from core.settings import Settings
from tests.ollama_server import OllamaServer
from tests.openai_server import OpenAIServer

MODEL = "gpt-oss:20b"
PROMPT = '<passage number="1" source="a.txt" page="2">The ferry leaves at nine.</passage>\nWhen does it leave?'
REQUEST = ChatRequest(MODEL, (Message("system", "Be brief."), Message("user", PROMPT)), question=PROMPT)
PATIENT = Settings(first_token_timeout_seconds=20, token_timeout_seconds=20)


@dataclass
class Asked:
    """A server and the engine that speaks to it."""

    server: OllamaServer | OpenAIServer

    def engine(self, settings: Settings = PATIENT) -> Engine:
        if isinstance(self.server, OllamaServer):
            return OllamaEngine(settings, self.server.url)
        return OpenAICompatibleEngine(self.server.url, "", settings)

    def events(self, settings: Settings = PATIENT) -> list[EngineEvent]:
        """What came, until the end or the first error."""
        async def collected() -> list[EngineEvent]:
            got: list[EngineEvent] = []
            with contextlib.suppress(EngineError):
                async for event in self.engine(settings).chat(REQUEST):
                    got.append(event)
            return got

        return asyncio.run(collected())


@pytest.fixture(params=["ollama", "openai"])
def asked(request: pytest.FixtureRequest) -> Iterator[Asked]:
    server = OllamaServer({MODEL: {}}) if request.param == "ollama" else OpenAIServer([{"id": MODEL}])
    with server:
        yield Asked(server)


def text(events: list[EngineEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Token))


def test_tokens_arrive_and_the_usage_closes_the_answer(asked: Asked) -> None:
    events = asked.events()
    assert text(events) == "The document says: The ferry leaves at nine [1]."
    last = events[-1]
    assert isinstance(last, Finished)
    assert (last.usage.answer_tokens, last.cut) == (9, False)
    assert last.usage.prompt_tokens > 0 < last.usage.seconds


def test_an_answer_at_the_length_limit_is_marked_cut(asked: Asked) -> None:
    asked.server.behave(fault="cut")
    last = asked.events()[-1]
    assert isinstance(last, Finished) and last.cut


def test_tokens_before_a_break_are_kept(asked: Asked) -> None:
    asked.server.behave(fault="break_middle", reply="one two three four")
    assert text(asked.events()) == "one two"


@pytest.mark.parametrize(("fault", "settings"), [
    ("stall_before", Settings(first_token_timeout_seconds=0.3)), ("stall_middle", Settings(token_timeout_seconds=0.3))])
def test_silence_ends_in_a_timeout_and_frees_the_server(asked: Asked, fault: str, settings: Settings) -> None:
    asked.server.behave(fault=fault)

    async def listen() -> None:
        async for _ in asked.engine(settings).chat(REQUEST):
            pass

    with pytest.raises(EngineError) as caught:
        asyncio.run(listen())
    assert caught.value.code == "engine_timeout"
    assert asked.server.wait_until(lambda: asked.server.disconnects == 1, 1)


def test_stopping_before_the_first_token_frees_the_server_within_a_second(asked: Asked) -> None:
    server = asked.server
    server.behave(fault="stall_before")

    async def run() -> float:
        async def listen() -> None:
            async for _ in asked.engine().chat(REQUEST):
                pass

        task = asyncio.create_task(listen())
        await asyncio.to_thread(server.wait_until, lambda: server.active_chats == 1)
        stopped = time.monotonic()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await asyncio.to_thread(server.wait_until, lambda: server.active_chats == 0)
        return time.monotonic() - stopped

    assert asyncio.run(run()) < 1
    assert server.disconnects == 1


def test_closing_the_generator_in_the_middle_frees_the_server(asked: Asked) -> None:
    server = asked.server
    server.behave(reply="word " * 500, tokens_per_second=50)

    async def run() -> None:
        stream = asked.engine().chat(REQUEST)
        async for event in stream:
            if isinstance(event, Token):
                break
        await stream.aclose()
        assert await asyncio.to_thread(server.wait_until, lambda: server.disconnects == 1, 1)

    asyncio.run(run())
