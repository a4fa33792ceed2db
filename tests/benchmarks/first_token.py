"""How much later the first token comes than from the engine alone: `python -m tests.benchmarks.first_token
[--passages N] [--data DIR] [--rounds N]`.

The same prompts go to the same server, a warm one that answers at once, in turns: straight through the engine, and
through the whole answer with its search among the passages. Prints both and the difference. No model rewrites a
question here, for each is the first of its conversation.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import AsyncGenerator
from pathlib import Path

from core.chat.answer import answer
from core.chat.events import AnswerOptions, Partial
from core.chat.library import CollectionLibrary
from core.documents.collection import Collection
from core.engines.base import ChatRequest, EngineEvent, ModelInfo, Token
from core.engines.ollama import OllamaEngine
from core.settings import Settings
from tests.benchmarks.scale import fill, sample
from tests.ollama_server import OllamaServer

MODEL = "gpt-oss:20b"


class Recorder:
    """The engine it wraps; keeps the last request, to send it again without us."""

    def __init__(self, engine: OllamaEngine) -> None:
        self.name = engine.name
        self.engine = engine
        self.last: ChatRequest | None = None

    async def models(self) -> list[ModelInfo]:
        return await self.engine.models()

    async def context(self, model: str) -> int:
        return await self.engine.context(model)

    def chat(self, request: ChatRequest) -> AsyncGenerator[EngineEvent, None]:
        self.last = request
        return self.engine.chat(request)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--passages", type=int, default=10_000)
    arguments.add_argument("--data", type=Path, help="the folder of xquad.en.dev.json and xquad.es.dev.json")
    arguments.add_argument("--rounds", type=int, default=100)
    options = arguments.parse_args()
    texts, questions = sample(options.data)
    with tempfile.TemporaryDirectory() as folder, OllamaServer(models={MODEL: {}}) as server:
        settings = Settings(docs_dir=Path(folder) / "docs", data_dir=Path(folder) / "data", ollama_host=server.url)
        settings.docs_dir.mkdir()
        fill(settings, texts, options.passages)
        asked = random.Random(3).sample(questions, options.rounds + 5)
        with Collection(settings) as collection:
            collection.searcher.sync()
            asyncio.run(compare(collection, settings, asked))


async def compare(collection: Collection, settings: Settings, questions: list[str]) -> None:
    """Each question through us, then its very prompt through the engine; the first five warm both up."""
    engine = OllamaEngine(settings)
    await engine.models()
    recorder = Recorder(engine)
    library = CollectionLibrary(collection)
    ours: list[float] = []
    bare: list[float] = []
    for question in questions:
        ours.append(await ours_first(question, library, recorder, settings))
        assert recorder.last is not None
        bare.append(await bare_first(engine, recorder.last))
    ours, bare = ours[5:], bare[5:]
    more = [mine - plain for mine, plain in zip(ours, bare, strict=True)]
    for name, times in (("engine alone", bare), ("whole answer", ours), ("difference", more)):
        ordered = sorted(times)
        print(f"{name:13} first token p50 {statistics.median(ordered):6.1f} ms, "
              f"p95 {ordered[int(len(ordered) * 0.95)]:6.1f} ms")


async def ours_first(question: str, library: CollectionLibrary, engine: Recorder, settings: Settings) -> float:
    """Milliseconds until the first word of an answer. Free, so that no question is refused before the engine."""
    begun = time.perf_counter()
    events = answer(question, [], library, engine, MODEL, settings, AnswerOptions(strict=False))
    async for event in events:
        if isinstance(event, Partial):
            milliseconds = (time.perf_counter() - begun) * 1000
            await events.aclose()
            return milliseconds
    raise RuntimeError("an answer without a word")


async def bare_first(engine: OllamaEngine, request: ChatRequest) -> float:
    """Milliseconds until the engine's first token."""
    begun = time.perf_counter()
    events = engine.chat(request)
    async for event in events:
        if isinstance(event, Token):
            milliseconds = (time.perf_counter() - begun) * 1000
            await events.aclose()
            return milliseconds
    raise RuntimeError("an answer without a token")


if __name__ == "__main__":
    main()
