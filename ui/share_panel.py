"""The Share panel: a link for guests, who is there, what they ask, which documents they find. Layout, then events."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import gradio as gr

from core.documents.background import BackgroundIndexing
from core.documents.store import Store
from core.errors import AppError
from ui import share_script
from ui.chat_settings import drawer_head
from ui.every_second import EverySecond
from ui.feedback import EACH, QUIET, error_notice, html_block, label, language_of, notices_html
from ui.share_view import Guest, asked_view, documents_view, guests_view, share_pill, state_view
from ui.sharing import DEFAULT_MINUTES, MINUTES, Asked, ShareStatus, Sharing
from ui.workshop import Workshop

_PARTS = 7  # that `refresh` brings up to date
_log = logging.getLogger(__name__)


def pill() -> gr.HTML:
    """The header's button, which opens the panel and says how sharing stands."""
    return html_block(share_pill(ShareStatus("off")), elem_id="share", js_on_load=share_script.COUNTDOWN)


def build(workshop: Workshop, every_second: EverySecond, header: gr.HTML) -> None:
    """Lay out the drawer and wire it, and `header`, which `pill` made."""
    events = ShareEvents(workshop.sharing, workshop.collection.store, workshop.background, workshop.settings.data_dir)
    seen = gr.State(None)
    with gr.Column(elem_id="share-panel", elem_classes="drawer"):
        html_block(drawer_head("share.title"))
        notices = html_block(elem_id="share-notices")
        state = html_block(elem_id="share-state", js_on_load=share_script.STATE)
        with gr.Column(elem_id="share-form") as form:
            minutes = gr.Radio([(label(f"share.minutes_{count}"), count) for count in MINUTES], value=DEFAULT_MINUTES,
                               label=label("share.how_long"), elem_id="share-minutes")
            start = gr.Button(label("share.start"), variant="primary", elem_id="share-start")
        guests = html_block(elem_id="share-guests", js_on_load=share_script.PEOPLE)
        asked = html_block(elem_id="share-asked", js_on_load=share_script.PEOPLE)
        with gr.Accordion(label("share.documents"), open=False, elem_id="share-documents"):
            documents = html_block(js_on_load=share_script.DOCUMENTS)

    shown = [seen, header, state, form, guests, asked, documents]
    every_second.add(events.refresh, [seen], shown)
    start.click(events.start, [minutes], [notices, *shown], **QUIET)
    state.click(events.stop, None, [notices, *shown], **QUIET)
    guests.click(events.end_guest, None, shown, **EACH)
    documents.click(events.allow, None, [notices, *shown], **EACH)


@dataclass(frozen=True)
class Seen:
    """What a page shows: a part is drawn anew when what it shows has changed."""

    status: ShareStatus
    guests: tuple[Guest, ...]
    asked: tuple[Asked, ...]
    documents: tuple[tuple[str, bool], ...]  # and whether guests may find them


class ShareEvents:
    """What happens in the panel. All pages share it."""

    def __init__(self, sharing: Sharing, store: Store, background: BackgroundIndexing, data_dir: Path) -> None:
        self._sharing, self._store, self._background, self._folder = sharing, store, background, data_dir
        self._named: tuple[int, tuple[str, ...]] = (-1, ())  # the documents' names, as of a version

    def refresh(self, seen: Seen | None, request: gr.Request) -> list[Any]:
        """The panel as it is now, as far as it changed since `seen`."""
        return self._drawn(seen, language_of(request))

    async def start(self, minutes: int, request: gr.Request) -> AsyncGenerator[list[Any], None]:
        """Open the page for guests: that it begins, then the way in or what went wrong."""
        language = language_of(request)
        starting = asyncio.create_task(self._sharing.start(minutes if minutes in MINUTES else DEFAULT_MINUTES))
        await asyncio.sleep(0)
        yield ["", *self._drawn(None, language)]
        try:
            await starting
            said = ""
        except AppError as error:
            said = "" if self._is_told(error) else notices_html(error_notice(language, error))
        except Exception:
            _log.exception("Sharing could not be started")
            said = notices_html(error_notice(language, AppError("unexpected")))
        yield [said, *self._drawn(None, language)]

    def _is_told(self, error: AppError) -> bool:
        """Whether the panel says it anyway, or the reader knows."""
        return error.code == "share_cancelled" or self._sharing.status.error == (error.code, error.values)

    async def stop(self, request: gr.Request) -> list[Any]:
        """End the sharing, or its beginning."""
        await self._sharing.stop()
        return ["", *self._drawn(None, language_of(request))]

    def end_guest(self, event: gr.EventData, request: gr.Request) -> list[Any]:
        """End one guest's session."""
        self._sharing.end_guest(str((event._data or {}).get("id", "")))
        return self._drawn(None, language_of(request))

    def allow(self, event: gr.EventData, request: gr.Request) -> list[Any]:
        """Let guests find documents, or no longer."""
        data, language, said = event._data or {}, language_of(request), ""
        try:
            self._sharing.allow(map(str, data.get("sources") or ()), bool(data.get("allowed")))
        except AppError as error:
            said = notices_html(error_notice(language, error))
        except OSError:
            _log.warning("What guests may see could not be saved", exc_info=True)
            said = notices_html(error_notice(language, AppError("share_not_saved", folder=str(self._folder))))
        return [said, *self._drawn(None, language)]

    def _drawn(self, seen: Seen | None, language: str) -> list[Any]:
        now = self._now()
        if now == seen:
            return [gr.skip()] * _PARTS
        status, documents = now.status, now.documents
        found = sum(allowed for _, allowed in documents)
        parts: list[tuple[set[str], Any]] = [  # what each tells of
            ({"status"}, share_pill(status)),
            ({"status", "documents"}, state_view(language, status, found, len(documents))),
            ({"status"}, gr.update(visible=status.state == "off")),
            ({"status", "guests"}, guests_view(language, status, now.guests)),
            ({"status", "asked"}, asked_view(language, status, now.asked)),
            ({"documents"}, documents_view(language, documents)),
        ]
        changed = {field.name for field in fields(Seen)
                   if seen is None or getattr(seen, field.name) != getattr(now, field.name)}
        return [now, *[part if changed & tells else gr.skip() for tells, part in parts]]

    def _sources(self) -> tuple[str, ...]:
        """The documents' names, read again when something about documents changed."""
        version = self._background.version
        if self._named[0] != version:
            self._named = version, tuple(document.source for document in self._store.documents())
        return self._named[1]

    def _now(self) -> Seen:
        documents = tuple((source, self._sharing.allowed(source)) for source in self._sources())
        minute = time.time() // 60
        guests = tuple(Guest(one.id, one.name, one.since, 0 if one.here else int(minute - one.seen // 60))
                       for one in self._sharing.guests())
        return Seen(self._sharing.status, guests, tuple(self._sharing.asked()), documents)
