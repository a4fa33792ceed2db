"""The list of conversations: searched, opened, renamed, deleted and brought back, exported. A person sees their own."""

from __future__ import annotations

import asyncio
import functools
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from html import escape
from typing import Any

import gradio as gr

from core.chat.conversations import Conversations
from core.chat.exports import as_json, as_markdown
from core.chat.turns import Conversation, Summary
from core.errors import AppError
from ui.chat_session import Session
from ui.feedback import language_of
from ui.i18n import plural, translate
from ui.visitors import GUEST_OWNER, VISITOR, Visitor

LISTED = 300
_DAY_SECONDS = 86_400


def visitor_of(request: gr.Request) -> Visitor | None:
    """The guest who asks; None for the owner."""
    scope = getattr(request.request, "scope", None) or {}
    visitor: Visitor | None = scope.get(VISITOR)
    return visitor


def owner_of(request: gr.Request) -> str:
    """Whose conversations a request may see: the owner's, or those of one guest's session."""
    visitor = visitor_of(request)
    return f"{GUEST_OWNER}{visitor.id}" if visitor is not None else ""


class ConversationList:
    """What the list's buttons do; each returns the list's HTML, and `act` a file to download or nothing, with passages
    of the documents that may be read now."""

    def __init__(self, conversations: Conversations, allowed: Callable[[str], bool] = lambda source: True) -> None:
        self._conversations, self._allowed = conversations, allowed

    async def find(self, query: str, session: Session, request: gr.Request) -> str:
        return await self.html(language_of(request), owner_of(request), session, query)

    async def act(self, event: gr.EventData, query: str, session: Session, request: gr.Request) -> list[Any]:
        """Rename, export, delete, or undo that."""
        language, owner = language_of(request), owner_of(request)
        conversation_id, download, undo = str(event.id), gr.skip(), ""
        try:
            conversation = await asyncio.to_thread(self._conversations.get, conversation_id, owner)
            match event.act:
                case "rename":
                    await asyncio.to_thread(self._conversations.rename, conversation_id, str(event.value))
                case "delete":
                    await asyncio.to_thread(self._conversations.delete, conversation_id)
                    undo = conversation_id
                case "undo":
                    await asyncio.to_thread(self._conversations.restore, conversation_id)
                case "markdown" | "json":
                    download = self._export(language, conversation, event.act)
        except AppError:
            pass  # another window was faster; the list below shows how it is now
        return [await self.html(language, owner, session, query, undo), download]

    async def html(self, language: str, owner: str, session: Session, query: str = "", undo: str = "") -> str:
        found = await asyncio.to_thread(self._conversations.list, query, owner, LISTED)
        session.listed = [(summary.id, summary.title) for summary in found]
        return conversation_list(language, found, session.conversation_id, query, undo)

    def _export(self, language: str, conversation: Conversation, kind: str) -> str:
        shown = replace(conversation, turns=[
            replace(turn, hits=tuple(hit for hit in turn.hits if self._allowed(hit.source)))
            for turn in conversation.turns])
        text = as_json(shown) if kind == "json" else as_markdown(shown, functools.partial(translate, language))
        name = re.sub(r"[^\w -]", "", conversation.title).strip()[:60] or "Taller"
        ending, mime = ("json", "application/json") if kind == "json" else ("md", "text/markdown")
        # The time makes the same export a new one for the browser.
        return (f'<span hidden data-file="{escape(name, quote=True)}.{ending}" data-type="{mime}" '
                f'data-at="{time.time()}">{escape(text)}</span>')


def conversation_list(language: str, found: Sequence[Summary], current: str, query: str = "", undo: str = "") -> str:
    """Titles under the days they were last used, each with a menu."""
    notice = ""
    if undo:
        notice = (f'<div class="notice" role="status" data-undo="{escape(undo)}">'
                  f'{escape(translate(language, "chat.deleted"))} '
                  f'<button type="button" data-act="undo">{escape(translate(language, "chat.undo"))}</button></div>')
    if not found:
        key = "chat.none_found" if query.strip() else "chat.none_yet"
        return f'{notice}<p class="hint">{escape(translate(language, key))}</p>'
    parts, day = [], ""
    for summary in found:
        if (own := _day(summary.updated)) != day:
            parts.append(f'{"</ul>" if day else ""}<h3>{escape(translate(language, f"chat.{own}"))}</h3><ul>')
            day = own
        parts.append(_row(language, summary, summary.id == current))
    more = f'<p class="hint">{escape(translate(language, "chat.list_cut"))}</p>' if len(found) >= LISTED else ""
    return (f'{notice}<nav class="conversations" aria-label="{escape(translate(language, "chat.conversations"))}">'
            f'{"".join(parts)}</ul></nav>{more}')


def _row(language: str, summary: Summary, current: bool) -> str:
    title = summary.title or translate(language, "chat.untitled")
    acts = "".join(f'<button type="button" data-act="{act}">{escape(translate(language, f"chat.{act}"))}</button>'
                   for act in ("rename", "markdown", "json", "delete"))
    menu = escape(translate(language, "chat.menu_of", title=title), quote=True)
    turns = escape(plural(language, "chat.questions", summary.turns), quote=True)
    return (f'<li data-id="{escape(summary.id)}"{" data-current" if current else ""}>'
            f'<button type="button" class="open" data-act="open" title="{escape(title, quote=True)} · {turns}"'
            f'{" aria-current=true" if current else ""}>{escape(title)}</button>'
            f'<details class="menu"><summary aria-label="{menu}" title="{menu}">⋯</summary>'
            f"<div>{acts}</div></details></li>")


def _day(updated: float) -> str:
    """The end of a locale key: when that was, by this machine's calendar."""
    today = time.mktime((*time.localtime()[:3], 0, 0, 0, 0, 0, -1))
    for name, days in (("today", 0), ("yesterday", 1), ("last_week", 7), ("last_month", 30)):
        if updated >= today - days * _DAY_SECONDS:
            return name
    return "longer_ago"
