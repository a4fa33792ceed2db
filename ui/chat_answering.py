"""A question on its way to its answer: asked, asked anew, stopped, and shown as it is written."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from core.chat.answer import answer, check_question
from core.chat.citations import cited
from core.chat.events import ChatEvent, Done, Sources
from core.chat.library import CollectionLibrary, Library
from core.chat.turns import Turn, history_of
from core.engines.choice import Choice
from core.errors import AppError
from ui.adding import add_files
from ui.chat_evidence import Evidence, source_cards
from ui.chat_list import ConversationList, owner_of, visitor_of
from ui.chat_session import Session
from ui.chat_view import FREE, context_meter
from ui.feedback import language_of
from ui.i18n import explain, translate
from ui.pacing import paced
from ui.workshop import Workshop

_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.3
_SAVE_SECONDS = 2.0  # what a killed program may lose of an answer
_END_SECONDS = 1.0  # for a stopped answer to be put away
Update = dict[Any, Any]


@dataclass(frozen=True)
class Parts:
    """The components that answering fills."""

    box: gr.MultimodalTextbox
    chatbot: gr.Chatbot
    sources: gr.HTML
    page: gr.HTML
    meter: gr.HTML
    bar: gr.HTML
    listed: gr.HTML
    welcome: gr.Row
    earlier: gr.Button
    spoken: gr.HTML
    strict: gr.Radio | None = None

    def all(self) -> list[Any]:
        return [part for part in vars(self).values() if part is not None]


class Answering:
    """The handlers that stream. Each yields what changes, by component."""

    def __init__(self, workshop: Workshop, parts: Parts, evidence: Evidence, conversations: ConversationList,
                 library: Library | None = None) -> None:
        self._workshop, self._parts = workshop, parts
        self._evidence, self._list = evidence, conversations
        self._library = library or CollectionLibrary(workshop.collection)

    async def ask(self, message: dict[str, Any], session: Session, request: gr.Request) -> AsyncIterator[Update]:
        """Answer one message, as it is written. Stop cancels this; what was shown stays."""
        parts, language = self._parts, language_of(request)
        files = [str(file) for file in message.get("files") or []]
        dropped: list[str] = []
        if files:
            turn, dropped = await self._take_files(language, files)
            session.tell(turn)
            if not message["text"].strip():
                yield {parts.box: resting(clear=True), **self.messages(language, session)}
                return
        try:
            question = check_question(message["text"], self._workshop.settings)
        except AppError as error:
            yield self.refuse(language, session, error)
            return
        async with contextlib.aclosing(self.run(question, session, request, dropped)) as updates:
            async for update in updates:
                yield update

    def refuse(self, language: str, session: Session, error: AppError) -> Update:
        """Say why a question cannot be asked; it stays in the box, to be mended there."""
        refused = Turn("")
        refused.fail(error)
        session.turns = [turn for turn in session.turns if turn.error is None or turn.question]
        session.tell(refused)
        return {self._parts.box: resting(clear=False), **self.messages(language, session)}

    async def edit(self, event: gr.EditData, session: Session, request: gr.Request) -> AsyncIterator[Update]:
        """Ask an earlier question anew, as the reader wrote it now; what came after it goes."""
        position = event.index if isinstance(event.index, int) else event.index[0]
        turn = session.owner(language_of(request), position)
        async with contextlib.aclosing(self._again(session, request, turn, str(event.value))) as updates:
            async for update in updates:
                yield update

    async def retry(self, session: Session, request: gr.Request) -> AsyncGenerator[Update, None]:
        """Ask the last question anew."""
        index = next((at for at in range(len(session.turns) - 1, -1, -1) if session.turns[at].question), None)
        async with contextlib.aclosing(self._again(session, request, index)) as updates:
            async for update in updates:
                yield update

    async def choose(self, event: gr.SelectData, session: Session, request: gr.Request) -> AsyncIterator[Update]:
        """A button below the last answer: the question once more, perhaps without the limits of strict mode."""
        if event.value == FREE:
            session.choose(self._workshop.conversations, strict=False)
            yield {self._parts.strict: gr.update(value="free")}
        async with contextlib.aclosing(self.retry(session, request)) as updates:
            async for update in updates:
                yield update

    async def rest(self, session: Session, query: str, request: gr.Request) -> Update:
        """After an answer, also after Stop: the send button is back, and what was cut short says so."""
        parts, language = self._parts, language_of(request)
        give_up = time.monotonic() + _END_SECONDS
        while session.active is not None:
            if time.monotonic() > give_up:  # the next question is being answered already
                return {parts.spoken: gr.skip()}
            await asyncio.sleep(0.02)
        said = ""
        if session.turns:
            last = session.turns[-1]
            said = (explain(language, AppError(last.error[0], **last.error[1])) if last.error
                    else translate(language, f"chat.said_{last.state}"))
        listed = await self._list.html(language, owner_of(request), session, query)
        return {parts.box: resting(clear=False), **self.messages(language, session), parts.listed: listed,
                parts.meter: context_meter(language, session.turns),
                parts.spoken: f'<span data-at="{time.time()}">{said}</span>'}

    def messages(self, language: str, session: Session, before: str = "") -> Update:
        """The conversation, and whether there is one."""
        parts = self._parts
        return {parts.chatbot: session.messages(language, before),
                parts.welcome: gr.update(visible=not session.turns),
                parts.earlier: gr.update(visible=session.earlier())}

    async def _again(self, session: Session, request: gr.Request, index: int | None,
                     question: str | None = None) -> AsyncGenerator[Update, None]:
        """The question of a turn once more, in its place."""
        if index is None or not session.turns[index].question:
            return
        try:
            question = check_question(session.turns[index].question if question is None else question,
                                      self._workshop.settings)
        except AppError:
            yield self.messages(language_of(request), session)
            return
        session.take_back(self._workshop.conversations, index)
        async with contextlib.aclosing(self.run(question, session, request, [])) as updates:
            async for update in updates:
                yield update

    async def run(self, question: str, session: Session, request: gr.Request,
                   dropped: list[str]) -> AsyncGenerator[Update, None]:
        """One turn from its question to its end, which is kept however it comes."""
        parts, language = self._parts, language_of(request)
        kept = self._workshop.conversations
        turn = session.begin(kept, question, owner_of(request))
        conversation_id = session.conversation_id
        before = translate(language, "chat.status_files") if dropped else self._waiting_text(language)
        saved = time.monotonic()
        try:
            if len(session.turns) == 1:
                yield {parts.listed: await self._list.html(language, owner_of(request), session)}
            yield {parts.box: gr.update(value=None, submit_btn=False, stop_btn=True),
                   **self.messages(language, session, before), parts.page: "",
                   parts.sources: source_cards(language, (), 0), parts.bar: bar_memory(session)}
            events = self._events(turn, session, request, dropped)
            async with contextlib.aclosing(paced(events)) as groups:
                async for group in groups:
                    if session.active is not turn:
                        return  # the reader went on to something else
                    if not group:
                        yield {parts.spoken: gr.skip()}
                        continue
                    yield await self._apply(language, session, turn, group, before)
                    if time.monotonic() - saved > _SAVE_SECONDS:
                        saved = time.monotonic()
                        session.save(kept, turn)
        except AppError as error:
            turn.fail(error)
        except Exception:
            _log.exception("An answer failed")
            turn.fail(AppError("unexpected"))
        finally:
            session.end(kept, turn, conversation_id)

    async def _apply(self, language: str, session: Session, turn: Turn, group: list[ChatEvent],
                     before: str) -> Update:
        """Bring the turn up to the newest events, and show what they changed."""
        parts, index = self._parts, len(session.turns) - 1
        update: Update = {}
        for event in group:
            turn.apply(event)
            if isinstance(event, Sources):
                update[parts.sources] = source_cards(language, turn.hits, index)
                update[parts.meter] = context_meter(language, session.turns)
            elif isinstance(event, Done):
                first = (cited(turn.answer, turn.hits) or list(turn.hits))[:1]
                if first:
                    update[parts.sources], update[parts.page] = await self._evidence.of(
                        language, session, index, first[0].rank)
        return {parts.chatbot: session.messages(language, before), **update}

    async def _events(self, turn: Turn, session: Session, request: gr.Request,
                      dropped: list[str]) -> AsyncGenerator[ChatEvent, None]:
        """The events of an answer, by the engine the reader picked, once search is ready and knows the documents
        that came with the question."""
        choice = await self._choice(session.options.picked)
        turn.model = f"{choice.status.engine}|{choice.status.model}"
        await asyncio.to_thread(self._workshop.background.wait_until_ready)
        await self._first_documents()
        await self._searchable(dropped)
        person = owner_of(request) or str(request.session_hash)
        events = answer(turn.question, history_of(session.turns[:-1]), self._library,
                        choice.engine, choice.status.model, self._workshop.settings, session.options,
                        self._workshop.conversations.calibration, self._workshop.queues, person,
                        behind=visitor_of(request) is not None)
        async with contextlib.aclosing(events) as stream:
            async for event in stream:
                yield event

    async def _first_documents(self) -> None:
        """Wait until a document can be found, where there will be one: nobody wants to hear that there are none while
        the first is being read."""
        background, store = self._workshop.background, self._workshop.collection.store
        while not background.warm.is_set() and background.error is None:  # noqa: ASYNC110 - as below
            await asyncio.sleep(_POLL_SECONDS)
        waited = False
        while await asyncio.to_thread(lambda: bool(store.pending()) and not store.shown_contents()):
            waited = True
            await asyncio.sleep(_POLL_SECONDS)
        if waited:
            await asyncio.to_thread(self._workshop.collection.searcher.sync)

    async def _searchable(self, sources: list[str]) -> None:
        """Wait until these documents are found, or have failed."""
        collection = self._workshop.collection
        if not sources:
            return
        # Polled, so that Stop ends it: the thread that indexes knows no event loop.
        while not set(sources).isdisjoint(await asyncio.to_thread(collection.store.pending)):  # noqa: ASYNC110
            await asyncio.sleep(_POLL_SECONDS)
        await asyncio.to_thread(collection.searcher.sync)

    async def _choice(self, picked: str) -> Choice:
        if not picked:
            return await self._workshop.engines.current()
        return await self._workshop.engines.chooser.with_model(*picked.split("|", 1))

    async def _take_files(self, language: str, files: list[str]) -> tuple[Turn, list[str]]:
        """Files dropped onto the chat go into the library: a turn that says what came of them, and the new ones."""
        added = await asyncio.to_thread(add_files, self._workshop, language, files, "keep_both")
        notes = [("chat.told", {"text": notice.text}) for notice in added.notices]
        return Turn("", notes=[(key, dict(values)) for key, values in notes], state="done"), added.sources

    def _waiting_text(self, language: str) -> str:
        return translate(language, "chat.status_search" if self._workshop.warm else "chat.status_warming_up")


def resting(*, clear: bool) -> Any:
    """The question box when no answer is being written."""
    if clear:
        return gr.update(value=None, submit_btn=True, stop_btn=False)
    return gr.update(submit_btn=True, stop_btn=False)


def bar_memory(session: Session) -> str:
    """Which conversation is open, for the window to remember."""
    return f'<span hidden data-conversation="{session.conversation_id}"></span>'
