"""`kill -9` at random moments of adding, replacing, removing and syncing loses nothing and leaves no ghost.

Real processes are really killed. `make test` kills a few times; `make kill` a hundred (KILLS=100).
"""

from __future__ import annotations

import os
import random
import re
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from core.documents.collection import Collection
from core.documents.events import Missing
from core.documents.folder import hash_file, scan
from tests.core.documents.churn import settings_of

_KILLS = int(os.environ.get("KILLS", "4"))
_LONGEST_LIFE_SECONDS = 3.0
_WORD = re.compile(r"zorzal\d+")


def test_a_killed_process_loses_nothing_and_leaves_no_ghost(tmp_path: Path) -> None:
    dice = random.Random(2026)
    for kill in range(_KILLS):
        churn_and_kill(tmp_path, seed=kill, seconds=dice.uniform(0.05, _LONGEST_LIFE_SECONDS))
        assert_store_is_whole(tmp_path)
        assert_work_resumes_to_the_folder(tmp_path)


def churn_and_kill(folder: Path, *, seed: int, seconds: float) -> None:
    """Let a process work on the folder for some seconds after it is ready, then kill it."""
    command = [sys.executable, "-m", "tests.core.documents.churn", str(folder), str(seed)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    time.sleep(seconds)
    assert process.poll() is None, "it ended by itself"
    process.kill()
    process.wait()
    process.stdout.close()


def assert_store_is_whole(folder: Path) -> None:
    """Right after the kill: every content is complete, and every shown document shows one."""
    with sqlite3.connect(settings_of(folder).store_path) as db:
        assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        contents = db.execute("SELECT sha256, pages, chunks, vectors FROM contents").fetchall()
        for sha256, pages, chunks, vectors in contents:
            assert db.execute("SELECT count(*) FROM pages WHERE sha256 = ?", (sha256,)).fetchone()[0] == pages
            count, windows = db.execute(
                "SELECT count(*), coalesce(sum(windows), 0) FROM chunks WHERE sha256 = ?", (sha256,)).fetchone()
            assert count == chunks
            assert np.frombuffer(vectors, np.float16).size == windows * 384
        shown = db.execute("SELECT sha256, state FROM documents WHERE state IN ('indexed', 'no_text')").fetchall()
        assert {sha256 for sha256, _ in shown} <= {content[0] for content in contents}
    db.close()


def assert_work_resumes_to_the_folder(folder: Path) -> None:
    """The next start finishes the work: what is in the folder is found, and nothing else."""
    settings = settings_of(folder)
    with Collection(settings) as collection:
        assert collection.writable, "the killed process still holds the lock"
        for event in collection.library.run():
            if isinstance(event, Missing):
                collection.library.forget(event.sources)
        collection.searcher.sync()
        files = {file.source: file for file in scan(settings.docs_dir)}
        documents = {document.source: document for document in collection.store.documents()}
        assert set(documents) == set(files)
        for source, document in documents.items():
            assert document.state == "indexed"
            assert document.sha256 == hash_file(files[source].path)
            (word,) = set(_WORD.findall(files[source].path.read_text(encoding="utf-8")))
            (hit,) = [hit for hit in collection.search(word, 3) if word in hit.text][:1]
            assert hash_file(settings.docs_dir / hit.source) == document.sha256
        for trashed in collection.store.trash():
            for word in _WORD.findall(trashed.path.read_text(encoding="utf-8")) if trashed.path.exists() else []:
                assert all(hit.source in files for hit in collection.search(word, 3))
