"""What asking once more in the documents' other language finds, without a model: `python -m tests.benchmarks.translated
--data DIR`.

DIR holds XQuAD in English and Spanish; the translation a model would write is the same question in the other language.
Of the articles a third stands in the library in one language, a third in the other or not at all, and a third in
neither. Prints, for each library and kind of question, how many are refused, how many get a passage with the answer
among three, and how many the engine was asked to translate.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.chat.answer import answer
from core.chat.events import Sources
from core.chat.library import CollectionLibrary
from core.documents.collection import Collection
from core.documents.search import Hit
from core.engines.base import ChatRequest, EngineEvent, Finished, ModelInfo, Token
from core.settings import Settings
from tests.benchmarks.xquad import Found, Question, answers, write_articles

# Language of the articles of each third; None where they are not in the library.
LIBRARIES: dict[str, tuple[str | None, str | None, str | None]] = {
    "both": ("en", "es", None), "English alone": ("en", None, None), "Spanish alone": ("es", None, None)}


@dataclass
class Translator:
    """An engine that translates a question it knows and writes a word for any other request."""

    parallel: Mapping[str, str]
    name: str = "ollama"
    calls: int = 0

    async def models(self) -> list[ModelInfo]:
        return []

    async def context(self, model: str) -> int:
        return 8192

    async def chat(self, request: ChatRequest) -> AsyncGenerator[EngineEvent, None]:
        if request.max_tokens is not None:
            self.calls += 1
            yield Token(self.parallel[request.question])
        else:
            yield Token("Yes.")
        yield Finished()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=Path, required=True)
    data: Path = arguments.parse_args().data
    for name, languages in LIBRARIES.items():
        with tempfile.TemporaryDirectory() as folder:
            docs = Path(folder) / "docs"
            questions = write_articles(data, docs)
            shown = keep(docs, languages)
            with Collection(Settings(docs_dir=docs, data_dir=Path(folder) / "data")) as collection:
                for _ in collection.library.run():
                    pass
                collection.searcher.sync()
                asyncio.run(report(name, collection, questions, shown))


def keep(docs: Path, languages: Sequence[str | None]) -> dict[str, str | None]:
    """Delete the articles that are not to be in the library; the language in which each title is."""
    shown = {}
    for number, title in enumerate(sorted(path.stem for path in (docs / "en").iterdir())):
        shown[title] = languages[number % len(languages)]
        for language in ("en", "es"):
            if language != shown[title]:
                (docs / language / f"{title}.txt").unlink()
    return shown


async def report(name: str, collection: Collection, questions: Sequence[Question],
                 shown: Mapping[str, str | None]) -> None:
    half = len(questions) // 2  # the same questions, English and then Spanish
    twins = [*questions[half:], *questions[:half]]
    engine = Translator({one.text.strip(): twin.text for one, twin in zip(questions, twins, strict=True)})
    counts: dict[tuple[str, str], list[tuple[bool, bool, int]]] = {}
    for one, twin in zip(questions, twins, strict=True):
        language = shown[Path(one.source).stem]
        kind = "nowhere" if language is None else "own language" if language == one.language else "other language"
        engine.calls = 0
        hits = await passages(one.text, collection, engine)
        meant = one if language == one.language else twin
        right = any(answers(meant, Found(hit.source, hit.start, hit.end)) for hit in hits or ())
        counts.setdefault((one.language, kind), []).append((hits is None, right, engine.calls))
    for (language, kind), rows in sorted(counts.items()):
        refused, found, calls = (sum(map(float, column)) / len(rows) for column in zip(*rows, strict=True))
        print(f"{name:14} {language} question, {kind:14} {len(rows):4}: refused {refused:6.1%}  R@3 {found:.3f}"
              f"  translated {calls:6.1%}", flush=True)


async def passages(question: str, collection: Collection, engine: Translator) -> tuple[Hit, ...] | None:
    """Those the model gets; None when the question is refused."""
    hits = None
    async for event in answer(question, [], CollectionLibrary(collection), engine, "m", collection.settings):
        if isinstance(event, Sources):
            hits = event.hits
    return hits


if __name__ == "__main__":
    main()
