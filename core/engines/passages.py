"""An engine without a model: answers with the passages' sentences that say most about the question, cited.

Needs no download and no memory, so there is always an answer. Knows no language beyond two small lists of
stop words: it compares words, not meanings.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from core.engines.base import ChatRequest, EngineEvent, Finished, ModelInfo, Passage, Token
from core.engines.sentences import split_sentences

MAX_SENTENCES = 3
MAX_SENTENCE_CHARS = 400  # a table without a full stop is one "sentence": it is cut, visibly
# Chosen on 24 XQuAD articles in both languages, the right paragraph beside two others: 90% (English) and 87%
# (Spanish) of the answers stand in 1.65 quoted sentences. Other values around these change a percent or two.
WORTH_OF_BEST = 0.5  # a further sentence must score so much of the best one's score
FRAGMENT_WORTH = 0.7  # pieces cut at a chunk's edge
HEADING_WORTH = 0.5  # it names what the sentence after it tells
MIN_WORDS = 5  # fewer make a heading
MAX_HEADING_WORDS = 12  # and so do a few more without a mark at their end
NUMBER_WORTH = 1.3  # a number in a sentence, when the question asks for one
PASSAGE_DECAY = 0.06  # the search's own order counts a little

# Without accents, as they are compared.
SPANISH_STOP_WORDS = """
a al algo ante aquel aquella como con contra cual cuales cuando cuanta cuantas cuanto cuantos de del
desde donde dos e el ella ellas ellos en entre era eran es esa ese eso esta estan estas este esto estos
fue fueron ha habia han hasta hay la las le les lo los mas me mi mientras muy ni no nos o para pero por
porque que quien quienes se segun ser si sin sobre son su sus tambien tan te tiene tienen tu u un una
unas uno unos y ya
"""
ENGLISH_STOP_WORDS = """
about an and any are as at be been but by can did do does for from had has have he her his how i if in
into is it its may many much my not of on or our she should so some than that the their them then there
these they this those to was we were what when where which while who whom whose why will with would you
your
"""
STOP_WORDS = frozenset((SPANISH_STOP_WORDS + ENGLISH_STOP_WORDS).split())
ASKS_FOR_A_NUMBER = re.compile(
    r"\b(cuando|cuant[oa]s?|que (ano|edad|fecha|siglo|dia|porcentaje)"
    r"|when|how (many|much|long|old|far|tall)|what (year|date|percent\w*))\b"
)
MARKDOWN_MARKS = re.compile(r"([\\`*_~\[\]$@])")
BARE_ADDRESS = re.compile(r"(?i):(?=//)|(?<=\bwww)\.")  # Markdown on the page links these without any mark
FORMULA = re.compile(r"(?<=\$)(?=\$)")  # the page looks for $$ after Markdown has taken the backslashes away
WORD_JOINER = "\u2060"  # invisible, no space


@dataclass(frozen=True)
class Quote:
    sentence: str
    number: int  # of its passage


class PassagesEngine:
    """Quotes instead of writing. Never fails and never waits."""

    name = "passages"

    async def models(self) -> list[ModelInfo]:
        return []

    async def context(self, model: str) -> int:
        return 0

    async def chat(self, request: ChatRequest) -> AsyncGenerator[EngineEvent, None]:
        """One Token a quote, best first; only Finished when there are no passages."""
        for position, quote in enumerate(best_sentences(request.question, request.passages)):
            separator = "\n\n" if position else ""
            yield Token(f"{separator}> «{as_plain_markdown(quote.sentence)}» [{quote.number}]")
        yield Finished()


def best_sentences(question: str, passages: Sequence[Passage]) -> list[Quote]:
    """At most three quotes, best first; the first passage's first sentence when no word is shared."""
    candidates: dict[str, tuple[Quote, str, float]] = {}
    for position, passage in enumerate(passages):
        heading = ""
        for sentence in split_sentences(passage.text):
            # Chunks overlap: a sentence in two passages is quoted from the better one. The sentence after a heading is
            # read with it, for it often tells what the heading names without naming it again.
            quote = Quote(sentence, passage.number)
            read = f"{heading} {sentence}"
            candidates.setdefault(folded(sentence), (quote, read, 1 - PASSAGE_DECAY * position))
            heading = sentence if _is_heading(sentence) else ""
    if not candidates:
        return []
    quotes = [quote for quote, _, _ in candidates.values()]
    relevances = _relevances(folded(question), [(quote.sentence, read) for quote, read, _ in candidates.values()])
    scores = [score * worth for score, (_, _, worth) in zip(relevances, candidates.values(), strict=True)]
    order = sorted(range(len(quotes)), key=lambda index: -scores[index])
    best = scores[order[0]]
    if best == 0:
        return quotes[:1]
    return [quotes[index] for index in order[:MAX_SENTENCES] if scores[index] >= WORTH_OF_BEST * best]


