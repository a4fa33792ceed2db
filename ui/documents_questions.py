"""The questions above the table of documents: each a box that is shown while it is open. Layout, then events."""

from __future__ import annotations

import gradio as gr

from ui.documents_events import DocumentEvents
from ui.feedback import QUIET, html_block, label


def conflict(events: DocumentEvents, notices: gr.HTML, taken: gr.State) -> list[gr.Component]:
    """What to do with dropped files whose name another content has. Returns what a drop fills."""
    with gr.Group(visible=False, elem_classes="decision") as box:
        text = html_block(elem_id="conflict-text")
        with gr.Row():
            replace = gr.Button(label("documents.replace"), size="sm", elem_id="conflict-replace")
            keep_both = gr.Button(label("documents.keep_both"), size="sm", elem_id="conflict-keep-both")
            leave = gr.Button(label("documents.leave"), size="sm", elem_id="conflict-leave")
    asked = [notices, taken, box, text]
    replace.click(events.replace, [taken], asked, **QUIET)
    keep_both.click(events.keep_both, [taken], asked, **QUIET)
    leave.click(events.leave, [taken], asked, **QUIET)
    return asked


def missing(events: DocumentEvents, notices: gr.HTML) -> list[gr.Component]:
    """Whether documents are to be forgotten whose files vanished. Returns the box and its text."""
    with gr.Group(visible=False, elem_classes="decision") as box:
        text = html_block(elem_id="missing-text")
        with gr.Row():
            look_again = gr.Button(label("documents.look_again"), size="sm", elem_id="look-again")
            forget = gr.Button(label("documents.forget_missing"), size="sm", elem_id="forget-missing")
    look_again.click(events.sync, None, [notices], **QUIET)
    forget.click(events.forget, None, [notices], **QUIET)
    return [box, text]


def password(events: DocumentEvents, notices: gr.HTML) -> list[gr.Component]:
    """The password of a protected document. Returns what `ask_password` fills."""
    source = gr.State("")
    with gr.Group(visible=False, elem_classes="decision") as box:
        text = html_block(elem_id="password-text")
        with gr.Row():
            field = gr.Textbox(label=label("documents.password"), placeholder=label("documents.password"),
                               type="password", show_label=False, container=False, max_length=500, scale=2,
                               min_width=160, elem_id="document-password")
            use = gr.Button(label("documents.use_password"), size="sm", elem_id="use-password")
            leave = gr.Button(label("documents.leave_locked"), size="sm", elem_id="leave-locked")
    for used in (use.click, field.submit):
        used(events.unlock, [field, source], [notices, box, field], **QUIET)
    leave.click(events.leave_locked, None, [box, field], **QUIET)
    return [box, text, field, source]
