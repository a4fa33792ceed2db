"""Languages: those of our users are told apart, from one sentence on; others have no stemmer."""

from __future__ import annotations

import pytest

from core.documents.language import OTHER, STEMMERS, detect, identify


@pytest.mark.parametrize(("text", "language"), [
    ("Las vacaciones anuales son de treinta días naturales y se piden en enero.", "es"),
    ("The tenant shall pay the rent on the first day of each month.", "en"),
    ("Le locataire paie le loyer le premier jour du mois, sans retard.", "fr"),
    ("Der Mieter zahlt die Miete am ersten Tag des Monats.", "de"),
    ("Hyresgästen betalar hyran den första dagen i varje månad.", "sv"),
    ("Арендатор платит в первый день каждого месяца.", "ru"),
])
def test_a_sentence_tells_its_language(text: str, language: str) -> None:
    assert detect(text) == language


def test_a_language_without_stemmer_is_other() -> None:
    assert identify("これは日本語の文章です。") == "ja"
    assert detect("これは日本語の文章です。") == OTHER


@pytest.mark.parametrize("text", ["", " ", "123 456", "—"])
def test_a_text_without_words_has_some_language(text: str) -> None:
    assert detect(text) in {*STEMMERS, OTHER}
