"""Search among 100,000 passages: `python -m tests.benchmarks.scale [--passages N] [--data DIR]`.

Real texts of the sample articles are embedded once; the collection is made of them with their words shuffled and noise
on their vectors, so that words and vectors are distributed as in real documents. Prints the time of the first search
after a start, of a search (the question's embedding included) and of adding one file.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil

from core.documents.chunking import Chunk
from core.documents.collection import Collection
from core.documents.language import detect
from core.settings import Settings
from tests.benchmarks.made import make_articles

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "retrieval"  # beside a development copy
_CHUNKS_PER_DOCUMENT = 50
_NOISE = 0.3  # added to unit vectors before they are made unit again: neighbours at about .96


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--passages", type=int, default=100_000)
    arguments.add_argument("--data", type=Path)
    options = arguments.parse_args()
    texts, questions = sample(options.data)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(docs_dir=Path(folder) / "docs", data_dir=Path(folder) / "data")
        settings.docs_dir.mkdir()
        fill(settings, texts, options.passages)
        measure(settings, questions)


def sample(folder: Path | None) -> tuple[list[str], list[str]]:
    """Paragraphs and questions of the articles in `folder`, in both languages; made on the spot where none is given."""
    if folder is None:
        with tempfile.TemporaryDirectory() as made:
            return sample(make_articles(Path(made)))
    texts, questions = [], []
    for path in sorted(folder.glob("xquad.*.json")):
        for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
            for paragraph in article["paragraphs"]:
                texts.append(paragraph["context"][:1000])
                questions += [entry["question"] for entry in paragraph["qas"]]
    return texts, questions


def fill(settings: Settings, texts: Sequence[str], passages: int) -> None:
    """A store of `passages` passages in documents of fifty."""
    dice, noise = random.Random(1), np.random.default_rng(1)
    started = time.monotonic()
    with Collection(settings) as collection:
        vectors = collection.embedder.embed(texts)
        languages = [detect(text) for text in texts]
        words = [text.split() for text in texts]
        for number in range(passages // _CHUNKS_PER_DOCUMENT):
            picks = [dice.randrange(len(texts)) for _ in range(_CHUNKS_PER_DOCUMENT)]
            pages = [" ".join(dice.sample(words[pick], len(words[pick]))) for pick in picks]
            chunks = [Chunk(page, 0, len(text), text) for page, text in enumerate(pages, start=1)]
            noisy = vectors[picks] + noise.normal(0, _NOISE / vectors.shape[1] ** 0.5, (len(picks), vectors.shape[1]))
            noisy /= np.linalg.norm(noisy, axis=1, keepdims=True)
            source, sha256 = f"{number}.txt", f"{number:064d}"
            collection.store.queue(source, sha256, 0, 0)
            collection.store.add_content(sha256, pages, chunks, [languages[pick] for pick in picks],
                                         collection.embedder.model, noisy.astype(np.float32))
            collection.store.show_content(source, sha256)
        print(f"store filled in {time.monotonic() - started:.0f} s")
        started = time.monotonic()
        collection.searcher.sync()
        print(f"both indexes made in {time.monotonic() - started:.0f} s")


def measure(settings: Settings, questions: Sequence[str]) -> None:
    started = time.monotonic()
    with Collection(settings) as collection:
        collection.searcher.sync()
        synced = time.monotonic() - started
        collection.search(questions[0])
        print(f"first search {time.monotonic() - started:.2f} s after the start (indexes ready after {synced:.2f} s)")
        times = []
        for question in random.Random(2).sample(list(questions), 300):
            begun = time.perf_counter()
            collection.search(question)
            times.append((time.perf_counter() - begun) * 1000)
        times.sort()
        print(f"search p50 {statistics.median(times):.1f} ms, p95 {times[int(len(times) * 0.95)]:.1f} ms")
        print(f"memory {psutil.Process().memory_info().rss / 1e6:.0f} MB")
        measure_adding(collection, settings)


def measure_adding(collection: Collection, settings: Settings) -> None:
    original = settings.data_dir / "nueva.txt"
    original.write_text("El faro de Chipiona mide 69 metros. " * 100, encoding="utf-8")
    begun = time.monotonic()
    collection.library.add(original)
    for _ in collection.library.index_pending():
        pass
    embedded = time.monotonic() - begun
    collection.searcher.sync()
    print(f"adding a file: {embedded:.2f} s to read and embed, {time.monotonic() - begun - embedded:.2f} s until found")


if __name__ == "__main__":
    main()
