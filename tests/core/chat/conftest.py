"""Hits without an index, and documents that need none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

import numpy as np
import pytest

from core.documents.search import Hit
from core.documents.store import Vectors
from core.engines.base import ChatRequest, EngineEvent, Finished, ModelInfo, Thinking, Token, Usage
from core.errors import EngineError

MakeHits = Callable[..., list[Hit]]


@pytest.fixture
def make_hits() -> MakeHits:
    """Hits of these texts, ranked from 1, all relevant."""
    def make(*texts: str) -> list[Hit]:
        return [Hit(rank, rank, f"doc{rank}.txt", "hash", 1, 0, len(text), 0.5, text, relevance=0.9)
                for rank, text in enumerate(texts, start=1)]

    return make


class Scribe:
    """An engine that says what it was given, a word at a time; an EngineError among its replies is raised. `requests`
    are those it got; `most` how many it wrote at once."""

    def __init__(self, *replies: str | EngineError, name: str = "ollama", context: int = 8192, thinking: str = "",
                 pause: float = 0.0, prompt_tokens: int = 0) -> None:
        self.name, self.replies, self.limit, self.thinking = name, list(replies), context, thinking
        self.pause, self.prompt_tokens = pause, prompt_tokens
        self.requests: list[ChatRequest] = []
        self.now = self.most = self.closed = 0

    async def models(self) -> list[ModelInfo]:
        return []

    async def context(self, model: str) -> int:
        return self.limit

    async def chat(self, request: ChatRequest) -> AsyncGenerator[EngineEvent, None]:
        self.requests.append(request)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            if isinstance(reply, EngineError):
                raise reply
            if self.thinking:
                yield Thinking(self.thinking)
            for word in reply.split(" "):
                await asyncio.sleep(self.pause)
                yield Token(word + " ")
            yield Finished(Usage(self.prompt_tokens))
        finally:
            self.now -= 1
            self.closed += 1


class Shelf:
    """A Library that finds what it was given. `asked` are the searches: question, number, documents; `spoken` its
    documents by language."""

    def __init__(self, hits: Sequence[Hit] = (), names: Sequence[str] | None = None,
                 pages: dict[str, list[str]] | None = None, spoken: Mapping[str, int] | None = None) -> None:
        self.spoken = spoken or {"es": 1}
        self.hits, self.pages = list(hits), pages or {}
        self.names = sorted({hit.source for hit in hits} | set(self.pages)) if names is None else list(names)
        self.asked: list[tuple[str, int, tuple[str, ...]]] = []

    def search(self, question: str, top_k: int, sources: Sequence[str] = ()) -> list[Hit]:
        self.asked.append((question, top_k, tuple(sources)))
        return [hit for hit in self.hits if not sources or hit.source in sources][:top_k]

    def sources(self) -> list[str]:
        return self.names

    def whole(self, source: str, limit: int) -> list[Hit] | None:
        pages = self.pages.get(source, [])
        if not pages or sum(map(len, pages)) > limit:
            return None
        return [Hit(number, 0, source, "hash", number, 0, len(text), 1.0, text, relevance=1.0)
                for number, text in enumerate(pages, start=1)]

    def spread(self, source: str, limit: int) -> list[Hit]:
        return [Hit(1, 0, source, "hash", 1, 0, limit, 1.0, self.pages[source][0][:limit], relevance=1.0)]

    def languages(self, sources: Sequence[str] = ()) -> Mapping[str, int]:
        return self.spoken

    def embed(self, texts: list[str]) -> Vectors:
        """As bags of words: texts that share words are near."""
        vectors = np.zeros((len(texts), 512), np.float32)
        for row, text in enumerate(texts):
            for word in text.lower().split():
                vectors[row, sum(map(ord, word)) % 512] += 1
        unit: Vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        return unit
