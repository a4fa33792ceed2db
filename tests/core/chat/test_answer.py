"""One question, from search to Done, with a server that speaks Ollama's protocol and with no model at all."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from core.chat.answer import answer
from core.chat.events import AnswerOptions, ChatEvent, Done, Partial, Sources, Thought
from core.chat.queue import Queues
from core.documents.search import Hit
from core.engines.base import Engine, Message
from core.engines.ollama import OllamaEngine
from core.engines.passages import PassagesEngine
from core.errors import AppError, DocumentError, EngineError
from core.settings import Settings
from tests.core.chat.conftest import MakeHits, Shelf
from tests.ollama_server import OllamaServer

MODEL = "qwen3:4b"


def events_of(question: str, hits: list[Hit], engine: Engine, settings: Settings | None = None,
              history: list[Message] | None = None, options: AnswerOptions | None = None) -> list[ChatEvent]:
    async def collect() -> list[ChatEvent]:
        return [event async for event in answer(question, history or [], Shelf(hits), engine, MODEL,
                                                settings or Settings(), options)]

    return asyncio.run(collect())


def ollama(server: OllamaServer) -> OllamaEngine:
    return OllamaEngine(replace(Settings(), ollama_host=server.url))


def test_sources_come_first_then_a_growing_answer_then_done(make_hits: MakeHits) -> None:
    hits = make_hits("The rent is due in May.", "Tomatoes grow.")
    with OllamaServer(models={MODEL: {}}) as server:
        events = events_of("When is the rent due?", hits, ollama(server))
    assert isinstance(events[0], Sources)
    assert events[0].hits == tuple(hits)
    assert isinstance(events[-1], Done)
    parts = [event.text for event in events if isinstance(event, Partial)]
    assert all(after.startswith(before) for before, after in itertools.pairwise(parts))
    assert events[-1].text.startswith(parts[-1])
    assert all(hit in hits for hit in events[-1].citations)
    thoughts = [event.text for event in events if isinstance(event, Thought)]
    assert thoughts == sorted(thoughts, key=len)


def test_the_engine_gets_passages_history_and_question(make_hits: MakeHits) -> None:
    history = [Message("user", "Hello?"), Message("assistant", "Hi.")]
    with OllamaServer(models={MODEL: {}}) as server:
        events_of("  When is the rent due?  ", make_hits("In May."), ollama(server), history=history)
        (chat,) = server.chats
    assert [message["content"] for message in chat["messages"][1:3]] == ["Hello?", "Hi."]
    assert "In May." in chat["messages"][-1]["content"]
    assert chat["messages"][-1]["content"].endswith("\n\nWhen is the rent due?")


def test_without_a_model_the_passages_answer(make_hits: MakeHits) -> None:
    hits = make_hits("Los tomates maduran en agosto.", "El alquiler vence en mayo.")
    events = events_of("¿Cuándo vence el alquiler?", hits, PassagesEngine())
    done = events[-1]
    assert isinstance(done, Done)
    assert "El alquiler vence en mayo" in done.text
    assert done.citations[0].rank == 2


@pytest.mark.parametrize(("question", "code"), [("", "question_empty"), (" \n ", "question_empty"),
                                                ("x" * 10_000, "question_too_long")])
def test_a_question_that_cannot_be_asked_is_refused_before_any_work(question: str, code: str) -> None:
    class Untouchable(Shelf):
        def search(self, question: str, top_k: int, sources: Sequence[str] = ()) -> list[Hit]:
            raise AssertionError("searched")

    async def ask() -> None:
        async for _ in answer(question, [], Untouchable(), PassagesEngine(), "", Settings()):
            raise AssertionError("answered")

    with pytest.raises(AppError) as caught:
        asyncio.run(ask())
    assert caught.value.code == code


def test_stopping_before_the_first_token_closes_the_connection_at_once(make_hits: MakeHits) -> None:
    async def stop_early(server: OllamaServer) -> float:
        events = answer("When?", [], Shelf(make_hits("May.")), ollama(server), MODEL, Settings())
        async def all_of_it() -> None:
            async for _ in events:
                pass

        waiting = asyncio.ensure_future(all_of_it())
        await asyncio.to_thread(server.wait_until, lambda: server.active_chats == 1)
        stopped = time.monotonic()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await events.aclose()
        assert await asyncio.to_thread(server.wait_until, lambda: server.disconnects == 1, 2)
        return time.monotonic() - stopped

    with OllamaServer(models={MODEL: {}}) as server:
        server.behave(fault="stall_before")
        assert asyncio.run(stop_early(server)) < 1


def test_closing_between_two_tokens_closes_the_connection(make_hits: MakeHits) -> None:
    async def leave(server: OllamaServer) -> None:
        events = answer("When?", [], Shelf(make_hits("May.")), ollama(server), MODEL, Settings())
        async for event in events:
            if isinstance(event, Partial):
                break
        await events.aclose()
        assert await asyncio.to_thread(server.wait_until, lambda: server.active_chats == 0, 2)

    with OllamaServer(models={MODEL: {}}) as server:
        server.behave(tokens_per_second=20)
        asyncio.run(leave(server))
        assert server.disconnects == 1


def test_an_engine_that_is_not_there_is_an_engine_error(make_hits: MakeHits) -> None:
    with OllamaServer(models={MODEL: {}}) as server:
        engine = ollama(server)
    with pytest.raises(EngineError):
        events_of("When?", make_hits("May."), engine)


def test_a_stream_that_breaks_off_is_an_engine_error(make_hits: MakeHits) -> None:
    with OllamaServer(models={MODEL: {}}) as server:
        server.behave(fault="break_middle")
        with pytest.raises(EngineError) as caught:
            events_of("When?", make_hits("May."), ollama(server))
    assert caught.value.code == "engine_broken_stream"


def test_an_answer_cut_at_the_models_limit_says_so(make_hits: MakeHits) -> None:
    with OllamaServer(models={MODEL: {}}) as server:
        server.behave(fault="cut")
        done = events_of("When?", make_hits("May."), ollama(server))[-1]
    assert isinstance(done, Done)
    assert done.cut


def test_a_failed_search_is_the_searchs_own_error() -> None:
    class Broken(Shelf):
        def search(self, question: str, top_k: int, sources: Sequence[str] = ()) -> list[Hit]:
            raise DocumentError("embedder_failed", detail="x")

    async def ask() -> list[ChatEvent]:
        library = Broken(names=["a.txt"])
        return [event async for event in answer("When is it due?", [], library, PassagesEngine(), "", Settings())]

    with pytest.raises(DocumentError):
        asyncio.run(ask())


def test_what_did_not_fit_is_counted_before_the_answer(make_hits: MakeHits) -> None:
    history = [Message("user", "x" * 9000), Message("assistant", "y" * 9000)]
    with OllamaServer(models={MODEL: {}}) as server:
        events = events_of("When is the rent due?", make_hits(*["z" * 5000] * 5), ollama(server), history=history,
                           options=AnswerOptions(top_k=5))
    assert isinstance(events[0], Sources)
    assert events[0].dropped_messages == 2
    assert events[0].dropped_passages == 5 - len(events[0].hits) > 0
    assert 0 < events[0].budget.used < events[0].budget.limit == 8192


def test_after_two_hundred_random_stops_no_connection_is_left(make_hits: MakeHits) -> None:
    """Alone, in the queue, while rewriting, before and between tokens."""
    chosen = random.Random(4)
    history = [Message("user", "When is the rent due?"), Message("assistant", "In May [1].")]

    async def one(engine: Engine, queues: Queues, number: int) -> None:
        question = "And why is that?" if number % 2 else "When is the rent of the office due?"
        events = answer(question, history, Shelf(make_hits("May.")), engine, MODEL, Settings(), queues=queues,
                        person=str(number % 7))

        async def read() -> None:
            async with contextlib.aclosing(events):
                async for _ in events:
                    pass

        task = asyncio.create_task(read())
        await asyncio.sleep(chosen.random() * 0.15)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def all_of_them(engine: Engine) -> None:
        queues = Queues()
        for start in range(0, 200, 10):
            await asyncio.gather(*(one(engine, queues, start + number) for number in range(10)))

    with OllamaServer(models={MODEL: {}}) as server:
        server.behave(tokens_per_second=40)
        asyncio.run(all_of_them(ollama(server)))
        assert server.wait_until(lambda: server.active_chats == 0 and server.counters.open_connections == 0, 2)
