"""Answers behind the page, without a browser: many at once over one slow engine, stops, and closed windows."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from typing import Any

import gradio as gr
import pytest
from starlette.requests import Request

from core.chat.conversations import Conversations
from core.documents.background import BackgroundIndexing
from core.documents.collection import Collection
from core.documents.preview import Previewer
from core.finetune.runs import Runs
from core.settings import Settings
from tests.ollama_server import OllamaServer
from ui.chat_answering import Answering, Parts
from ui.chat_evidence import Evidence
from ui.chat_list import ConversationList
from ui.chat_session import Session
from ui.chat_switching import Switching
from ui.house import House
from ui.workshop import Engines, Workshop

QUESTION = "How often is pump X22 checked?"
FACT = "Pump X22 must be checked every 220 hours of operation."


@pytest.fixture(scope="module")
def ollama() -> Iterator[OllamaServer]:
    with OllamaServer(models={"gpt-oss:20b": {}}) as server:
        yield server


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory, ollama: OllamaServer) -> Iterator[Workshop]:
    folder = tmp_path_factory.mktemp("chat")
    settings = Settings(docs_dir=folder / "docs", data_dir=folder / "data", runs_dir=folder / "runs",
                        ollama_host=ollama.url)
    settings.docs_dir.mkdir()
    (settings.docs_dir / "pumps.txt").write_text(FACT, encoding="utf-8")
    with Collection(settings) as collection, contextlib.ExitStack() as stack:
        conversations = Conversations(folder / "conversations.sqlite3")
        background = BackgroundIndexing(collection)
        background.start()
        previewer = Previewer(settings, collection.store)
        for close in (conversations.close, background.close, previewer.close):
            stack.callback(close)
        background.sync_folder()
        found = wait(lambda: "pumps.txt" in {one.source for one in collection.store.documents() if one.chunks})
        assert found
        yield Workshop(settings, collection, background, previewer, Engines(settings), Runs(settings), "model",
                       conversations, House(settings, "127.0.0.1", (), "").sharing)


def wait(condition: Any, seconds: float = 60) -> bool:
    give_up = time.monotonic() + seconds
    while not condition() and time.monotonic() < give_up:
        time.sleep(0.05)
    return bool(condition())


@pytest.fixture(scope="module")
def answering(workshop: Workshop) -> Answering:
    with gr.Blocks():
        html = [gr.HTML() for _ in range(6)]
        parts = Parts(gr.MultimodalTextbox(), gr.Chatbot(), html[0], html[1], html[2], html[3], html[4], gr.Row(),
                      gr.Button(), html[5], gr.Radio())
    return Answering(workshop, parts, Evidence(workshop.previewer), ConversationList(workshop.conversations))


def request(person: str) -> gr.Request:
    made = gr.Request(request=Request({"type": "http", "headers": [(b"accept-language", b"en")]}), session_hash=person)
    made.username = None
    return made


def test_sixteen_people_each_get_their_answer_in_turn_and_see_their_place(
    answering: Answering, ollama: OllamaServer
) -> None:
    async def ask(person: int, order: list[int]) -> tuple[Session, set[str]]:
        session, seen = Session(), set[str]()
        async with contextlib.aclosing(answering.ask({"text": QUESTION, "files": []}, session,
                                                     request(str(person)))) as updates:  # type: ignore[type-var]
            async for update in updates:
                messages = update.get(answering._parts.chatbot, [])
                seen |= {message["content"] for message in messages if "queue" in message["content"]}
        order.append(person)
        return session, seen

    async def test() -> None:
        order: list[int] = []
        ollama.behave(reply=f"{FACT} [1]", tokens_per_second=60, thinking="")
        async with asyncio.timeout(60):
            made = await asyncio.gather(*(ask(person, order) for person in range(16)))
        assert [session.turns[0].state for session, _ in made] == ["done"] * 16
        assert all("220 hours" in session.turns[0].answer for session, _ in made)
        assert sorted(order) == list(range(16))
        assert sum(bool(seen) for _, seen in made) >= 10  # who waited was told where

    asyncio.run(test())


@pytest.mark.parametrize("anew", [False, True])
@pytest.mark.parametrize("words", [0, 3])
def test_a_closed_window_frees_the_model_within_a_second_and_keeps_what_was_written(
    answering: Answering, workshop: Workshop, ollama: OllamaServer, words: int, anew: bool
) -> None:
    async def test() -> None:
        if words:
            ollama.behave(fault=None, reply="one two three four five " * 40, tokens_per_second=20, thinking="")
        else:
            ollama.behave(fault="stall_before")
        session = Session()
        if anew:
            first = session.begin(workshop.conversations, QUESTION, "")
            session.end(workshop.conversations, first, session.conversation_id)
        updates: Any = (answering.retry(session, request("a")) if anew else
                        answering.ask({"text": QUESTION, "files": []}, session, request("a")))
        async with asyncio.timeout(30):
            async for _ in updates:
                written = len(session.turns[0].answer.split()) if session.turns else 0
                if ollama.active_chats and written >= words:
                    break
        await updates.aclose()
        assert ollama.wait_until(lambda: ollama.active_chats == 0, seconds=1.0)
        (turn,) = workshop.conversations.get(session.conversation_id).turns
        assert turn.state == "stopped" and len(turn.answer.split()) >= words

    asyncio.run(test())
    ollama.behave(fault=None)


def test_a_question_that_cannot_be_asked_leaves_nothing_behind(answering: Answering) -> None:
    async def test() -> None:
        session = Session()
        for _ in range(2):
            async for _ in answering.ask({"text": "   ", "files": []}, session, request("a")):
                pass
        assert len(session.turns) == 1 and session.conversation_id == ""

    asyncio.run(test())


def test_another_window_of_the_conversation_catches_up_once_and_keeps_its_question(
    answering: Answering, workshop: Workshop, ollama: OllamaServer
) -> None:
    parts, listed = answering._parts, ConversationList(workshop.conversations)
    switching = Switching(workshop, parts, answering, Evidence(workshop.previewer), listed)

    async def test() -> None:
        ollama.behave(reply=f"{FACT} [1]", tokens_per_second=0, thinking="")
        here, there = Session(), Session()
        async for _ in answering.ask({"text": QUESTION, "files": []}, here, request("a")):
            pass
        await switching.restore(here.conversation_id, there, request("b"))
        assert parts.chatbot not in await switching.catch_up("", there, request("b"))
        assert (await switching.catch_up("", here, request("a"))).keys() <= {parts.listed}
        async for _ in answering.ask({"text": "Who signs?", "files": []}, here, request("a")):
            pass
        update = await switching.catch_up("", there, request("b"))
        assert update[parts.chatbot] == here.messages("en") and parts.box not in update
        assert await switching.catch_up("", there, request("b")) == {}

    asyncio.run(test())
