"""The Documents tab: files in, their states, files out. Layout first, then events."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from core.documents.library import OnConflict
from core.errors import AppError
from core.settings import MEBIBYTE
from ui.documents_view import busy_line, conflict_text, missing_text, table
from ui.feedback import Notice, both, error_notice, html_block, label, language_of, notices_html
from ui.i18n import plural, translate
from ui.workshop import Workshop

_REMOVE_ON_CLICK = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-source]');
  if (button) trigger('click', {source: button.dataset.source});
});
"""
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}


def build(workshop: Workshop, timer: gr.Timer) -> None:
    """Lay out the tab and wire it. `timer` ticks each second at the page's top level."""
    events = DocumentEvents(workshop)
    megabytes = workshop.settings.max_file_bytes // MEBIBYTE
    seen = gr.State(-1)
    taken = gr.State([])

    drop = gr.File(label=label("documents.drop"), file_count="multiple", height=140, elem_id="drop-documents")
    with gr.Row(elem_classes="toolbar"):
        html_block(f'<p class="hint">{both("documents.drop_hint", megabytes=megabytes)}</p>', scale=1)
        guide = gr.Button(label("documents.put_guide_away"), size="sm", scale=0, min_width=190, visible=False,
                          elem_id="put-guide-away")
        undo = gr.Button(label("documents.undo"), size="sm", scale=0, min_width=170, visible=False,
                         elem_id="undo-remove")
        sync = gr.Button(label("documents.sync"), size="sm", scale=0, min_width=170, elem_id="sync-folder")
    notices = html_block(elem_id="document-notices")
    with gr.Group(visible=False, elem_classes="decision") as conflict_box:
        conflicts = html_block(elem_id="conflict-text")
        with gr.Row():
            replace = gr.Button(label("documents.replace"), size="sm", elem_id="conflict-replace")
            keep_both = gr.Button(label("documents.keep_both"), size="sm", elem_id="conflict-keep-both")
            leave = gr.Button(label("documents.leave"), size="sm", elem_id="conflict-leave")
    with gr.Group(visible=False, elem_classes="decision") as missing_box:
        missing = html_block(elem_id="missing-text")
        with gr.Row():
            look_again = gr.Button(label("documents.look_again"), size="sm", elem_id="look-again")
            forget = gr.Button(label("documents.forget_missing"), size="sm", elem_id="forget-missing")
    busy = html_block(elem_id="indexing-progress")
    documents = html_block(elem_id="documents", js_on_load=_REMOVE_ON_CLICK)

    view = [seen, documents, busy, undo, guide, missing_box, missing]
    asked = [notices, taken, conflict_box, conflicts]
    timer.tick(events.refresh, [seen], view, **QUIET)
    drop.upload(events.drop, [drop], [drop, *asked], api_visibility="private")
    replace.click(events.replace, [taken], asked, **QUIET)
    keep_both.click(events.keep_both, [taken], asked, **QUIET)
    leave.click(events.leave, [taken], asked, **QUIET)
    sync.click(events.sync, None, [notices], **QUIET)
    look_again.click(events.sync, None, [notices], **QUIET)
    forget.click(events.forget, None, [notices], **QUIET)
    undo.click(events.undo, None, [notices], **QUIET)
    guide.click(events.put_guide_away, None, [notices], **QUIET)
    documents.click(events.remove, None, [notices], **QUIET)


class DocumentEvents:
    """What the tab's buttons do. `taken` lists dropped files, by path, whose name another content has."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def refresh(self, seen: int, request: gr.Request) -> list[Any]:
        """The tab as it is now, when something changed since `seen`."""
        background = self._workshop.background
        version = background.version
        if seen == version:
            return [gr.skip()] * 7
        language = language_of(request)
        library = self._workshop.collection.library
        documents = self._workshop.collection.store.documents()
        return [
            version,
            table(language, documents),
            busy_line(language, documents, background.error),
            gr.update(visible=bool(self._workshop.collection.store.trash())),
            gr.update(visible=bool(library.guides())),
            gr.update(visible=bool(background.missing)),
            missing_text(language, background.missing),
        ]

    async def drop(self, files: list[str] | None, request: gr.Request) -> list[Any]:
        return [None, *await self._add(language_of(request), files or [], "ask")]

    async def replace(self, taken: list[str], request: gr.Request) -> list[Any]:
        return await self._add(language_of(request), taken, "replace")

    async def keep_both(self, taken: list[str], request: gr.Request) -> list[Any]:
        return await self._add(language_of(request), taken, "keep_both")

    def leave(self, taken: list[str], request: gr.Request) -> list[Any]:
        for path in taken:
            Path(path).unlink(missing_ok=True)
        left = Notice(translate(language_of(request), "documents.left"))
        return [notices_html(left), [], gr.update(visible=False), ""]

    def sync(self, request: gr.Request) -> str:
        self._workshop.background.sync_folder()
        return notices_html(Notice(translate(language_of(request), "documents.sync_started")))

    def forget(self, request: gr.Request) -> str:
        self._workshop.collection.library.forget(self._workshop.background.missing)
        self._workshop.background.sync_folder()
        return notices_html(Notice(translate(language_of(request), "documents.forgotten"), "done"))

    def undo(self, request: gr.Request) -> str:
        source = self._workshop.collection.library.undo()
        self._workshop.background.wake()
        if source is None:
            return notices_html(Notice(translate(language_of(request), "documents.undo_nothing")))
        return notices_html(Notice(translate(language_of(request), "documents.undone", source=source), "done"))

    def remove(self, event: gr.EventData, request: gr.Request) -> str:
        self._workshop.collection.library.remove(str(event.source))
        self._workshop.background.wake()
        return notices_html(Notice(translate(language_of(request), "documents.removed", source=event.source), "done"))

    def put_guide_away(self, request: gr.Request) -> str:
        library = self._workshop.collection.library
        for source in library.guides():
            library.remove(source)
        self._workshop.background.wake()
        return notices_html(Notice(translate(language_of(request), "documents.guide_away"), "done"))

    async def _add(self, language: str, files: list[str], on_conflict: OnConflict) -> list[Any]:
        """Add files and say what came of each: notices, taken names, their question."""
        added = await asyncio.to_thread(add_files, self._workshop, language, files, on_conflict)
        return [notices_html(*added.notices), added.taken, gr.update(visible=bool(added.taken)),
                conflict_text(language, added.taken)]


@dataclass
class Added:
    """What came of a drop: the new documents, the files whose name another content has, and what to say."""

    sources: list[str] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)


def add_files(workshop: Workshop, language: str, files: list[str], on_conflict: OnConflict = "ask") -> Added:
    """Add uploaded files to the library.

    An upload is deleted once it is in the folder or refused; one whose name is taken stays for the answer.
    """
    added = Added()
    for path in files:
        try:
            added.sources.append(workshop.collection.library.add(Path(path), on_conflict=on_conflict))
        except AppError as error:
            if error.code == "name_taken":
                added.taken.append(path)
                continue
            added.notices.append(error_notice(language, error, Path(path).name))
        except OSError as error:
            reason = AppError("file_not_copied", detail=error.strerror or str(error))
            added.notices.append(error_notice(language, reason, Path(path).name))
        Path(path).unlink(missing_ok=True)
    if added.sources:
        added.notices.insert(0, Notice(plural(language, "documents.added", len(added.sources)), "done"))
    workshop.background.wake()
    return added
