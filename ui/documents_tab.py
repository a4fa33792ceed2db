"""The Documents tab: files in, their states, a look inside, files out. Layout first, then events."""

from __future__ import annotations

import gradio as gr

from core.documents.parsers import SUFFIXES
from core.settings import MEBIBYTE
from ui import documents_questions, inside_panel
from ui.documents_events import DocumentEvents
from ui.documents_script import BUTTONS, TABLE
from ui.documents_view import TableView
from ui.every_second import EverySecond
from ui.feedback import EACH, QUIET, both, html_block, label
from ui.workshop import Workshop


def build(workshop: Workshop, every_second: EverySecond) -> None:
    """Lay out the tab and wire it."""
    events = DocumentEvents(workshop)
    limits = {"formats": ", ".join(suffix[1:].upper() for suffix in SUFFIXES),
              "megabytes": workshop.settings.max_file_bytes // MEBIBYTE}
    seen = gr.State(None)
    table_view = gr.State(TableView())
    taken = gr.State([])
    chosen = gr.State([])

    drop = gr.File(label=label("documents.drop"), file_count="multiple", height=140, elem_id="drop-documents")
    with gr.Row(elem_classes="toolbar"):
        html_block(f'<p class="hint">{both("documents.drop_hint", **limits)}</p>', scale=1)
        guide = gr.Button(label("documents.put_guide_away"), size="sm", scale=0, min_width=190, visible=False,
                          elem_id="put-guide-away")
        undo = gr.Button(label("documents.undo"), size="sm", scale=0, min_width=160, visible=False,
                         elem_id="undo-remove")
        sync = gr.Button(label("documents.sync"), size="sm", scale=0, min_width=160, elem_id="sync-folder")
    notices = html_block(elem_id="document-notices")
    asked = documents_questions.conflict(events, notices, taken)
    missing = documents_questions.missing(events, notices)
    password = documents_questions.password(events, notices)
    unreadable = html_block(elem_id="unreadable-text", elem_classes="decision")
    busy = html_block(elem_id="indexing-progress", js_on_load=BUTTONS)
    with gr.Row(elem_id="library"):
        with gr.Column(scale=3, min_width=300, elem_id="shelf"):
            with gr.Row(elem_classes="toolbar", elem_id="find"):
                wanted = gr.Textbox(label=label("documents.filter"), placeholder=label("documents.filter"),
                                    show_label=False, container=False, max_length=200, scale=1, min_width=140,
                                    elem_id="filter-documents")
                try_search = gr.Button(label("documents.try_search"), size="sm", scale=0, min_width=170,
                                       elem_id="try-search")
            documents = html_block(elem_id="documents", js_on_load=TABLE)
        inside, inside_parts = inside_panel.build(workshop, documents, chosen)

    shown = [seen, documents, busy, undo, guide, *missing, unreadable]
    looked_at = [seen, table_view, wanted]
    every_second.add(events.refresh, looked_at, shown)
    wanted.input(events.refresh, looked_at, shown, trigger_mode="always_last", **QUIET)
    drop.upload(events.drop, [drop, taken], [drop, *asked], api_visibility="private")
    sync.click(events.sync, None, [notices], **QUIET)
    for changed in (
        undo.click(events.undo, None, [notices], **QUIET),
        guide.click(events.put_guide_away, None, [notices], **QUIET),
        busy.click(events.cancel_all, None, [notices], **QUIET),
        documents.click(events.act, [table_view], [notices, table_view], **EACH),
    ):
        changed.then(events.redraw, [table_view, wanted], shown, **QUIET)
    documents.edit(events.ask_password, None, password, **EACH)
    documents.expand(inside.open, None, inside_parts, **EACH)
    try_search.click(inside.try_search, [chosen], inside_parts, **QUIET)
