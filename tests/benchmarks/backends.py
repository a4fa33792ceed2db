"""What the fast backend costs in recall: `python -m tests.benchmarks.backends [--data DIR]`.

The same files are indexed and asked twice, with the backend this machine chose and with plain torch in the same child;
everything else is the same. Prints R@1 and R@3 of both and what is lost.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from core.documents.collection import Collection
from core.documents.embeddings import Embedder
from core.settings import Settings
from tests.benchmarks.made import make_articles
from tests.benchmarks.xquad import LANGUAGES, Found, Question, recall, write_articles

TOP_K = 3


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=Path, help="the folder of xquad.en.dev.json and xquad.es.dev.json")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        questions = write_articles(options.data or make_articles(root), root / "docs")
        chosen = Settings(docs_dir=root / "docs", data_dir=root / "chosen", cache_dir=root / "chosen-cache")
        plain = Settings(docs_dir=root / "docs", data_dir=root / "torch", cache_dir=root / "torch-cache")
        backend = prepared_backend(chosen)
        prepared_backend(plain, "torch")
        ours, reference = ask(chosen, questions), ask(plain, questions)
        for language in LANGUAGES:
            for count in (1, TOP_K):
                first, second = (recall(questions, found, language, count) for found in (reference, ours))
                print(f"R@{count} {language}: torch {first:.4f}, {backend} {second:.4f}, "
                      f"lost {100 * (first - second):.2f} points")


def prepared_backend(settings: Settings, wanted: str | None = None) -> str:
    """Let the child convert and choose, as at a first start; `wanted` overrules its choice for the next start."""
    embedder = Embedder(settings)
    try:
        embedder.warm_up()
    finally:
        embedder.close()
    [path] = settings.cache_dir.rglob("backend.json")
    choice = json.loads(path.read_text(encoding="utf-8"))
    if wanted:
        choice["backend"] = wanted
        path.write_text(json.dumps(choice), encoding="utf-8")
    return str(choice["backend"])


def ask(settings: Settings, questions: Sequence[Question]) -> dict[str, list[Found]]:
    """Index everything, then what each question finds."""
    with Collection(settings) as collection:
        for _ in collection.library.run():
            pass
        collection.searcher.sync()
        return {question.id: [Found(hit.source, hit.start, hit.end) for hit in collection.search(question.text, TOP_K)]
                for question in questions}


if __name__ == "__main__":
    main()
