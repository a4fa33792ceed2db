"""The few passages that may answer are put in order by what their text holds of the question.

A passage's score is two fifths meaning (the cosine of its best vector) and three fifths words, the plain mean of three
shares of the question's words, each word weighing its inverse document frequency:

- words: those in the passage, one that is there often counting more, as in BM25;
- window: those that stand close together, in the best stretch of the passage;
- grams: the question's runs of four letters, weighed by how few of the candidates hold them. They see through
  endings and compounds that no stemmer knows, in any language.

A neighbour that scores well adds a little, and another language than the question's costs a little. All of it is on a
scale of its own: spreading scores between the worst and the best candidate would make a good list of a bad one.
NOTES.md has the figures. Knows nothing of indexes or of the store.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from core.documents.words import folded, tokens

_DENSE = 0.4
_SATURATION, _LENGTH = 1.2, 0.75  # BM25's usual constants
_WINDOW_TOKENS = 40  # two sentences
_GRAM = 4  # the length that serves European languages best (McNamee and Mayfield, 2004)
_NEIGHBOURS = 2  # passages before and after
_NEIGHBOUR = 0.1
_OTHER_LANGUAGE = 0.05


@dataclass(frozen=True)
class Candidate:
    """A passage to rank. `dense` is the cosine of its best vector; `weights` are those of the question's words in its
    language; neighbours in a document have consecutive ids."""

    id: int
    document: str
    language: str
    text: str
    dense: float
    weights: Mapping[str, float]


@dataclass(frozen=True)
class Ranked:
    """`lexical` is the mean of the three shares of the question's words, 0 to 1; `score` everything together."""

    id: int
    dense: float
    lexical: float
    score: float


def rank(content: str, language: str, candidates: Sequence[Candidate]) -> list[Ranked]:
    """The candidates, best first, for the content words of a question in `language`."""
    texts = [tokens(candidate.text, candidate.language) for candidate in candidates]
    usual = mean(map(len, texts)) if texts else 0.0
    shares = _gram_shares(content, [candidate.text for candidate in candidates])
    ranked = []
    for candidate, words, grams in zip(candidates, texts, shares, strict=True):
        lexical = (word_share(words, candidate.weights, usual) + window_share(words, candidate.weights) + grams) / 3
        score = _DENSE * max(candidate.dense, 0.0) + (1 - _DENSE) * lexical
        ranked.append(Ranked(candidate.id, candidate.dense, lexical, score))
    return _in_context(ranked, candidates, language)


def relevance(dense: float, coverage: float) -> float:
    """How likely a passage is about what was asked, 0 to 1, from its cosine and the share of the question's content
    words in it: the logistic function of 12 × dense + 13 × coverage − 10.

    Fitted by logistic regression to the first hits of questions about 12 of XQuAD's articles and about 12 others,
    asked of an index of the former, and checked the other way round: NOTES.md. The cosines are MiniLM's; those of
    another model may need other numbers.
    """
    return 1 / (1 + math.exp(10 - 12 * dense - 13 * coverage))


def coverage(words: Collection[str], weights: Mapping[str, float]) -> float:
    """The share of the weights whose words are among `words`."""
    return sum(weight for word, weight in weights.items() if word in words) / (sum(weights.values()) or 1.0)


def word_share(words: Sequence[str], weights: Mapping[str, float], usual_length: float) -> float:
    """The share of the weights that `words` hold, once about half: BM25 over the most it could be."""
    counts = Counter(word for word in words if word in weights)
    saturation = _SATURATION * (1 - _LENGTH + _LENGTH * len(words) / max(usual_length, 1.0))
    held = sum(weights[word] * count / (count + saturation) for word, count in counts.items())
    return held / (sum(weights.values()) or 1.0)


def window_share(words: Sequence[str], weights: Mapping[str, float]) -> float:
    """The largest share of the weights that stands within _WINDOW_TOKENS consecutive words."""
    places = [(place, word) for place, word in enumerate(words) if word in weights]
    inside: Counter[str] = Counter()
    first, held, most = 0, 0.0, 0.0
    for place, word in places:
        if not inside[word]:
            held += weights[word]
        inside[word] += 1
        while place - places[first][0] >= _WINDOW_TOKENS:
            left = places[first][1]
            inside[left] -= 1
            if not inside[left]:
                held -= weights[left]
            first += 1
        most = max(most, held)
    return most / (sum(weights.values()) or 1.0)


def _gram_shares(content: str, texts: Sequence[str]) -> list[float]:
    """For each text the share of the question's grams it holds, each weighing what it tells among these texts."""
    wanted = _grams(content)
    held = [{gram for gram in wanted if gram in text} for text in (f" {folded(text)} " for text in texts)]
    counts = Counter(gram for grams in held for gram in grams)
    weights = {gram: math.log(1 + (len(texts) - counts[gram] + 0.5) / (counts[gram] + 0.5)) for gram in wanted}
    total = sum(weights.values()) or 1.0
    return [sum(weights[gram] for gram in grams) / total for grams in held]


def _grams(text: str) -> set[str]:
    """Runs of _GRAM characters of each word and the blanks around it; a shorter one is a run itself."""
    padded = [f" {word} " for word in folded(text).split()]
    return {word[start : start + _GRAM] for word in padded for start in range(max(1, len(word) - _GRAM + 1))}


def _in_context(ranked: Sequence[Ranked], candidates: Sequence[Candidate], language: str) -> list[Ranked]:
    """With the part of neighbours and languages; sorted."""
    scores = {(candidate.document, one.id): one.score for one, candidate in zip(ranked, candidates, strict=True)}
    placed = []
    for one, candidate in zip(ranked, candidates, strict=True):
        near = max(scores.get((candidate.document, one.id + step), 0.0)
                   for step in range(-_NEIGHBOURS, _NEIGHBOURS + 1) if step)
        score = one.score + _NEIGHBOUR * near - (_OTHER_LANGUAGE if candidate.language != language else 0.0)
        placed.append(Ranked(one.id, one.dense, one.lexical, min(max(score, 0.0), 1.0)))
    return sorted(placed, key=lambda one: -one.score)
