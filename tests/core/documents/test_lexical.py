"""The lexical index: words found in their own language, and a folder that heals."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from core.documents.chunking import Chunk
from core.documents.lexical import LexicalIndex
from core.documents.store import Store

TEXTS = {
    "es": "Los niños cantaban canciones en la habitación de la montaña.",
    "en": "The children were running through the gardens and singing songs.",
    "other": "Zażółć gęślą jaźń",
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store.sqlite3")
    for language, text in TEXTS.items():
        add(made, f"{language}.txt", text, language)
    return made


def add(store: Store, source: str, text: str, language: str) -> None:
    sha256 = f"hash of {text}"
    store.queue(source, sha256, 1, 1)
    store.add_content(sha256, [text], [Chunk(1, 0, len(text), text)], [language], "mini", np.ones((1, 4), np.float32))
    store.show_content(source, sha256)


def synced(folder: Path, store: Store, *, writable: bool = True) -> LexicalIndex:
    index = LexicalIndex(folder, store, writable=writable)
    sync(index, store)
    return index


def sync(index: LexicalIndex, store: Store) -> None:
    index.sync(store.shown_contents("mini"))


def sources(index: LexicalIndex, store: Store, question: str) -> list[str]:
    """The documents found, best first, as search would show them."""
    found = index.search(question, 10)
    return [chunk.source for chunk in store.first_chunks(sorted(found, key=lambda i: -found[i]), 10)]


@pytest.mark.parametrize(("question", "source"), [
    ("niño", "es.txt"), ("nino", "es.txt"), ("NIÑOS", "es.txt"), ("canción", "es.txt"), ("cancion", "es.txt"),
    ("¿dónde cantan?", "es.txt"), ("habitaciones", "es.txt"), ("run", "en.txt"), ("garden's", "en.txt"),
    ("song", "en.txt"), ("zazółć", "other.txt"), ("gesla", "other.txt"),
])
def test_words_are_found_in_any_form_with_and_without_accents(
    store: Store, tmp_path: Path, question: str, source: str
) -> None:
    assert sources(synced(tmp_path / "lexical", store), store, question)[0] == source


@pytest.mark.parametrize("question", ["", "  ", "¿?", "\"title:(", "AND OR NOT", "x" * 10_000, "body_es:niño*~2"])
def test_a_question_is_words_and_never_a_query_language(store: Store, tmp_path: Path, question: str) -> None:
    synced(tmp_path / "lexical", store).search(question, 10)


def test_what_was_indexed_is_there_after_a_restart_without_work(store: Store, tmp_path: Path) -> None:
    synced(tmp_path / "lexical", store)
    assert sources(LexicalIndex(tmp_path / "lexical", store, writable=True), store, "niño") == ["es.txt"]


def test_a_removed_document_is_never_shown_even_before_the_next_sync(store: Store, tmp_path: Path) -> None:
    index = synced(tmp_path / "lexical", store)
    store.remove("es.txt")
    assert index.search("niño", 10)
    assert sources(index, store, "niño") == []
    sync(index, store)
    assert index.search("niño", 10) == {}


def test_a_document_removed_and_brought_back_between_two_syncs_is_found(store: Store, tmp_path: Path) -> None:
    index = synced(tmp_path / "lexical", store)
    store.remove("es.txt")
    add(store, "es.txt", TEXTS["es"], "es")
    sync(index, store)
    assert sources(index, store, "niño") == ["es.txt"]
    assert sources(LexicalIndex(tmp_path / "lexical", store, writable=True), store, "niño") == ["es.txt"]


def test_a_folder_of_another_store_is_made_anew(store: Store, tmp_path: Path) -> None:
    synced(tmp_path / "lexical", store)
    other = Store(tmp_path / "other.sqlite3")  # its ids begin at one again
    add(other, "hello.txt", "A penguin walked by.", "en")
    index = synced(tmp_path / "lexical", other)
    assert index.search("niño", 10) == {}
    assert sources(index, other, "penguins") == ["hello.txt"]


@pytest.mark.parametrize("damage", ["truncated", "noise", "gone", "no folder", "no note", "bad note", "old layout"])
def test_a_damaged_folder_is_made_anew(store: Store, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "lexical"
    synced(folder, store)
    files = [path for path in (folder / "tantivy").iterdir() if path.stat().st_size > 100]
    note = folder / "contents.json"
    if damage == "no folder":
        shutil.rmtree(folder / "tantivy")
    elif damage == "no note":
        note.unlink()
    elif damage == "bad note":
        note.write_text("{", encoding="utf-8")
    elif damage == "old layout":
        note.write_text(json.dumps({**json.loads(note.read_text("utf-8")), "layout": 0}), encoding="utf-8")
    for path in files if damage in ("truncated", "noise", "gone") else ():
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2] if damage == "truncated" else b"\x07" * len(data))
        if damage == "gone":
            path.unlink()
    assert sources(synced(folder, store), store, "niño") == ["es.txt"]


def test_damage_under_a_running_index_is_mended_at_the_next_change(store: Store, tmp_path: Path) -> None:
    index = synced(tmp_path / "lexical", store)
    for path in (tmp_path / "lexical" / "tantivy").iterdir():
        path.unlink()
    add(store, "new.txt", "Un pingüino pasó.", "es")
    sync(index, store)
    assert sources(index, store, "pingüinos") == ["new.txt"]
    assert sources(index, store, "niño") == ["es.txt"]


def test_a_reader_follows_what_the_writer_commits(store: Store, tmp_path: Path) -> None:
    writer = synced(tmp_path / "lexical", store)
    reader = synced(tmp_path / "lexical", store, writable=False)
    assert sources(reader, store, "niño") == ["es.txt"]
    add(store, "new.txt", "Un pingüino pasó.", "es")
    sync(writer, store)
    sync(reader, store)
    assert sources(reader, store, "pingüinos") == ["new.txt"]


def test_a_reader_without_a_folder_fills_an_index_of_its_own_and_writes_nothing(
    store: Store, tmp_path: Path
) -> None:
    reader = synced(tmp_path / "lexical", store, writable=False)
    assert sources(reader, store, "niño") == ["es.txt"]
    assert not (tmp_path / "lexical").exists()


def test_a_rare_word_weighs_more_than_a_common_one_and_an_unknown_one_most(store: Store, tmp_path: Path) -> None:
    for number in range(20):
        add(store, f"{number}.txt", f"The gardens of house number {number}.", "en")
    weights = synced(tmp_path / "lexical", store).weights("gardens singing penguins", "en")
    assert 0 < weights["garden"] < weights["sing"] < weights["penguin"]


def test_in_one_passage_no_word_is_common_yet(store: Store, tmp_path: Path) -> None:
    weights = synced(tmp_path / "lexical", store).weights("niños de Cuenca", "es")
    assert weights["nin"] == weights["de"] > 0.6 * weights["cuenc"]
