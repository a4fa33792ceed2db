"""One document from file to searchable: parse, chunk, embed, store. Knows nothing of folders (see `library`)."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np

from core.documents.chunking import Chunk, split_pages
from core.documents.embeddings import BATCH_SIZE, Embedder
from core.documents.events import DocumentEvent, Embedding, Failed, Indexed, NoText, Parsing, Reason
from core.documents.folder import hash_file
from core.documents.language import detect
from core.documents.parsing import Parser
from core.documents.store import Store, StoredDocument, Vectors
from core.errors import DocumentError
from core.settings import MEBIBYTE, Settings

_PAGES_PER_EVENT = 20


class Indexer:
    """Turns queued documents into shown ones, one at a time."""

    def __init__(self, settings: Settings, store: Store, embedder: Embedder) -> None:
        self._settings = settings
        self._store = store
        self._embedder = embedder
        self._parser = Parser(settings)
        self._closed = False

    @property
    def embedder_model(self) -> str:
        return self._embedder.model

    def index(self, source: str) -> Iterator[DocumentEvent]:
        """Index one queued document, to its Indexed, NoText or Failed event; nothing for one removed meanwhile.

        A caller that stops listening leaves the document queued. Errors of the embedder are not the file's:
        DocumentError `embedder_failed` is raised, and the document stays queued.
        """
        document = self._store.document(source)
        if document is None:
            return
        sha256 = document.file_sha256
        if not self._store.has_content(sha256, self._embedder.model):
            try:
                pages = yield from self._parse(source, self._settings.docs_dir / source)
            except DocumentError as error:
                if self._closed:  # the reader was ended under the file, which is not to blame
                    return
                reason = Reason(error.code, error.values)
                self._store.fail(source, sha256, reason)
                yield Failed(source, reason)
                return
            if self._changed_meanwhile(document):
                return
            chunks = split_pages(pages, self._settings.chunk_size, self._settings.chunk_overlap)
            vectors = yield from self._embed(source, chunks)
            languages = [detect(chunk.text) for chunk in chunks]
            self._store.add_content(sha256, pages, chunks, languages, self._embedder.model, vectors)
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

    def _parse(self, source: str, path: Path) -> Generator[DocumentEvent, None, list[str]]:
        """The file's page texts."""
        self._store.set_progress(source, "parsing")
        yield Parsing(source, 0)
        size_bytes = path.stat().st_size if path.exists() else 0
        if size_bytes > self._settings.max_file_bytes:
            raise DocumentError("file_too_large", megabytes=self._settings.max_file_bytes // MEBIBYTE)
        pages = []
        for text in self._parser.pages(path):
            pages.append(text)
            if len(pages) % _PAGES_PER_EVENT == 0:
                self._store.set_progress(source, "parsing", done=len(pages))
                yield Parsing(source, len(pages))
        return pages

    def _embed(self, source: str, chunks: list[Chunk]) -> Generator[DocumentEvent, None, Vectors]:
        """The chunks' vectors, (len(chunks), dim). Chunks of like length go together: a batch costs what its
        longest member costs."""
        order = sorted(range(len(chunks)), key=lambda index: len(chunks[index].text))
        batches: list[Vectors] = []
        for start in range(0, len(order), BATCH_SIZE):
            self._store.set_progress(source, "embedding", done=start, total=len(chunks))
            yield Embedding(source, start, len(chunks))
            batches.append(self._embedder.embed([chunks[i].text for i in order[start : start + BATCH_SIZE]]))
        if not batches:
            return np.empty((0, 0), np.float32)
        sorted_vectors = np.concatenate(batches)
        vectors = np.empty_like(sorted_vectors)
        vectors[order] = sorted_vectors
        return vectors
