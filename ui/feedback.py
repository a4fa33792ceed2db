"""What a request's reader understands: their language, sentences for errors, and small pieces of safe HTML."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

import gradio as gr

from core.errors import AppError
from ui.i18n import LANGUAGE_COOKIE, LANGUAGES, choose_language, explain, plural, texts, translate

_PREFIX = "ui_"
_COMMAND = re.compile(r"`([^`]+)`")  # what is to be typed, in a sentence of the locales
# How a handler is wired: without a spinner over what it fills, unknown to the API, as many at a time as there are.
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
# The same for a block of several buttons: gradio would drop a click on one while another's is being answered.
EACH: dict[str, Any] = {**QUIET, "trigger_mode": "multiple"}


def tell_progress_to(block: gr.HTML, page: gr.Blocks) -> None:
    """Have the browser keep the state of hidden progress at one block alone.

    Gradio 6.31 tells each step of an event to every output of every handler that ever ran, and searches the whole page
    for each of them (`update_loading_stati_state`): a page on which nothing happened took half a core.
    """
    for handler in page.fns.values():
        if handler.show_progress == "hidden" and handler.show_progress_on is None:
            handler.show_progress_on = [block]


def language_of(request: gr.Request | None) -> str:
    """The language of the switch in the header, else of the browser."""
    if request is None:
        return choose_language("")
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    if chosen in LANGUAGES:
        return str(chosen)
    return choose_language(request.headers.get("accept-language", ""))


def page_texts() -> gr.I18n:
    """All texts for gradio, which translates labels in the browser. A key with dots would be read as a path, and
    one like `label` would hide gradio's own, hence the prefix."""
    return gr.I18n(**{
        language: {_key(name): text for name, text in texts(language).items()} for language in LANGUAGES})


def label(key: str) -> object:
    """A text that the browser shows in its own language; for labels, placeholders, buttons and tabs."""
    if key not in texts(LANGUAGES[0]):
        raise KeyError(key)
    return gr.I18n()(_key(key))


def _key(name: str) -> str:
    return _PREFIX + name.replace(".", "_")


def both(key: str, **values: object) -> str:
    """HTML with the text in every language; the style sheet shows the page's own."""
    return "".join(f'<span class="in-{language}" lang="{language}">{escape(translate(language, key, **values))}</span>'
                   for language in LANGUAGES)


@dataclass(frozen=True)
class Notice:
    """One line of feedback."""

    text: str
    kind: Literal["info", "done", "error"] = "info"


def html_block(value: str = "", **options: Any) -> gr.HTML:
    """An HTML block under our own style sheet alone: gradio's own look for tables and buttons stays out."""
    return gr.HTML(value, apply_default_css=False, **options)


def notices_html(*notices: Notice) -> str:
    """Feedback as HTML; screen readers are told of errors at once."""
    return "".join(
        f'<div class="notice {notice.kind}" role="{"alert" if notice.kind == "error" else "status"}">'
        + _COMMAND.sub(r"<code>\1</code>", escape(notice.text)) + "</div>"
        for notice in notices)


def markdown_escape(text: str) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~-])", r"\\\1", text)


def error_notice(language: str, error: AppError, subject: str = "") -> Notice:
    """An error, after what it is about."""
    sentence = explain(language, error)
    return Notice(f"{subject}: {sentence}" if subject else sentence, "error")


def size_text(language: str, size_bytes: float) -> str:
    """A size for people: 1,4 MB in Spanish, 1.4 MB in English."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size_bytes < 1000 or unit == "TB":
            break
        size_bytes /= 1000
    text = f"{size_bytes:.0f}" if unit == "B" or size_bytes >= 100 else f"{size_bytes:.1f}"
    return f"{text.replace('.', ',') if language == 'es' else text} {unit}"


def time_left_text(language: str, seconds: float) -> str:
    """How long something will take, as exact as it can be known."""
    if seconds < 60:
        return translate(language, "documents.left_seconds")
    if seconds < 90 * 60:
        return plural(language, "documents.left_minutes", round(seconds / 60))
    return plural(language, "documents.left_hours", round(seconds / 3600))
