"""A full disk is said in words, what was indexed stays, and the work goes on once there is room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import DocumentError
from core.settings import Settings
from tests.core.documents.conftest import write_files
from tests.core.documents.shelf import without_model
from tests.small_disk import enlarge, small_disk_at


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk_at(tmp_path / "small", kilobytes=1200) as folder:
        yield folder


def test_a_full_disk_is_said_in_words_and_loses_nothing(tmp_path: Path, small_disk: Path) -> None:
    docs = tmp_path / "docs"
    write_files(docs, {"a.txt": "El pingüino vive en el sur."})
    settings = Settings(docs_dir=docs, data_dir=small_disk)
    with without_model(settings) as collection:
        list(collection.library.run())
        collection.searcher.sync()
        write_files(docs, {f"grande {number}.txt": f"{number} " + "palabras y más palabras " * 8_000
                           for number in range(5)})
        with pytest.raises(DocumentError) as caught:
            list(collection.library.run())
        assert caught.value.code == "disk_full"
        assert collection.search("pingüino", 1)[0].source == "a.txt"
        assert {document.state for document in collection.store.documents()} <= {"indexed", "queued", "embedding"}
    enlarge(small_disk, kilobytes=60_000)
    with without_model(settings) as collection:
        list(collection.library.run())
        collection.searcher.sync()
        assert {document.state for document in collection.store.documents()} == {"indexed"}
        assert collection.search("pingüino", 1)[0].source == "a.txt"
