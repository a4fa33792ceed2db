"""A question finds its passages: by meaning (vectors) and by words (BM25), the best of both ranked by their text.

Scores are fused rather than ranks: the vectors of an English model know little of other languages, and ranks would
give a bad list the weight of a good one.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from core.documents.embeddings import Embedder
from core.documents.language import detect
from core.documents.lexical import LexicalIndex
from core.documents.parsers import clean_text
from core.documents.ranking import Candidate, Ranked, coverage, rank, relevance
from core.documents.store import Store, StoredChunk, Vectors
from core.documents.vectors import VectorIndex
from core.documents.words import asked_words, content_words, tokens, words_among

_CANDIDATES = 50  # from each side
_RANKED = 20  # of them by their text; from 12 to 40 recall moves by .002


@dataclass(frozen=True)
class Hit:
    """A passage found. `start` and `end` are character offsets in the text of page `page` (from 1).

    `score` orders the hits: `dense` (the cosine of question and passage) and `lexical` (the share of the question's
    words) fused, 0 to 1. `relevance` is the likelihood, 0 to 1, that the passage is about what was asked. `matched`
    are the question's words as the passage has them.
    """

    rank: int
    chunk_id: int
    source: str
    sha256: str
    page: int
    start: int
    end: int
    score: float
    text: str
    dense: float = 0.0
    lexical: float = 0.0
    relevance: float = 0.0
    matched: tuple[str, ...] = ()


class Searcher:
    """Search over what a store shows. `sync` brings the indexes up to the store."""

    def __init__(self, store: Store, embedder: Embedder, lexical: LexicalIndex) -> None:
        self._store = store
        self._embedder = embedder
        self._vectors = VectorIndex()
        self._syncing = threading.Lock()
        self._empty = True
        self._lexical = lexical
        self._questions = ThreadPoolExecutor(thread_name_prefix="question")

    def sync(self) -> None:
        """Bring the indexes up to the store. Safe for several threads."""
        with self._syncing:
            self._sync()

    def _sync(self) -> None:
        # Also what waits for the vectors of another embedder can be found by its words.
        shown = self._store.shown_contents()
        self._vectors.sync(self._store, self._store.shown_contents(self._embedder.model))
        self._lexical.sync(shown)
        self._empty = not shown

    def search(self, question: str, top_k: int, sources: Sequence[str] | None = None) -> list[Hit]:
        """The `top_k` best passages, best first, of these documents alone where `sources` names them: found among
        their own, however few they are of all. Raises DocumentError `embedder_failed`."""
        question = clean_text(question)
        if not question.strip() or self._empty:
            return []
        # Understood in the child while we look for its words.
        vector = self._questions.submit(self._embedder.embed, [question], urgent=True)
        language = detect(question)
        asked = " ".join(asked_words(question, language))
        among = None if sources is None else self._store.contents_of(sources)
        count = max(_CANDIDATES, top_k)
        lexical = self._lexical.search(asked, count, among)
        dense = self._nearest(vector.result()[0], lexical, count, among)
        chunks = {chunk.id: chunk for chunk in self._store.first_chunks(dense, max(_RANKED, top_k), sources)}
        candidates = self._candidates(asked, chunks, dense)
        ranked = rank(asked, language, list(candidates.values()))[:top_k]
        content = " ".join(content_words(question, language))
        return [_hit(number, chunks[one.id], candidates[one.id], one, content)
                for number, one in enumerate(ranked, start=1)]

    def _nearest(self, vector: Vectors, lexical: Mapping[int, float], count: int, among: set[int] | None,
                 ) -> dict[int, float]:
        """The passages that meaning or words suggest, the likeliest first: id → cosine, 0 for one without a vector."""
        dense = self._vectors.search(vector, count, among)
        others = [chunk_id for chunk_id in lexical if chunk_id not in dense]
        dense |= dict.fromkeys(others, 0.0) | self._vectors.scores(vector, others)
        most = max(lexical.values(), default=0.0) or 1.0
        return dict(sorted(dense.items(), key=lambda item: -(item[1] + 2 * lexical.get(item[0], 0.0) / most)))

    def _candidates(self, asked: str, chunks: Mapping[int, StoredChunk], dense: Mapping[int, float],
                    ) -> dict[int, Candidate]:
        languages = {chunk.language for chunk in chunks.values()}
        weights = {language: self._lexical.weights(asked, language) for language in languages}
        return {chunk.id: Candidate(chunk.id, chunk.sha256, chunk.language, chunk.text, dense[chunk.id],
                                    weights[chunk.language]) for chunk in chunks.values()}


def _hit(number: int, chunk: StoredChunk, candidate: Candidate, ranked: Ranked, content: str) -> Hit:
    telling = set(tokens(content, candidate.language))
    weights = {token: weight for token, weight in candidate.weights.items() if token in telling}
    covered = coverage(set(tokens(chunk.text, candidate.language)), weights)
    return Hit(number, chunk.id, chunk.source, chunk.sha256, chunk.page, chunk.start, chunk.end,
               round(ranked.score, 4), chunk.text, round(ranked.dense, 4), round(ranked.lexical, 4),
               round(relevance(ranked.dense, covered), 4), words_among(chunk.text, candidate.language, weights))