def as_plain_markdown(text: str) -> str:
    """`text`, cut if very long, so that Markdown shows its characters and none of them becomes markup, a
    link, an image, a formula or a citation."""
    if len(text) > MAX_SENTENCE_CHARS:
        text = text[:MAX_SENTENCE_CHARS].rsplit(" ", 1)[0] + " …"
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = MARKDOWN_MARKS.sub(r"\\\1", FORMULA.sub(WORD_JOINER, text))
    return BARE_ADDRESS.sub(lambda found: f"\\{found.group()}", text)


def folded(text: str) -> str:
    """Lower case, without accents."""
    decomposed = unicodedata.normalize("NFKD", text.lower())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def _relevances(question: str, sentences: Sequence[tuple[str, str]]) -> list[float]:
    """For each sentence, the share of the question's words in what is read with it, 0 to 1, rare words weighing more
    (idf)."""
    asked = _content_words(question)
    told = [_content_words(folded(read)) for _, read in sentences]
    matches = [[_best_match(word, words) for word in asked] for words in told]
    counts = [sum(1 for row in matches if row[column] > 0) for column in range(len(asked))]
    weights = [math.log(1 + len(sentences) / count) if count else 0.0 for count in counts]
    total = sum(weights)
    if total == 0:
        return [0.0] * len(sentences)
    wants_number = ASKS_FOR_A_NUMBER.search(question) is not None
    relevances = []
    for (sentence, _), row in zip(sentences, matches, strict=True):
        score = sum(weight * match for weight, match in zip(weights, row, strict=True)) / total
        if _is_heading(sentence):
            score *= HEADING_WORTH
        elif _begins_small(sentence):
            score *= FRAGMENT_WORTH
        if wants_number and any(character.isdigit() for character in sentence):
            score *= NUMBER_WORTH
        relevances.append(score)
    return relevances


def _content_words(text: str) -> list[str]:
    words = dict.fromkeys(re.findall(r"\w+", text))
    return [word for word in words if word not in STOP_WORDS and (len(word) > 1 or word.isdigit())]


def _best_match(word: str, others: Sequence[str]) -> float:
    return max((_likeness(word, other) for other in others), default=0.0)


def _likeness(word: str, other: str) -> float:
    """1 for the same word, less for words that share a long beginning (fundó, fundada), 0 for the rest."""
    if word == other:
        return 1.0
    longer = max(len(word), len(other))
    shared = 0
    for left, right in zip(word, other, strict=False):
        if left != right:
            break
        shared += 1
    return shared / longer if shared >= 4 and shared >= 0.55 * longer else 0.0


def _begins_small(sentence: str) -> bool:
    first = next((character for character in sentence if character.isalnum()), "")
    return first.islower()


def _is_heading(sentence: str) -> bool:
    words = len(sentence.split())
    return words < MIN_WORDS or (words <= MAX_HEADING_WORDS and sentence.rstrip()[-1:].isalnum())
