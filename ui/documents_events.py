"""What the buttons of the Documents tab do. Knows the library and the HTML, not the layout."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from core.documents.library import OnConflict
from core.errors import AppError
from ui import documents_view
from ui.adding import add_files
from ui.documents_view import COLUMNS, ROWS_SHOWN, TableView
from ui.feedback import Notice, error_notice, language_of, notices_html
from ui.i18n import plural, translate
from ui.workshop import Workshop

_PARTS = 8  # of the tab that `refresh` brings up to date
_LONG_TABLE_SECONDS = 5.0  # more than ROWS_SHOWN rows keep a browser busy: so often while work goes on


@dataclass(frozen=True)
class Seen:
    """What a page shows of the documents, and since when (time.monotonic())."""

    version: int
    look: tuple[TableView, str, str]  # how it looks at them, its filter, its language
    rows: int
    at: float

    def holds(self, version: int, look: tuple[TableView, str, str]) -> bool:
        """Whether it need not be drawn anew yet."""
        fresh = self.rows > ROWS_SHOWN and time.monotonic() - self.at < _LONG_TABLE_SECONDS
        return self.look == look and (self.version == version or fresh)


class DocumentEvents:
    """`taken` lists dropped files, by path, whose name another content has."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def refresh(self, seen: Seen | None, view: TableView, wanted: str | None, request: gr.Request) -> list[Any]:
        """The tab as it is now, when something changed since `seen`."""
        background = self._workshop.background
        wanted = wanted or ""  # None before the tab was opened
        version, language = background.version, language_of(request)
        look = (view, wanted, language)
        if seen is not None and seen.holds(version, look):
            return [gr.skip()] * _PARTS
        documents = self._workshop.collection.store.documents()
        rows = len(documents) if view.whole else min(len(documents), ROWS_SHOWN)
        return [
            Seen(version, look, rows, time.monotonic()),
            documents_view.table(language, documents, view, wanted),
            documents_view.busy_line(language, documents, background.error, background.pace.passages_per_second),
            gr.update(visible=bool(self._workshop.collection.store.trash())),
            gr.update(visible=bool(self._workshop.collection.library.guides())),
            gr.update(visible=bool(background.missing)),
            documents_view.missing_text(language, background.missing),
            documents_view.unreadable_text(language, background.unreadable),
        ]

    def redraw(self, view: TableView, wanted: str | None, request: gr.Request) -> list[Any]:
        """The tab as it is now, at once: the reader has just done something."""
        return self.refresh(None, view, wanted, request)

    # Files come in.

    async def drop(self, files: list[str] | None, taken: list[str], request: gr.Request) -> list[Any]:
        """Files dropped; those dropped earlier whose question is still open stay in it."""
        return [None, *await self._add(language_of(request), files or [], "ask", taken)]

    async def replace(self, taken: list[str], request: gr.Request) -> list[Any]:
        return await self._add(language_of(request), taken, "replace")

    async def keep_both(self, taken: list[str], request: gr.Request) -> list[Any]:
        return await self._add(language_of(request), taken, "keep_both")

    def leave(self, taken: list[str], request: gr.Request) -> list[Any]:
        for path in taken:
            Path(path).unlink(missing_ok=True)
        left = Notice(translate(language_of(request), "documents.left"))
        return [notices_html(left), [], gr.update(visible=False), ""]

    async def _add(self, language: str, files: list[str], on_conflict: OnConflict,
                   open_question: Sequence[str] = ()) -> list[Any]:
        """Add files and say what came of each: notices, taken names, their question."""
        added = await asyncio.to_thread(add_files, self._workshop, language, files, on_conflict)
        taken = [*open_question, *added.taken]
        return [notices_html(*added.notices), taken, gr.update(visible=bool(taken)),
                documents_view.conflict_text(language, taken)]

    # The folder.

    def sync(self, request: gr.Request) -> str:
        self._workshop.background.sync_folder()
        return notices_html(Notice(translate(language_of(request), "documents.sync_started")))

    async def forget(self, request: gr.Request) -> str:
        return await self._told(self._forget, language_of(request))

    def _forget(self, language: str) -> Notice:
        self._workshop.collection.library.forget(self._workshop.background.missing)
        self._workshop.background.sync_folder()
        return Notice(translate(language, "documents.forgotten"), "done")

    # Files go out and come back.

    async def undo(self, request: gr.Request) -> str:
        return await self._told(self._undo, language_of(request))

    def _undo(self, language: str) -> Notice:
        sources = self._workshop.collection.library.undo()
        if not sources:
            return Notice(translate(language, "documents.undo_nothing"))
        return Notice(plural(language, "documents.undone", len(sources), source=sources[0]), "done")

    async def put_guide_away(self, request: gr.Request) -> str:
        return await self._told(self._put_guide_away, language_of(request))

    def _put_guide_away(self, language: str) -> Notice:
        library = self._workshop.collection.library
        library.remove(*library.guides())
        return Notice(translate(language, "documents.guide_away"), "done")

    # The table.

    async def act(self, event: gr.EventData, view: TableView, request: gr.Request) -> list[Any]:
        """A button of the table: notices, and how the table is looked at. What it says may come from anywhere."""
        data = event._data or {}
        act, language = str(data.get("act")), language_of(request)
        if act == "sort" and data.get("column") in COLUMNS:
            return [gr.skip(), view.sorted_by(data["column"])]
        if act == "whole":
            return [gr.skip(), replace(view, whole=True)]
        sources = [str(source) for source in data.get("sources") or ()]
        step = {"remove": self._remove, "cancel": self._cancel, "retry": self._reindex,
                "reindex": self._reindex}.get(act)
        if step is None:
            return [gr.skip(), gr.skip()]
        return [await self._told(step, language, sources), gr.skip()]

    async def cancel_all(self, request: gr.Request) -> str:
        return await self._told(self._cancel_all, language_of(request))

    # A protected document.

    def ask_password(self, event: gr.EventData, request: gr.Request) -> list[Any]:
        """The box that asks for a password: shown, its question, an empty field, and whose it is."""
        source = str((event._data or {}).get("source", ""))
        return [gr.update(visible=True), documents_view.password_text(language_of(request), source), "", source]

    async def unlock(self, password: str, source: str, request: gr.Request) -> list[Any]:
        """Try a password: notices, and the box, which stays while the password is wrong."""
        notice = await self._tell(self._unlock, language_of(request), source, password)
        return [notices_html(notice), gr.update(visible=notice.kind == "error"), ""]

    def _unlock(self, language: str, source: str, password: str) -> Notice:
        self._workshop.collection.library.unlock(source, password)
        return Notice(translate(language, "documents.unlocked", source=source), "done")

    def leave_locked(self) -> list[Any]:
        return [gr.update(visible=False), ""]

    def _remove(self, language: str, sources: list[str]) -> Notice:
        removed = self._workshop.collection.library.remove(*sources)
        return _about(language, "documents.removed", removed)

    def _cancel(self, language: str, sources: list[str]) -> Notice:
        cancelled = [source for source in sources if self._workshop.collection.library.cancel(source)]
        return _about(language, "documents.cancelled", cancelled)

    def _cancel_all(self, language: str) -> Notice:
        count = self._workshop.collection.library.cancel()
        return Notice(plural(language, "documents.cancelled_all", count))

    def _reindex(self, language: str, sources: list[str]) -> Notice:
        queued = [source for source in sources if self._workshop.collection.library.reindex(source)]
        return _about(language, "documents.queued_again", queued)

    async def _told(self, step: Callable[..., Notice], language: str, *arguments: Any) -> str:
        return notices_html(await self._tell(step, language, *arguments))

    async def _tell(self, step: Callable[..., Notice], language: str, *arguments: Any) -> Notice:
        """Take a step of the library beside the event loop, wake the work behind the page, and say what came of it."""
        try:
            notice = await asyncio.to_thread(step, language, *arguments)
        except AppError as error:
            notice = error_notice(language, error)
        except OSError as error:
            reason = AppError("file_not_moved", detail=error.strerror or str(error))
            notice = error_notice(language, reason)
        self._workshop.background.wake()
        return notice


def _about(language: str, key: str, sources: Sequence[str]) -> Notice:
    if not sources:
        return Notice(translate(language, "documents.nothing_done"))
    return Notice(plural(language, key, len(sources), source=sources[0]), "done")
