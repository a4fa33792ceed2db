"""The guests' page: ask, read the answers and the pages they come from, and see one's own conversations.

A page of its own with handlers of its own: what is not wired here, a guest cannot call. Layout first, then what it
does.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import gradio as gr

from core.chat.answer import check_question
from core.chat.library import CollectionLibrary
from core.chat.shared import SharedLibrary
from core.documents.preview import Previewer
from core.errors import AppError
from ui import chat_script
from ui.chat_answering import Answering, Parts, Update
from ui.chat_evidence import Evidence
from ui.chat_list import ConversationList, visitor_of
from ui.chat_markdown import LATEX_DELIMITERS
from ui.chat_session import Session
from ui.chat_settings import drawer_head
from ui.chat_switching import Switching
from ui.chat_tab import conversations_column, icon_button, welcome_text, words_for_script
from ui.chat_view import Message
from ui.feedback import EACH, QUIET, both, html_block, label, language_of, tell_progress_to
from ui.page_header import SWITCH_LANGUAGE, brand, language_switch
from ui.sharing import Sharing
from ui.visitors import Visitor
from ui.workshop import Workshop

# The handlers a guest may call, by name. A test holds the page to them: who wires another one decides so here.
HANDLERS = frozenset({"ask", "rest", "restore", "new", "select", "act", "find", "earlier", "show"})
MAX_QUESTION_CHARS = 2000
MAX_ANSWER_TOKENS = 1500


def build_guest_page(workshop: Workshop) -> gr.Blocks:
    """The whole page."""
    with gr.Blocks(title="Taller", analytics_enabled=False, fill_width=True, elem_id="guest-page") as page:
        with gr.Row(elem_id="header"):
            html_block(brand(), elem_id="brand", scale=1)
            html_block(f'<span class="pill plain">{both("share.you_are_guest")}</span>', elem_id="engine")
            html_block(language_switch(), elem_id="language", js_on_load=SWITCH_LANGUAGE)
            html_block(_leave(), elem_id="leave")
            drawers = html_block("<span></span>", elem_id="drawers", js_on_load=chat_script.PAGE)
        session = gr.State(GuestSession())
        with gr.Row(elem_id="chat"):
            new, find, listed = conversations_column()
            parts = _conversation(listed)
        download = html_block(elem_id="download", js_on_load=chat_script.DOWNLOAD)
        _wire(workshop, page, session, parts, new, find, download)
    tell_progress_to(drawers, page)
    return page


def _conversation(listed: gr.HTML) -> Parts:
    with gr.Column(scale=3, min_width=300, elem_id="conversation"):
        with gr.Row(elem_id="chat-bar"):
            html_block(icon_button("list", "chat.conversations", "☰"), min_width=36, elem_classes="icon")
            meter = html_block(elem_id="context-meter")
            html_block(icon_button("evidence", "chat.sources", "❝"), min_width=36, elem_classes="icon narrow-only")
        bar = html_block(elem_id="chat-memory", js_on_load=chat_script.REMEMBER)
        earlier = gr.Button(label("chat.earlier"), size="sm", visible=False, elem_id="earlier")
        chatbot = gr.Chatbot(label=label("chat.conversation"), show_label=False, elem_id="messages", height=420,
                             buttons=["copy"], layout="bubble", group_consecutive_messages=False,
                             latex_delimiters=LATEX_DELIMITERS, placeholder=welcome_text())
        welcome = gr.Row(elem_id="welcome")
        box = gr.MultimodalTextbox(label=label("chat.question"), placeholder=label("chat.placeholder"),
                                   show_label=False, sources=[], max_plain_text_length=20_000, elem_id="question",
                                   autofocus=True)
        html_block(words_for_script(), js_on_load=chat_script.CONVERSATION, elem_classes="unseen")
        spoken = html_block(elem_id="spoken", elem_classes="unseen", js_on_load=chat_script.FINISHED,
                            html_template='<div role="status">${value}</div>')
    with gr.Column(scale=2, min_width=280, elem_id="evidence"):
        html_block(drawer_head("chat.sources"), elem_classes="narrow-only")
        sources = html_block(f'<div class="empty">{both("chat.sources_empty")}</div>', elem_id="sources",
                             js_on_load=chat_script.EVIDENCE)
        view = html_block(elem_id="page-view", js_on_load=chat_script.VIEWER)
    return Parts(box, chatbot, sources, view, meter, bar, listed, welcome, earlier, spoken)


def _wire(workshop: Workshop, page: gr.Blocks, session: gr.State, parts: Parts, new: gr.Button, find: gr.Textbox,
          download: gr.HTML) -> None:
    evidence = GuestEvidence(workshop.previewer, workshop.sharing)
    conversations = ConversationList(workshop.conversations, workshop.sharing.allowed)
    answering = GuestAnswering(workshop, parts, evidence, conversations)
    switching = Switching(workshop, parts, answering, evidence, conversations)
    shown = parts.all()

    asked = parts.box.submit(answering.ask, [parts.box, session], shown, show_progress_on=parts.chatbot, **QUIET)
    asked.then(answering.rest, [session, find], shown, **QUIET)
    parts.box.stop(None, None, None, cancels=[asked], api_visibility="private")
    recalled = gr.Textbox(visible=False)
    page.load(switching.restore, [recalled, session], shown, js=chat_script.RECALL, **QUIET)
    new.click(switching.new, [find, session], shown, cancels=[asked], **QUIET)
    parts.listed.select(switching.select, [find, session], shown, cancels=[asked], **EACH)
    parts.listed.click(conversations.act, [find, session], [parts.listed, download], **EACH)
    find.change(conversations.find, [find, session], [parts.listed], trigger_mode="always_last", **QUIET)
    parts.earlier.click(switching.earlier, [session], shown, **QUIET)
    for source in (parts.sources, parts.page):
        source.click(evidence.show, [session], [parts.sources, parts.page], **EACH)


class GuestSession(Session):
    """A conversation without the buttons that would ask differently: how a guest is answered is the owner's choice."""

    def messages(self, language: str, before: str = "") -> list[Message]:
        return [{name: value for name, value in message.items() if name != "options"}
                for message in super().messages(language, before)]


