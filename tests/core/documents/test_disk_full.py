"""A full disk is said in words, what was indexed stays, and the work goes on once there is room."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.documents.collection import Collection
from core.errors import DocumentError
from core.settings import Settings
from tests.core.documents.conftest import write_files


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1.2 MB, where the system lets us make one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1200k", "tmpfs", str(folder)]
    if sys.platform != "linux" or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small file system can only be mounted by root on Linux")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_said_in_words_and_loses_nothing(tmp_path: Path, small_disk: Path) -> None:
    docs = tmp_path / "docs"
    write_files(docs, {"a.txt": "El pingüino vive en el sur."})
    settings = Settings(docs_dir=docs, data_dir=small_disk)
    with Collection(settings) as collection:
        list(collection.library.run())
        collection.searcher.sync()
        write_files(docs, {f"grande {number}.txt": f"{number} " + "palabras y más palabras " * 3_000
                           for number in range(5)})
        with pytest.raises(DocumentError) as caught:
            list(collection.library.run())
        assert caught.value.code == "disk_full"
        assert collection.search("pingüino", 1)[0].source == "a.txt"
        assert {document.state for document in collection.store.documents()} <= {"indexed", "queued", "embedding"}
    subprocess.run(["mount", "-o", "remount,size=60m", str(small_disk)], check=True)
    with Collection(settings) as collection:
        list(collection.library.run())
        collection.searcher.sync()
        assert {document.state for document in collection.store.documents()} == {"indexed"}
        assert collection.search("pingüino", 1)[0].source == "a.txt"
