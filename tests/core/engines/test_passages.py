"""The engine without a model, on Spanish and English passages, kind and hostile."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from core.engines.base import ChatRequest, EngineEvent, Finished, Passage, Token, Usage
from core.engines.passages import (
    MAX_SENTENCE_CHARS,
    PassagesEngine,
    as_plain_markdown,
    best_sentences,
    folded,
)

XQUAD = Path(__file__).resolve().parents[4] / "shared" / "data" / "retrieval"
VALENCIA = Passage(
    1,
    "Valencia es una ciudad de España. Fue fundada por los romanos en el año 138 a. C. con el nombre de"
    " Valentia. Su puerto es el más activo del Mediterráneo occidental.",
)
PAELLA = Passage(2, "La paella nació en la Albufera. Se cocina con arroz, judías verdes y pollo.")
LIBRARY = Passage(
    3, "The library opens at nine. Members may borrow up to five books for three weeks. Fines are small."
)


def ask(question: str, *passages: Passage) -> list[EngineEvent]:
    async def collected() -> list[EngineEvent]:
        request = ChatRequest("", (), question, passages)
        return [event async for event in PassagesEngine().chat(request)]

    return asyncio.run(collected())


def answer(question: str, *passages: Passage) -> str:
    return "".join(event.text for event in ask(question, *passages) if isinstance(event, Token))


def test_a_spanish_question_is_answered_by_its_sentence() -> None:
    best = best_sentences("¿En qué año fundaron Valencia los romanos?", [PAELLA, VALENCIA])[0]
    assert best.sentence.startswith("Fue fundada por los romanos en el año 138")
    assert best.number == 1


def test_an_english_question_is_answered_by_its_sentence() -> None:
    best = best_sentences("How many books may a member borrow?", [VALENCIA, LIBRARY])[0]
    assert best.sentence == "Members may borrow up to five books for three weeks."
    assert best.number == 3


def test_accents_and_endings_do_not_matter() -> None:
    best = best_sentences("como se cocinaba la paella con judia", [VALENCIA, PAELLA])[0]
    assert best.sentence == "Se cocina con arroz, judías verdes y pollo."


def test_quotes_are_cited_and_the_usage_is_zero() -> None:
    events = ask("When does the library open?", LIBRARY)
    assert events[0] == Token("> «The library opens at nine.» [3]")
    assert events[-1] == Finished(Usage())


def test_at_most_three_sentences_are_quoted() -> None:
    passages = [Passage(n, f"The cat number {n} sleeps on the red sofa.") for n in range(1, 7)]
    assert answer("Which cat sleeps on the sofa?", *passages).count("> «") == 3


def test_without_a_shared_word_the_best_passage_begins() -> None:
    assert answer("Xylophones?", PAELLA, LIBRARY) == "> «La paella nació en la Albufera.» [2]"


def test_without_passages_nothing_is_said() -> None:
    assert ask("Anything?") == [Finished()]


def test_a_blank_passage_is_no_answer() -> None:
    assert ask("Anything?", Passage(1, " \n ")) == [Finished()]


def test_a_sentence_in_two_overlapping_chunks_is_quoted_once() -> None:
    twin = Passage(2, LIBRARY.text)
    assert answer("How many books may members borrow?", LIBRARY, twin).count("five books") == 1


def test_no_passage_becomes_markup_image_link_or_citation() -> None:
    hostile = (
        "The secret ![x](http://evil.example/a.png) <img src=x onerror=alert(1)> **bold** _a_ |b| ~~gone~~"
        " [click](http://e.example) https://evil.example www.evil.example me@evil.example `code` &lt;b&gt;"
        " see [2] \\[3] $$x^2$$."
    )
    written = answer("What is the secret?", Passage(1, hostile))
    html = MarkdownIt("gfm-like", {"linkify": False}).render(written)
    assert set(re.findall(r"<(\w+)", html)) <= {"blockquote", "p"}
    assert re.findall(r"\[\d+\]", written) == ["[1]"]
    assert "$$" not in written
    assert not re.search(r"https?://|www\.|\w@\w", written)
    assert "&amp;lt;b&amp;gt;" in html  # the document's own characters, as it has them


def test_a_long_line_is_cut_where_it_can_be_seen() -> None:
    cut = as_plain_markdown("word " * 500)
    assert len(cut) <= MAX_SENTENCE_CHARS + 2
    assert cut.endswith("word …")


def test_the_passages_engine_has_no_models() -> None:
    assert asyncio.run(PassagesEngine().models()) == []


@pytest.mark.parametrize(("language", "least"), [("en", 0.87), ("es", 0.85)])
@pytest.mark.skipif(not XQUAD.exists(), reason="the XQuAD articles are not here")
def test_most_answers_of_xquad_stand_in_the_quotes(language: str, least: float) -> None:
    """The right paragraph and its two neighbours are the passages; measured: .90 English, .87 Spanish."""
    articles = json.loads((XQUAD / f"xquad.{language}.dev.json").read_text(encoding="utf-8"))["data"]
    found = total = 0
    for article in articles:
        texts = [paragraph["context"] for paragraph in article["paragraphs"]]
        for index, paragraph in enumerate(article["paragraphs"]):
            near = [texts[(index + offset) % len(texts)] for offset in range(3)]
            passages = [Passage(number, text) for number, text in enumerate(near, 1)]
            for asked in paragraph["qas"]:
                quotes = best_sentences(asked["question"], passages)
                expected = folded(asked["answers"][0]["text"])
                found += any(expected in folded(quote.sentence) for quote in quotes)
                total += 1
    assert found / total >= least


def test_the_sentence_after_a_heading_answers_what_the_heading_names() -> None:
    text = "9. Where everything is stored\n\nYour files are in mis_documentos. The index can be made again."
    [first, *_] = best_sentences("Where is everything stored?", (Passage(1, text),))
    assert first.sentence == "Your files are in mis_documentos."
