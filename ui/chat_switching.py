"""Going from one conversation to another: the last one when the page is opened, an old one, a new one."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import Any

import gradio as gr

from core.chat.citations import cited
from core.errors import AppError
from ui.chat_answering import Answering, Parts, Update, bar_memory, resting
from ui.chat_evidence import Evidence, source_cards
from ui.chat_list import ConversationList, owner_of
from ui.chat_session import MESSAGES_SHOWN, Session
from ui.chat_settings import ChatSettings, SettingsParts
from ui.chat_view import context_meter
from ui.feedback import language_of
from ui.workshop import Workshop


class Switching:
    """The handlers that change which conversation a window shows. A running answer is ended by the event itself.
    Without `fields` a conversation's settings are not shown."""

    def __init__(self, workshop: Workshop, parts: Parts, answering: Answering, evidence: Evidence,
                 conversations: ConversationList, fields: SettingsParts | None = None) -> None:
        self._workshop, self._parts, self._fields = workshop, parts, fields
        self._answering, self._evidence, self._list = answering, evidence, conversations
        self._settings = ChatSettings(workshop)

    async def restore(self, conversation_id: str, session: Session, request: gr.Request) -> Update:
        """The conversation this window had before it was loaded anew."""
        await self._open(conversation_id, session, request)
        return await self._everything(session, request)

    async def select(self, event: gr.EventData, query: str, session: Session, request: gr.Request) -> Update:
        """A conversation of the list is opened, or the open one is deleted."""
        if event.act == "delete":
            listed, _ = await self._list.act(event, query, session, request)
            session.clear()
            update = await self._everything(session, request, query)
            return {**update, self._parts.listed: listed}
        await self._open(str(event.id), session, request)
        return await self._everything(session, request, query)

    async def new(self, query: str, session: Session, request: gr.Request) -> Update:
        """An empty conversation."""
        session.clear()
        return await self._everything(session, request, query)

    async def talk_to(self, picked: str, query: str, session: Session, request: gr.Request) -> Update:
        """An empty conversation with a model of the reader's choice, "engine|model", which may say what it knows
        itself."""
        session.clear()
        session.options = replace(session.options, picked=picked, strict=False)
        return await self._everything(session, request, query)

    async def catch_up(self, query: str, session: Session, request: gr.Request) -> Update:
        """What another window changed in the open conversation or in the list, while none is written here."""
        kept, owner, language = self._workshop.conversations, owner_of(request), language_of(request)
        revision, conversation_id, update = kept.revision, session.conversation_id, dict[Any, Any]()
        if session.active is not None or revision == session.revision:
            return update
        session.revision, listed = revision, session.listed
        found = await self._list.html(language, owner, session, query)
        if session.listed != listed:
            update[self._parts.listed] = found
        with contextlib.suppress(AppError):
            turns = (await asyncio.to_thread(kept.get, conversation_id, owner)).turns if conversation_id else []
            if session.conversation_id == conversation_id and session.catch_up(turns):
                update |= self._answering.messages(language, session)
                update[self._parts.meter] = context_meter(language, session.turns)
        return update

    def earlier(self, session: Session, request: gr.Request) -> Update:
        """More of a long conversation."""
        session.shown += MESSAGES_SHOWN
        return self._answering.messages(language_of(request), session)

    async def _open(self, conversation_id: str, session: Session, request: gr.Request) -> None:
        """Show it, if it is there and this person's; else the window has a new one."""
        session.clear()
        if not conversation_id:
            return
        try:
            session.open(await asyncio.to_thread(self._workshop.conversations.get, conversation_id,
                                                 owner_of(request)))
        except AppError:
            return

    async def _everything(self, session: Session, request: gr.Request, query: str = "") -> Update:
        """All of the tab as the session has it."""
        parts, language = self._parts, language_of(request)
        sources, page = await self._last_evidence(language, session)
        fields: Update = {}
        if self._fields is not None:
            fields = dict(zip(self._fields.all(), await self._settings.fields(session, request), strict=True))
        # What was typed meanwhile stays.
        return {parts.box: resting(clear=False), **self._answering.messages(language, session),
                parts.sources: sources, parts.page: page, parts.meter: context_meter(language, session.turns),
                parts.bar: bar_memory(session), **fields,
                parts.listed: await self._list.html(language, owner_of(request), session, query)}

    async def _last_evidence(self, language: str, session: Session) -> list[Any]:
        """The first source of the last answer that has any."""
        for index in range(len(session.turns) - 1, -1, -1):
            turn = session.turns[index]
            if turn.hits:
                first = (cited(turn.answer, turn.hits) or list(turn.hits))[0]
                return await self._evidence.of(language, session, index, first.rank)
        return [source_cards(language, (), 0), ""]