class GuestAnswering(Answering):
    """Answers a guest: from the documents they may see, one question at a time, behind the owner's."""

    def __init__(self, workshop: Workshop, parts: Parts, evidence: Evidence, conversations: ConversationList) -> None:
        library = SharedLibrary(CollectionLibrary(workshop.collection), workshop.sharing.allowed)
        super().__init__(workshop, parts, evidence, conversations, library)
        self._asking: set[str] = set()

    async def ask(self, message: dict[str, Any], session: Session, request: gr.Request) -> AsyncIterator[Update]:
        """Answer one question, as it is written. Files are no part of it."""
        visitor = visitor_of(request)
        if visitor is None or visitor.ended:  # the door lets guests alone come here
            return
        try:
            question = self._checked(str(message.get("text") or ""), visitor)
        except AppError as error:
            yield self.refuse(language_of(request), session, error)
            return
        self._asking.add(visitor.id)
        try:
            self._workshop.sharing.note(visitor, question)
            session.options = replace(session.options, picked="", strict=True, max_tokens=MAX_ANSWER_TOKENS)
            async with contextlib.aclosing(self.run(question, session, request, [])) as updates:
                async for update in updates:
                    if visitor.ended:  # and perhaps nobody reads this
                        return
                    yield update
        finally:
            self._asking.discard(visitor.id)

    def _checked(self, text: str, visitor: Visitor) -> str:
        """The question. Raises AppError when it may not be asked now."""
        if visitor.id in self._asking:
            raise AppError("guest_busy")
        if len(text) > MAX_QUESTION_CHARS:
            raise AppError("guest_too_long", limit=MAX_QUESTION_CHARS, length=len(text))
        return check_question(text, self._workshop.settings)


class GuestEvidence(Evidence):
    """Shows passages and pages of documents that guests may see now."""

    def __init__(self, previewer: Previewer, sharing: Sharing) -> None:
        super().__init__(previewer)
        self._sharing = sharing

    async def of(self, language: str, session: Session, turn: int, number: int, page: int | None = None) -> list[Any]:
        hits = session.turns[turn].hits
        if not all(self._sharing.allowed(hit.source) for hit in hits):
            return [f'<div class="empty">{both("share.not_shared_now")}</div>', ""]
        return await super().of(language, session, turn, number, page)


def _leave() -> str:
    return (f'<form method="post" action="/taller/logout"><button class="link-button">{both("share.leave")}</button>'
            "</form>")
