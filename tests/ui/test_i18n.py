"""Texts and the language they are in: the header, the environment, placeholders, plurals."""

from __future__ import annotations

import pytest

from core.errors import AppError
from ui.i18n import LANGUAGES, choose_language, explain, plural, terminal_language, texts, translate


@pytest.mark.parametrize(("header", "language"), [
    ("es-ES,es;q=0.9,en;q=0.8", "es"), ("en-GB", "en"), ("es-419", "es"), ("ES", "es"), ("es_MX", "es"),
    ("fr-FR, es;q=0.5", "es"), ("fr", "en"), ("", "en"), ("*", "en"), (",;=", "en"), ("esperanto", "en"),
])
def test_the_first_language_that_the_page_speaks_is_taken(header: str, language: str) -> None:
    assert choose_language(header) == language


@pytest.mark.parametrize(("environment", "language"), [
    ({"LANG": "es_ES.UTF-8"}, "es"), ({"LANG": "en_US.UTF-8"}, "en"), ({"LANG": "C.UTF-8"}, "en"),
    ({"LC_ALL": "es_ES", "LANG": "en_US"}, "es"), ({"LC_ALL": "", "LC_MESSAGES": "es_AR.UTF-8", "LANG": "en"}, "es"),
])
def test_the_terminal_follows_the_environment(environment: dict[str, str], language: str) -> None:
    assert terminal_language(environment) == language


def test_a_text_fills_its_placeholders_and_nothing_in_their_values() -> None:
    assert "{x}" in translate("es", "documents.remove", source="{x}.pdf")


def test_an_unknown_key_is_a_bug() -> None:
    with pytest.raises(KeyError):
        translate("es", "no.such.key")


def test_one_thing_is_singular_and_none_is_plural() -> None:
    assert plural("es", "documents.total", 1) == translate("es", "documents.total.one", count=1)
    assert plural("es", "documents.total", 0) == translate("es", "documents.total.many", count=0)


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_error_is_explained_with_its_values(language: str) -> None:
    sentence = explain(language, AppError("no_free_port", first=7860, last=7879))
    assert "7860" in sentence and "7879" in sentence and "{" not in sentence


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_text_without_values_shows_no_doubled_brace(language: str) -> None:
    """Doubled braces are for texts with values alone: without values a text is shown as it stands."""
    for key, text in texts(language).items():
        if "{{" in text:
            single = text.replace("{{", "").replace("}}", "")
            assert "{" in single, f"{key} would show {{{{"
