"""One document from file to searchable: parse, chunk, embed, store. Knows nothing of folders (see `library`)."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from core.documents.chunking import Chunk, split_page
from core.documents.embeddings import BATCH_SIZE, Embedded, Embedder
from core.documents.events import DocumentEvent, Embedding, Failed, Indexed, NoText, Parsing, Reason
from core.documents.folder import hash_file
from core.documents.language import detect
from core.documents.parsing import Parser
from core.documents.reader_child import Unwanted
from core.documents.records import WORKING, StoredDocument
from core.documents.store import Store, Vectors
from core.errors import DocumentError
from core.settings import MEBIBYTE, Settings

_PAGES_PER_EVENT = 20
_SECONDS_PER_EVENT = 0.5  # a document that was cancelled is let go as soon
# Chunks gathered before they are embedded, so that those of like length can go together: a batch costs what its
# longest member costs. Meanwhile the parser reads on in its own process.
_CHUNKS_GATHERED = 8 * BATCH_SIZE


@dataclass
class _Content:
    """What has been made of a file so far."""

    pages: list[str] = field(default_factory=list)
    chunks: list[Chunk] = field(default_factory=list)
    vectors: list[Vectors] = field(default_factory=list)  # of each chunk: (windows, dim)
    tokens: list[int] = field(default_factory=list)

    def all_vectors(self) -> Vectors:
        """(sum(windows), dim)"""
        return np.concatenate(self.vectors) if self.vectors else np.empty((0, 0), np.float32)

    def windows(self) -> list[int]:
        return [len(part) for part in self.vectors]

    def expected_chunks(self, expected_pages: int | None) -> int:
        """How many chunks there will be when all pages are as rich as those read so far; 0 where nobody knows how many
        pages come."""
        return round(len(self.chunks) * max(1.0, expected_pages / len(self.pages))) if expected_pages else 0


class Indexer:
    """Turns queued documents into shown ones, one at a time."""

    def __init__(self, settings: Settings, store: Store, embedder: Embedder) -> None:
        self._settings = settings
        self._store = store
        self._embedder = embedder
        self._parser = Parser(settings)
        # By source: a password, and the hash of the file it opens. Here alone, until the work on the document ends.
        self._passwords: dict[str, tuple[str, str]] = {}
        self._closed = False

    @property
    def embedder_model(self) -> str:
        return self._embedder.model

    def index(self, source: str) -> Iterator[DocumentEvent]:
        """Index one queued document, to its Indexed, NoText or Failed event; nothing for one removed or cancelled
        meanwhile.

        A caller that stops listening leaves the document queued. Errors of the embedder are not the file's:
        DocumentError `embedder_failed` is raised, and the document stays queued.
        """
        document = self._store.document(source)
        if document is not None:
            yield from self._index(document)
        self._passwords.pop(source, None)

    def unlock(self, source: str, sha256: str, password: str) -> None:
        """Try a password on a document and keep it in memory until the work on this content of it ends. Raises
        DocumentError: `pdf_wrong_password`, and what `Parser.pages` raises."""
        parser = Parser(self._settings)  # of its own: the other may be at work on a long file
        try:
            next(parser.pages(self._settings.docs_dir / source, password=password), None)
        finally:
            parser.close()
        self._passwords[source] = (sha256, password)

    def _index(self, document: StoredDocument) -> Iterator[DocumentEvent]:
        source = document.source
        sha256 = document.file_sha256
        if document.again or not self._store.has_content(sha256, self._embedder.model):
            stored = None if document.again else self._store.chunks_of(sha256)
            try:
                if stored is None:
                    content = yield from self._read(document)
                else:
                    yield from self._embed_stored(document, stored)
            except Unwanted:
                return
            except DocumentError as error:
                if error.code == "embedder_failed":
                    raise
                if self._closed:  # the reader was ended under the file, which is not to blame
                    return
                reason = Reason(error.code, error.values)
                self._store.fail(source, sha256, reason)
                yield Failed(source, reason)
                return
            if stored is None:
                if self._changed_meanwhile(document):
                    return
                self._keep(sha256, content)
        shown = self._store.show_content(source, sha256)
        if shown is None:
            return
        yield Indexed(source, shown.pages, shown.chunks) if shown.chunks else NoText(source, shown.pages)

    def close(self) -> None:
        """End the reader, from any thread; a document that is being read stays queued."""
        self._closed = True
        self._parser.close()

    def _changed_meanwhile(self, document: StoredDocument) -> bool:
        """Whether the file is another one than was queued: what was read must not stand under the old hash. The
        new content is queued in its place."""
        path = self._settings.docs_dir / document.source
        try:
            status = path.stat()
            if (status.st_size, status.st_mtime_ns) == (document.size_bytes, document.modified_ns):
                return False
            sha256 = hash_file(path)
        except OSError:  # gone since: the next sync forgets it, or asks
            return False
        self._store.queue(document.source, sha256, status.st_size, status.st_mtime_ns)
        return sha256 != document.file_sha256

    def _read(self, document: StoredDocument) -> Generator[DocumentEvent, None, _Content]:
        """The file's pages, chunks and vectors; embedding begins while later pages are still being read."""
        source, path = document.source, self._settings.docs_dir / document.source
        self._note(source, "parsing", 0)
        yield Parsing(source, 0)
        size_bytes = path.stat().st_size if path.exists() else 0
        if size_bytes > self._settings.max_file_bytes:
            raise DocumentError("file_too_large", megabytes=self._settings.max_file_bytes // MEBIBYTE)
        content = _Content()
        noted = time.monotonic()
        pages = self._parser.pages(path, lambda: self._wanted(source), self._password(document))
        text = next(pages, None)
        while text is not None:
            content.pages.append(text)
            content.chunks += split_page(text, len(content.pages), self._settings.chunk_size,
                                         self._settings.chunk_overlap)
            text = next(pages, None)  # asked for before the embedding, which then knows whether more will come
            if text is not None and len(content.chunks) - len(content.vectors) >= _CHUNKS_GATHERED:
                yield from self._embed(source, content, over=False)
            elif len(content.pages) % _PAGES_PER_EVENT == 0 or time.monotonic() - noted > _SECONDS_PER_EVENT:
                noted = time.monotonic()
                yield self._reading(source, content)
        yield from self._embed(source, content)
        return content

    def _reading(self, source: str, content: _Content) -> Parsing | Embedding:
        """Note how far the reading has come: in pages, and in passages once the first of them are embedded."""
        expected_pages = self._parser.expected_pages
        if content.vectors:
            return self._embedding(source, len(content.vectors), content.expected_chunks(expected_pages), about=True)
        self._note(source, "parsing", len(content.pages), expected_pages or 0)
        return Parsing(source, len(content.pages), expected_pages or 0)

    def _embedding(self, source: str, done: int, total: int, about: bool) -> Embedding:
        self._note(source, "embedding", done, total, about=about)
        return Embedding(source, done, total, about)

    def _embed_stored(self, document: StoredDocument, chunks: list[Chunk]) -> Iterator[DocumentEvent]:
        """Vectors of this embedder for a content that has those of another, from its stored text: its file is not
        asked. The old ones stay until all are there."""
        content = _Content(chunks=chunks)
        yield from self._embed(document.source, content)
        self._store.replace_vectors(document.file_sha256, self._embedder.model, content.all_vectors(),
                                    content.windows(), content.tokens)

    def renew(self, sha256: str) -> None:
        """Embed a stored content with this embedder that a document shows beside its work, such as one whose new file
        failed: what became of that file still stands. Raises DocumentError `embedder_failed`."""
        chunks = self._store.chunks_of(sha256) or []
        content = _Content()
        for start in range(0, len(chunks), BATCH_SIZE):
            embedded = self._embedder.embed_windows([chunk.text for chunk in chunks[start : start + BATCH_SIZE]])
            content.vectors += windows_of(embedded)
            content.tokens += embedded.tokens
        self._store.replace_vectors(sha256, self._embedder.model, content.all_vectors(), content.windows(),
                                    content.tokens)

    def _embed(self, source: str, content: _Content, *, over: bool = True) -> Iterator[DocumentEvent]:
        """Embed the chunks that have no vectors yet, those of like length together. `over`: no more will come."""
        total = len(content.chunks) if over else content.expected_chunks(self._parser.expected_pages)
        first = len(content.vectors)
        waiting = content.chunks[first:]
        content.vectors += [np.empty((0, 0), np.float32)] * len(waiting)
        content.tokens += [0] * len(waiting)
        order = sorted(range(len(waiting)), key=lambda index: len(waiting[index].text))
        for start in range(0, len(order), BATCH_SIZE):
            done = first + start
            yield self._embedding(source, done, total, about=not over)
            batch = order[start : start + BATCH_SIZE]
            embedded = self._embedder.embed_windows([waiting[index].text for index in batch])
            for index, vectors, tokens in zip(batch, windows_of(embedded), embedded.tokens, strict=True):
                content.vectors[first + index] = vectors
                content.tokens[first + index] = tokens

    def _password(self, document: StoredDocument) -> str | None:
        sha256, password = self._passwords.get(document.source, ("", None))
        return password if sha256 == document.file_sha256 else None

    def _wanted(self, source: str) -> bool:
        """Whether the document has been neither removed nor cancelled."""
        document = self._store.document(source)
        return document is not None and document.state in WORKING

    def _note(self, source: str, state: Literal["parsing", "embedding"], done: int, total: int = 0, *,
              about: bool = False) -> None:
        if not self._store.set_progress(source, state, done, total, about=about):
            raise Unwanted

    def _keep(self, sha256: str, content: _Content) -> None:
        self._store.add_content(
            sha256, content.pages, content.chunks, [detect(chunk.text) for chunk in content.chunks],
            self._embedder.model, content.all_vectors(), windows=content.windows(), tokens=content.tokens)


def windows_of(embedded: Embedded) -> list[Vectors]:
    """The vectors of each text, (windows, dim)."""
    return np.split(embedded.vectors, np.cumsum(embedded.counts)[:-1])
