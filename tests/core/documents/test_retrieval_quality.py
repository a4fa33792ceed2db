"""Search finds the right passage, in both languages, and knows what is not there, on articles and questions that
others wrote."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from core.documents.collection import Collection
from core.documents.embeddings import Embedder
from core.documents.parsers import clean_text
from core.documents.search import Hit, Searcher
from core.documents.store import Vectors
from core.settings import Settings
from tests.benchmarks.xquad import Found, Question, recall, write_articles
from tests.core.documents.conftest import settings_in


class Remembering(Embedder):
    """The real vectors of texts it was told of, embedded together: one at a time takes four times as long."""

    def __init__(self, settings: Settings, embedder: Embedder, texts: Sequence[str]) -> None:
        super().__init__(settings)
        self._vectors = dict(zip(texts, embedder.embed(texts), strict=True))

    def embed(self, texts: Sequence[str], *, urgent: bool = False) -> Vectors:
        return np.stack([self._vectors[text] for text in texts])


class Articles:
    """A collection of no article yet, the articles' files beside it, and the questions about them."""

    def __init__(self, data: Path, folder: Path, collection: Collection) -> None:
        self.questions = write_articles(data, folder / "articles")
        self.titles = sorted({Path(question.source).name for question in self.questions})
        self._files = folder / "articles"
        self._collection = collection
        texts = [clean_text(question.text) for question in self.questions]
        remembering = Remembering(collection.settings, collection.embedder, texts)
        self._searcher = Searcher(collection.store, remembering, collection.searcher._lexical)

    def add(self, titles: Sequence[str]) -> None:
        for path in [path for title in titles for path in self._files.glob(f"*/{title}")]:
            place = self._collection.settings.docs_dir / path.relative_to(self._files)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)
        for _ in self._collection.library.run():
            pass
        self._searcher.sync()

    def ask(self, question: Question, top_k: int) -> list[Hit]:
        return self._searcher.search(question.text, top_k)


@pytest.fixture(scope="module")
def articles(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Iterator[Articles]:
    folder = tmp_path_factory.mktemp("articles")
    with Collection(settings_in(folder)) as collection:
        yield Articles(shared_data / "retrieval", folder, collection)


def test_questions_about_other_articles_are_told_from_those_about_these(articles: Articles) -> None:
    held = articles.titles[::2]
    articles.add(held)
    answerable, foreign = (
        np.array([articles.ask(question, 1)[0].relevance for question in articles.questions[::4]
                  if (Path(question.source).name in held) is known])
        for known in (True, False)
    )
    assert np.mean(answerable[:, np.newaxis] > foreign) >= 0.97  # the area under the ROC curve
    assert np.mean(foreign < np.quantile(answerable, 0.02)) >= 0.75


def test_the_right_passage_is_among_the_first_three(articles: Articles) -> None:
    articles.add(articles.titles)
    found = {question.id: [Found(hit.source, hit.start, hit.end) for hit in articles.ask(question, 3)]
             for question in articles.questions}
    assert recall(articles.questions, found, "en", 3) >= 0.985
    assert recall(articles.questions, found, "es", 3) >= 0.98
    assert recall(articles.questions, found, "en", 1) >= 0.945
    assert recall(articles.questions, found, "es", 1) >= 0.91
