"""Chunks by their words: BM25 by Tantivy, each chunk stemmed in its own language.

The folder on disk is a cache of the store. `contents.json` beside it says what it holds; where that does not
match, the difference is made up, and a damaged folder is made anew. Hits are resolved through the store, so what
the cache still holds of a removed document is never shown.
"""

from __future__ import annotations

import json
import logging
import math
import shutil
import threading
from collections.abc import Collection
from pathlib import Path
from typing import Any

from core.documents.language import OTHER, STEMMERS
from core.documents.store import Store
from core.documents.words import analyzer, tokens

_LAYOUT = 4  # rises when fields or tokenizers change; another number on disk means a rebuild
_WRITER_BYTES = 64 * 1024 * 1024  # Tantivy's buffer before it writes a segment; 15 MB is its least
_LANGUAGES = (*STEMMERS, OTHER)  # a language's place is its number in the index
# Passages without the word that each language is thought to hold beside its own: in three passages, a word that
# stands in all of them is not common yet.
_BACKGROUND = 100
_log = logging.getLogger(__name__)


class LexicalIndex:
    """Words of the contents that search must know. Safe for several threads.

    Only the holder of the data folder's writer lock may be `writable`; a reader takes the folder as it is, and
    an index in memory, filled by its own `sync`, where there is none.
    """

    def __init__(self, folder: Path, store: Store, *, writable: bool) -> None:
        self._folder: Path | None = folder
        self._store = store
        self._writable = writable
        self._contents: set[int] = set()
        self._lock = threading.Lock()
        try:
            self._index = self._open()
        except Exception:  # Tantivy raises ValueError and OSError alike for a damaged folder
            _log.warning("The lexical index is unusable and will be made anew", exc_info=True)
            self._index = self._make_anew()

    def sync(self, shown: set[int]) -> None:
        """Hold exactly the contents `shown`; a reader of a folder follows what its writer committed."""
        if self._folder is not None and not self._writable:
            self._index.reload()
            return
        with self._lock:
            if shown == self._contents:
                return
            try:
                self._change_to(shown)
            except ValueError:  # damage that opening did not notice
                _log.warning("The lexical index is damaged and will be made anew", exc_info=True)
                self._index = self._make_anew()
                self._change_to(shown)

    def _change_to(self, shown: set[int]) -> None:
        writer = self._index.writer(_WRITER_BYTES, 1)
        for content_id in self._contents ^ shown:
            # Also before adding: a crash between commit and note may have left the content in the index.
            writer.delete_documents_by_term("content", str(content_id))
        for content_id in shown - self._contents:
            for chunk_id, language, text in self._store.texts(content_id):
                writer.add_document(_document(chunk_id, content_id, language, text))
        writer.commit()
        writer.wait_merging_threads()
        self._contents = shown
        self._note_contents()
        self._index.reload()

    def search(self, question: str, count: int, among: Collection[int] | None = None) -> dict[int, float]:
        """The `count` best chunks for the question's words, any of them, of the contents `among` where they are
        given: id → BM25 score."""
        import tantivy

        terms = [
            (tantivy.Occur.Should, tantivy.Query.term_query(self._index.schema, _field(code), token))
            for code in _LANGUAGES
            for token in dict.fromkeys(tokens(question, code))
        ]
        if not terms:
            return {}
        searcher = self._index.searcher()
        query = tantivy.Query.boolean_query(terms)
        if among is not None:
            query = self._only(query, among)
        hits = searcher.search(query, count, count=False).hits
        addresses = [address for _, address in hits]
        ids = searcher.fast_field_values("id", addresses) if addresses else []
        return {int(chunk_id): float(score) for chunk_id, (score, _) in zip(ids, hits, strict=True)}

    def _only(self, query: Any, contents: Collection[int]) -> Any:
        """The query among these contents, its scores as they were."""
        import tantivy

        wanted = tantivy.Query.term_set_query(self._index.schema, "content", [str(content) for content in contents])
        return tantivy.Query.boolean_query([(tantivy.Occur.Must, query),
                                            (tantivy.Occur.Must, tantivy.Query.const_score_query(wanted, 0.0))])

    def weights(self, question: str, language: str) -> dict[str, float]:
        """What each word of `question` tells in the passages of `language`: token → inverse document frequency, as
        BM25 has it, above 0 and at most ln(2 × passages) about; the most for a word that no passage holds."""
        searcher = self._index.searcher()
        passages = searcher.doc_freq("language", _LANGUAGES.index(language)) + _BACKGROUND
        found = {token: searcher.doc_freq(_field(language), token) for token in tokens(question, language)}
        return {token: math.log(1 + (passages - count + 0.5) / (count + 0.5)) for token, count in found.items()}

    def _open(self) -> Any:
        import tantivy

        assert self._folder is not None
        note = self._folder / "contents.json"
        if not note.exists():
            return self._make_anew()
        content = json.loads(note.read_text(encoding="utf-8"))
        if (content["layout"], content["store"]) != (_LAYOUT, self._store.identity):
            return self._make_anew()
        index = tantivy.Index.open(str(self._folder / "tantivy"))
        self._contents = set(content["contents"])
        return self._ready(index)

    def _make_anew(self) -> Any:
        import tantivy

        self._contents = set()
        if not self._writable or self._folder is None:
            self._folder = None
            return self._ready(tantivy.Index(_schema()))
        shutil.rmtree(self._folder, ignore_errors=True)
        (self._folder / "tantivy").mkdir(parents=True)
        self._note_contents()
        return self._ready(tantivy.Index(_schema(), path=str(self._folder / "tantivy")))

    def _ready(self, index: Any) -> Any:
        for code in _LANGUAGES:
            index.register_tokenizer(code, analyzer(code))
        return index

    def _note_contents(self) -> None:
        if self._folder is None:
            return
        fresh = self._folder / "contents.json.new"
        content = {"layout": _LAYOUT, "store": self._store.identity, "contents": sorted(self._contents)}
        fresh.write_text(json.dumps(content), encoding="utf-8")
        fresh.replace(self._folder / "contents.json")


def _field(language: str) -> str:
    return f"body_{language}"


def _schema() -> Any:
    """One field a language: its stemmer and its own word frequencies."""
    import tantivy

    builder = tantivy.SchemaBuilder()
    builder.add_integer_field("id", stored=False, indexed=True, fast=True)
    builder.add_integer_field("language", stored=False, indexed=True)
    builder.add_text_field("content", stored=False, tokenizer_name="raw", index_option="basic")
    for code in _LANGUAGES:
        builder.add_text_field(_field(code), stored=False, tokenizer_name=code, index_option="freq")
    return builder.build()


def _document(chunk_id: int, content_id: int, language: str, text: str) -> Any:
    import tantivy

    document = tantivy.Document()
    document.add_integer("id", chunk_id)
    document.add_text("content", str(content_id))
    language = language if language in STEMMERS else OTHER
    document.add_integer("language", _LANGUAGES.index(language))
    document.add_text(_field(language), text)
    return document
