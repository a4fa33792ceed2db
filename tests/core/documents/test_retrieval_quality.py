"""Search finds the right passage, in both languages, on articles and questions that others wrote."""

from __future__ import annotations

from pathlib import Path

from core.documents.collection import Collection
from core.settings import Settings
from tests.benchmarks.xquad import Found, recall, write_articles


def test_the_right_passage_is_among_the_first_three(settings: Settings, shared_data: Path) -> None:
    questions = write_articles(shared_data / "retrieval", settings.docs_dir)
    with Collection(settings) as collection:
        for _ in collection.library.run():
            pass
        collection.searcher.sync()
        found = {question.id: [Found(hit.source, hit.start, hit.end) for hit in collection.search(question.text, 3)]
                 for question in questions}
    assert recall(questions, found, "en", 3) >= 0.975
    assert recall(questions, found, "es", 3) >= 0.96
