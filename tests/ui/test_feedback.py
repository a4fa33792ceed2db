"""The reader's language, and pieces of HTML that hold text from outside."""

from __future__ import annotations

import gradio as gr
import pytest
from starlette.requests import Request

from core.errors import AppError
from ui.feedback import (
    LANGUAGE_COOKIE,
    Notice,
    both,
    error_notice,
    label,
    language_of,
    markdown_escape,
    notices_html,
    page_texts,
    size_text,
)
from ui.i18n import LANGUAGES, texts, translate

HOSTILE = '<script>alert("x")</script>'


def request(**headers: str) -> gr.Request:
    raw = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    return gr.Request(request=Request({"type": "http", "headers": raw}))


@pytest.mark.parametrize(("headers", "language"), [
    ({"accept_language": "es-ES,es;q=0.9"}, "es"),
    ({"accept_language": "en-US"}, "en"),
    ({}, "en"),
    ({"accept_language": "es", "cookie": f"{LANGUAGE_COOKIE}=en"}, "en"),
    ({"accept_language": "en", "cookie": f"other=1; {LANGUAGE_COOKIE}=es"}, "es"),
    ({"accept_language": "es", "cookie": f"{LANGUAGE_COOKIE}=klingon"}, "es"),
    ({"accept_language": "es", "cookie": f"{LANGUAGE_COOKIE}=../../etc/passwd"}, "es"),
])
def test_the_switch_in_the_header_wins_over_the_browsers_language(headers: dict[str, str], language: str) -> None:
    assert language_of(request(**headers)) == language


def test_without_a_request_the_default_language_is_spoken() -> None:
    assert language_of(None) == "en"


def test_gradio_gets_every_text_under_keys_without_dots() -> None:
    given = page_texts().translations
    for language in LANGUAGES:
        assert sorted(given[language].values()) == sorted(texts(language).values())
        assert all(key.startswith("ui_") and "." not in key for key in given[language])


def test_a_label_that_no_language_has_is_a_bug() -> None:
    with pytest.raises(KeyError):
        label("no.such.key")


def test_both_shows_every_language_and_escapes_values() -> None:
    html = both("documents.remove", source=HOSTILE)
    assert '<span class="in-es" lang="es">' in html and '<span class="in-en" lang="en">' in html
    assert "<script" not in html and html.count("&lt;script&gt;") == 2


def test_notices_escape_their_text_and_tell_screen_readers_of_errors_at_once() -> None:
    html = notices_html(Notice(HOSTILE, "error"), Notice("fine", "done"))
    assert "<script" not in html
    assert 'class="notice error" role="alert"' in html and 'class="notice done" role="status"' in html
    assert notices_html() == ""
    assert "run <code>ollama pull &lt;m&gt;</code>." in notices_html(Notice("run `ollama pull <m>`."))


def test_an_errors_notice_names_what_it_is_about() -> None:
    notice = error_notice("es", AppError("file_empty"), "a.txt")
    assert notice == Notice(f"a.txt: {translate('es', 'error.file_empty')}", "error")
    assert error_notice("es", AppError("file_empty")).text == translate("es", "error.file_empty")


def test_escaped_markdown_makes_no_markup_of_a_name() -> None:
    escaped = markdown_escape("**a** [x](javascript:1) <b> `c` ![i](u) # _d_.pdf")
    for mark in "*[]()<>`!#_":
        assert escaped.count(mark) == escaped.count("\\" + mark)
    assert markdown_escape("informe.pdf") == "informe.pdf"


@pytest.mark.parametrize(("size_bytes", "spanish", "english"), [
    (0, "0 B", "0 B"), (999, "999 B", "999 B"), (1000, "1,0 kB", "1.0 kB"), (1_440_000, "1,4 MB", "1.4 MB"),
    (150_000_000, "150 MB", "150 MB"), (13_780_000_000, "13,8 GB", "13.8 GB"), (5e15, "5000 TB", "5000 TB"),
])
def test_a_size_is_written_as_people_write_it(size_bytes: float, spanish: str, english: str) -> None:
    assert (size_text("es", size_bytes), size_text("en", size_bytes)) == (spanish, english)
