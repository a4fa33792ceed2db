"""One writer, any number of readers, over one data folder."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from core.documents.collection import Collection
from core.documents.holder import held_error, holder_of
from core.errors import DocumentError
from core.settings import Settings
from tests.core.documents.conftest import write_files
from tests.core.documents.shelf import without_model

PROJECT = Path(__file__).resolve().parents[3]


def test_the_second_is_a_reader_whose_library_refuses(settings: Settings) -> None:
    with Collection(settings) as first, Collection(settings) as second:
        assert first.writable
        assert not second.writable
        with pytest.raises(DocumentError, match="store_held_by"):
            second.library  # noqa: B018
    with Collection(settings) as third:
        assert third.writable


def test_the_lock_is_let_go_from_any_thread(settings: Settings) -> None:
    collection = Collection(settings)
    closing = threading.Thread(target=collection.close)
    closing.start()
    closing.join()
    with Collection(settings) as again:
        assert again.writable


def test_the_writer_of_another_process_is_noticed_and_its_death_too(settings: Settings) -> None:
    code = ("import sys; from pathlib import Path; from core.documents.collection import Collection;"
            "from core.settings import Settings; c = Collection(Settings(data_dir=Path(sys.argv[1])));"
            "print(c.writable, flush=True); sys.stdin.read()")
    command = [sys.executable, "-c", code, str(settings.data_dir)]
    with subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline().strip() == "True"
        with Collection(settings) as reader:
            assert not reader.writable
            with pytest.raises(DocumentError) as caught:
                reader.library  # noqa: B018
            assert (caught.value.code, caught.value.values["pid"]) == ("store_held_by", other.pid)
            assert caught.value.values["program"] == f"-c {settings.data_dir}"
        assert (settings.data_dir / "writer.json").exists()  # a reader takes no note away
        other.kill()
    assert holder_of(settings.data_dir) is None
    with Collection(settings) as writer:
        assert writer.writable
        writer.note_address("http://127.0.0.1:7860")
        assert held_error(settings.data_dir).values["url"] == "http://127.0.0.1:7860"
    assert not (settings.data_dir / "writer.json").exists()


@pytest.mark.parametrize("note", ["", "[]", "{}", '{"pid": 1, "started": 0, "program": "x"}', '{"pid": "x"}'])
def test_a_note_that_tells_nobody_is_passed_over(settings: Settings, note: str) -> None:
    with Collection(settings), Collection(settings) as second:
        (settings.data_dir / "writer.json").write_text(note, encoding="utf-8")
        with pytest.raises(DocumentError) as caught:
            second.library  # noqa: B018
        assert caught.value.code == "store_held"


def test_a_reader_searches_while_the_writer_indexes(settings: Settings) -> None:
    write_files(settings.docs_dir, {f"{number}.txt": f"el pingüino número {number}" for number in range(30)})
    writer, reader = without_model(settings), without_model(settings)
    try:
        found = 0
        for _ in writer.library.run():
            writer.searcher.sync()
            reader.searcher.sync()
            hits = reader.search("pingüino", 50)
            assert len(hits) >= found
            found = len(hits)
        assert found == 30
        writer.library.remove("7.txt")
        assert len(reader.search("pingüino", 50)) == 29
    finally:
        writer.close()
        reader.close()


def test_a_store_that_cannot_be_opened_lets_the_lock_go(settings: Settings) -> None:
    settings.data_dir.mkdir(parents=True)
    settings.store_path.write_bytes(b"no database " * 500)
    with pytest.raises(DocumentError, match="store_damaged"):
        Collection(settings)
    settings.store_path.unlink()
    with Collection(settings) as collection:
        assert collection.writable
