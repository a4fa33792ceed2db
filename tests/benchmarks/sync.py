"""What the folder costs: a sync of 1,000 unchanged files, one that reads them all, and watching them.

    python -m tests.benchmarks.sync [FILES]
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil

from core.documents.background import BackgroundIndexing
from core.documents.chunking import Chunk
from core.documents.collection import Collection
from core.documents.watching import FolderWatch
from core.settings import Settings

_REPEATS = 5
_WATCHED_SECONDS = 20.0


def main(arguments: list[str]) -> None:
    files = int(arguments[0]) if arguments else 1000
    with tempfile.TemporaryDirectory() as folder:
        settings = replace(Settings(), docs_dir=Path(folder, "docs"), data_dir=Path(folder, "data"))
        with Collection(settings) as collection:
            write_files(settings.docs_dir, files)
            first = milliseconds(lambda: sync(collection))
            know_contents(collection)
            unchanged = [milliseconds(lambda: sync(collection)) for _ in range(_REPEATS)]
            for path in settings.docs_dir.rglob("*.txt"):
                os.utime(path, (1, 1))
            touched = milliseconds(lambda: sync(collection))
            watch = FolderWatch(settings.docs_dir, lambda found, moving: None)
            looks = [milliseconds(watch.look) for _ in range(_REPEATS)]
            print(f"{files} files in 20 folders, ms")
            print(f"  first sync, every file hashed      {first:8.0f}")
            print(f"  sync, nothing changed              {statistics.median(unchanged):8.0f}")
            print(f"  sync, every time stamp changed     {touched:8.0f}")
            print(f"  one look of the watch              {statistics.median(looks):8.1f}")
            print(f"  watching: {idle_share(collection):.2%} of one core")


def write_files(folder: Path, files: int) -> None:
    for number in range(files):
        path = folder / f"folder {number % 20}" / f"file {number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"The text of file {number}. " * 40, encoding="utf-8")


def know_contents(collection: Collection) -> None:
    """As if all had been indexed; nothing is embedded here."""
    store = collection.store
    for document in store.documents():
        vectors = np.full((1, 4), 0.5, np.float32)
        store.add_content(document.file_sha256, ["text"], [Chunk(1, 0, 4, "text")], ["en"], collection.embedder.model,
                          vectors)
        store.show_content(document.source, document.file_sha256)


def sync(collection: Collection) -> None:
    for _ in collection.library.sync():
        pass


def milliseconds(step: Callable[[], None]) -> float:
    started = time.perf_counter()
    step()
    return 1000 * (time.perf_counter() - started)


def idle_share(collection: Collection) -> float:
    """The share of one core that this process takes while the folder is watched and nothing happens."""
    background = BackgroundIndexing(collection)
    background.start()
    background.sync_folder()
    background.ready.wait()
    time.sleep(15)  # the model is loaded in its own process
    process = psutil.Process()
    before = sum(process.cpu_times()[:2])
    time.sleep(_WATCHED_SECONDS)
    spent = sum(process.cpu_times()[:2]) - before
    background.close()
    return spent / _WATCHED_SECONDS


if __name__ == "__main__":
    main(sys.argv[1:])
