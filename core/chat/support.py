"""Does the cited passage say what the sentence says? Asked of each cited sentence of an answer.

A soft hint: a sentence is doubtful only when neither its words, its numbers and names nor its meaning are found in the
passages it cites. Knows no model; `embed` gives unit vectors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from core.chat.citations import CODE, cited, without_citations
from core.chat.events import Span
from core.chat.talk import language_code
from core.documents.language import detect
from core.documents.search import Hit
from core.documents.store import Vectors
from core.documents.words import content_words, folded
from core.engines.sentences import split_sentences

Embed = Callable[[list[str]], Vectors]

# Words and meaning together below which a sentence is doubtful. Measured on sentences and made-up answers of XQuAD's
# paragraphs against their own paragraph and others, see NOTES.md. MiniLM knows little across languages, where names
# and numbers are all that words can share.
_SUPPORTED, _SUPPORTED_TRANSLATED = 0.8, 0.25
_LEAST_NUMBERS = 0.5
_SAME_WORDS = 0.5  # with so many in common the language is the same, whatever a short sentence looks like
_STEM_CHARS = 5  # words that begin alike count as the same: fundó, fundada, founded, fundador
_LEAST_WORDS = 3  # content words: of "Yes, exactly [1]." nothing can be said
_MOST_CLAIMS = 16  # of an answer: what comes later is not looked at
_MOST_SENTENCES = 64  # of all the passages cited
# A full stop that ends a sentence, with the citations behind it.
_END = re.compile(r"(?<![\s.][A-Z])(?<!\b\w\.\w)[.!?…]+[\"'»”’)*_]*(?:\s*\[\d{1,3}\])*"
                  r"(?=\s+[\"'«“‘(¿¡*_]*[A-ZÀ-Þ¿¡\d]|\s*$)")
_MARKUP = re.compile(r"^[\s>#*\-+|•]+|(?<=\d)\.\s|[*_`|]")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


@dataclass(frozen=True)
class Claim:
    """A sentence of an answer that cites something. `span` is its place in the answer."""

    span: Span
    text: str
    hits: tuple[Hit, ...]


def doubtful_spans(answer: str, hits: Sequence[Hit], embed: Embed) -> tuple[Span, ...]:
    """The places in a resolved answer of sentences that their passages do not seem to support. Blocks for as long as
    `embed` takes for at most 80 sentences; may raise what it raises."""
    checked = claims(answer, hits)[:_MOST_CLAIMS]
    meanings = _meanings(checked, embed)
    return tuple(claim.span for claim, meaning in zip(checked, meanings, strict=True)
                 if _is_doubtful(evidence(claim, meaning)))


@dataclass(frozen=True)
class Evidence:
    """What the passages hold of a sentence, each a share from 0 to 1: its words, its numbers, its meaning (the cosine
    of the nearest sentence). `translated`: passages and sentence are in different languages."""

    words: float
    numbers: float
    meaning: float
    translated: bool


def claims(answer: str, hits: Sequence[Hit]) -> list[Claim]:
    """The sentences of a resolved answer that cite passages, those of code left out."""
    found = []
    for start, end in _sentences(answer):
        text = answer[start:end]
        named = cited(text, hits)
        if named and not text.startswith("#"):
            bare = " ".join(_MARKUP.sub(" ", without_citations(text)).split())
            if len(content_words(bare, language_code(bare))) < _LEAST_WORDS:
                continue
            found.append(Claim((start, end), bare, tuple(named)))
    return found


def _sentences(answer: str) -> Iterator[Span]:
    """Where sentences stand in Markdown: each line on its own, citations behind the full stop included."""
    blanked = CODE.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), answer)
    begin = 0
    for line in blanked.splitlines(keepends=True):
        start = 0
        for end in [*(match.end() for match in _END.finditer(line)), len(line)]:
            piece = line[start:end]
            if piece.strip():
                lead = len(piece) - len(piece.lstrip())
                yield begin + start + lead, begin + start + len(piece.rstrip())
            start = end
        begin += len(line)


def evidence(claim: Claim, meaning: float) -> Evidence:
    """`meaning` is the cosine of the claim and the nearest sentence of its passages."""
    passages = "\n".join(hit.text for hit in claim.hits)
    language = detect(claim.text)
    held = {word[:_STEM_CHARS] for word in folded(passages).split()}
    words = [folded(word)[:_STEM_CHARS] for word in content_words(claim.text, language)]
    numbers = _numbers(claim.text)
    return Evidence(sum(word in held for word in words) / max(len(words), 1),
                    len(numbers & _numbers(passages)) / len(numbers) if numbers else 1.0,
                    meaning, language not in {detect(hit.text) for hit in claim.hits})


def _is_doubtful(found: Evidence) -> bool:
    needed = _SUPPORTED_TRANSLATED if found.translated else _SUPPORTED
    # Numbers are told apart where the words agree; across languages they are written in too many ways.
    comparable = not found.translated or found.words >= _SAME_WORDS
    return found.words + found.meaning < needed or (comparable and found.numbers < _LEAST_NUMBERS)


def _meanings(checked: Sequence[Claim], embed: Embed) -> list[float]:
    """For each claim, the cosine of the nearest sentence among its passages; 0 where none could be looked at."""
    passages = {hit.rank: list(split_sentences(hit.text))
                for claim in checked for hit in claim.hits}
    each = _MOST_SENTENCES // max(len(passages), 1)
    # Of a long passage, those that share words with what was said.
    said = {word for claim in checked for word in folded(claim.text).split()}
    passages = {rank: sorted(sentences, key=lambda one: -len(said & set(folded(one).split())))[:each]
                for rank, sentences in passages.items()}
    texts = list(dict.fromkeys([*(claim.text for claim in checked), *(one for some in passages.values()
                                                                      for one in some)]))
    if not texts:
        return []
    vectors = dict(zip(texts, embed(texts), strict=True))
    return [max((float(vectors[claim.text] @ vectors[one]) for hit in claim.hits for one in passages[hit.rank]),
                default=0.0) for claim in checked]


def _numbers(text: str) -> set[str]:
    """Numbers of two digits and more, without the marks between thousands; smaller ones are often written as words."""
    return {digits for found in _NUMBER.findall(text) if len(digits := re.sub(r"[.,]", "", found)) > 1}
