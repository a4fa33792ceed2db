"""The panel beside the table: the passages of a document, or a question tried on the documents. Layout, then events."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

import gradio as gr

from core.errors import AppError
from ui.documents_script import PANEL
from ui.feedback import EACH, QUIET, error_notice, html_block, label, language_of, notices_html
from ui.inside_view import PASSAGES_SHOWN, hits_view, passages_view, scope_text, try_intro
from ui.workshop import Workshop

_HITS = 10
_log = logging.getLogger(__name__)


def build(workshop: Workshop, documents: gr.HTML, chosen: gr.State) -> tuple[InsideEvents, list[Any]]:
    """Lay out the panel beside the table `documents`, whose ticks fill `chosen`. Returns its events, and the components
    that `open` and `try_search` fill."""
    events = InsideEvents(workshop)
    opened = gr.State("")
    asked = gr.State("")
    with gr.Column(visible=False, scale=2, min_width=300, elem_id="inside") as panel:
        with gr.Row(elem_classes="toolbar"):
            close = gr.Button(label("documents.close"), size="sm", scale=0, min_width=90, elem_id="inside-close")
        question = gr.Textbox(label=label("documents.try_question"), placeholder=label("documents.try_placeholder"),
                              show_label=False, container=False, max_length=8000, visible=False, submit_btn=True,
                              max_lines=4, elem_id="try-question")
        scope = html_block(elem_id="inside-scope")
        body = html_block(elem_id="inside-body", js_on_load=PANEL)
    parts = [panel, question, scope, body, opened, asked]
    question.submit(events.search, [question, chosen], [body, asked], **QUIET)
    chose = documents.select(events.choose, [opened], [chosen, scope], **EACH)
    chose.then(events.search, [asked, chosen], [body, asked], **QUIET)
    body.click(events.turn, [opened], [body], **EACH)
    close.click(events.close, None, parts, **QUIET)
    return events, parts


class InsideEvents:
    """What happens in the panel. `opened` is the document whose passages are shown, `asked` the question whose hits
    are."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    async def open(self, event: gr.EventData, request: gr.Request) -> list[Any]:
        """Show a document's passages from the first on."""
        source = str((event._data or {}).get("source", ""))
        shown = await asyncio.to_thread(self._passages, language_of(request), source, 0)
        return [gr.update(visible=True), gr.update(visible=False), "", shown, source, ""]

    async def turn(self, event: gr.EventData, opened: str, request: gr.Request) -> Any:
        """Another twenty passages."""
        offset = str((event._data or {}).get("offset", ""))
        if not offset.isdecimal():
            return gr.skip()
        return await asyncio.to_thread(self._passages, language_of(request), opened, int(offset))

    def try_search(self, chosen: list[str], request: gr.Request) -> list[Any]:
        """Show the search box."""
        return [gr.update(visible=True), gr.update(visible=True), scope_text(language_of(request), chosen), try_intro(),
                "", ""]

    def choose(self, event: gr.EventData, opened: str, request: gr.Request) -> list[Any]:
        """The documents that are ticked, and where a question is searched now."""
        chosen = [str(source) for source in (event._data or {}).get("sources") or ()]
        return [chosen, "" if opened else scope_text(language_of(request), chosen)]

    async def search(self, question: str, chosen: list[str], request: gr.Request) -> list[Any]:
        """The passages a question finds, in the chosen documents where there are any; and the question."""
        language = language_of(request)
        if not question.strip():
            return [gr.skip(), gr.skip()]
        try:
            shown = await asyncio.to_thread(self._hits, language, question, chosen)
        except AppError as error:
            shown = notices_html(error_notice(language, error))
        except Exception:
            _log.exception("A search failed")
            shown = notices_html(error_notice(language, AppError("unexpected")))
        return [shown, question]

    def close(self) -> list[Any]:
        return [gr.update(visible=False), gr.update(visible=False), "", "", "", ""]

    def _passages(self, language: str, source: str, offset: int) -> str:
        store = self._workshop.collection.store
        document = store.document(source)
        if document is None:
            return notices_html(error_notice(language, AppError("document_gone"), source))
        return passages_view(language, document, store.passages(source, offset, PASSAGES_SHOWN), offset)

    def _hits(self, language: str, question: str, chosen: list[str]) -> str:
        self._workshop.background.wait_until_ready()
        started = time.perf_counter()
        hits = self._workshop.collection.search(question, _HITS, sources=chosen or None)
        return hits_view(language, question, hits, 1000 * (time.perf_counter() - started))
