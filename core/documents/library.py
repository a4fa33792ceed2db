"""The folder `mis_documentos/` and the store, kept alike: add, remove, undo, sync. Yields events.

One library writes to a data folder at a time, held by an OS lock; others may read. Knows nothing of the page.
"""

from __future__ import annotations

import shutil
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from core.documents import folder
from core.documents.events import (
    DocumentEvent,
    Failed,
    Indexed,
    Missing,
    NoText,
    Reason,
    Removed,
    Skipped,
    Summary,
)
from core.documents.indexing import Indexer
from core.documents.parsers import SUFFIXES
from core.documents.store import Store, StoredDocument, Trashed
from core.errors import DocumentError
from core.settings import MEBIBYTE, Settings

OnConflict = Literal["ask", "replace", "keep_both"]
_GUIDE_FOLDER = Path(__file__).parent / "guide"
_GUIDE_NOTE = "guide"
# Failures of the moment rather than of the file: it is tried again at the next sync.
_PASSING = frozenset({"file_gone", "file_unreadable", "file_too_large", "parser_memory"})


class Library:
    """Adds, removes and syncs documents, and indexes what is queued."""

    def __init__(self, settings: Settings, store: Store, indexer: Indexer) -> None:
        self._settings = settings
        self._store = store
        self._indexer = indexer

    # Files come in.

    def add(self, original: Path, name: str | None = None, on_conflict: OnConflict = "ask") -> str:
        """Copy a file into the folder and queue it; returns its source.

        Raises DocumentError: `unsupported_type`, `file_empty`, `file_too_large`, `already_here` (the same
        content), `name_taken` (another content under this name, with on_conflict "ask").
        """
        name = folder.safe_name(name or original.name)
        if Path(name).suffix.lower() not in SUFFIXES:
            raise DocumentError("unsupported_type", suffixes=", ".join(SUFFIXES))
        size_bytes = original.stat().st_size
        if size_bytes == 0:
            raise DocumentError("file_empty")
        if size_bytes > self._settings.max_file_bytes:
            raise DocumentError("file_too_large", megabytes=self._settings.max_file_bytes // MEBIBYTE)
        sha256 = folder.hash_file(original)
        twin = self._store.source_of(sha256)
        if twin is not None and (self._settings.docs_dir / twin).exists():
            raise DocumentError("already_here", twin=twin)
        target = self._settings.docs_dir / name
        if target.is_dir() or (target.exists() and folder.hash_file(target) != sha256):
            if on_conflict == "ask":
                raise DocumentError("name_taken", name=name)
            if on_conflict == "keep_both":
                name = folder.free_name(self._settings.docs_dir, name)
                target = self._settings.docs_dir / name
            else:
                self._to_trash(name)
        folder.copy_into(original, target)
        self._queue_file(name, target, sha256)
        return name

    def add_guide(self) -> None:
        """Put the guides to Taller into an empty library, once: the first question works at once."""
        if self._store.note(_GUIDE_NOTE) is not None or self._store.documents():
            return
        for path in sorted(_GUIDE_FOLDER.iterdir()):
            if path.suffix in SUFFIXES:
                self.add(path, on_conflict="keep_both")
        self._store.set_note(_GUIDE_NOTE, "shown")

    def guides(self) -> list[str]:
        """The sources of the guides that are in the library."""
        names = {path.name for path in _GUIDE_FOLDER.iterdir() if path.suffix in SUFFIXES}
        return [document.source for document in self._store.documents() if document.source in names]

    # Files go out.

    def remove(self, source: str) -> Trashed | None:
        """Forget a document at once and move its file to the trash; None when there was no file to move, and for
        a source that is no document: the name may come from outside."""
        if self._store.document(source) is None:
            return None
        trashed = self._to_trash(source)
        self._store.remove(source)
        return trashed

    def undo(self) -> str | None:
        """Bring back what was removed last, under a free name if its own is taken; its source, or None."""
        for trashed in self._store.trash():
            if not trashed.path.exists():
                self._store.forget_trash(trashed.id)
                continue
            target = self._settings.docs_dir / trashed.source
            source = target.parent / folder.free_name(target.parent, target.name)
            source.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(trashed.path, source)
            self._store.forget_trash(trashed.id)
            name = source.relative_to(self._settings.docs_dir).as_posix()
            self._queue_file(name, source, folder.hash_file(source))
            return name
        return None

    def forget(self, sources: Iterable[str]) -> None:
        """Take documents out of the index whose files are gone, as the user confirmed."""
        for source in sources:
            if not (self._settings.docs_dir / source).exists():
                self._store.remove(source)

    # The folder decides.

    def sync(self) -> Iterator[DocumentEvent]:
        """Bring the store up to the folder: queue new and changed files, forget those that are gone.

        Yields Skipped for unchanged files, the known outcome of files that failed or had no text, Removed, and
        Missing when more than half is gone: then nothing is forgotten.
        """
        known = {document.source: document for document in self._store.documents()}
        if not known:
            self._settings.docs_dir.mkdir(parents=True, exist_ok=True)
        found = {file.source: file for file in folder.scan(self._settings.docs_dir)}
        for source, file in found.items():
            try:
                yield from self._sync_file(file, known.get(source))
            except OSError as error:
                yield Failed(source, Reason("file_unreadable", {"detail": error.strerror or str(error)}))
        gone = tuple(source for source in known if source not in found)
        if gone and (2 * len(gone) > len(known) or not self._settings.docs_dir.exists()):
            yield Missing(gone, len(known))
            return
        for source in gone:
            self._store.remove(source)
            yield Removed(source)

    def missing(self) -> tuple[str, ...]:
        """Documents whose file is not in the folder any more."""
        return tuple(document.source for document in self._store.documents()
                     if not (self._settings.docs_dir / document.source).exists())

    def _sync_file(self, file: folder.FolderFile, known: StoredDocument | None) -> Iterator[DocumentEvent]:
        if known is None or (known.reason is not None and known.reason.code in _PASSING):
            self._queue_file(file.source, file.path, folder.hash_file(file.path))
            return
        if (known.size_bytes, known.modified_ns) != (file.size_bytes, file.modified_ns):
            sha256 = folder.hash_file(file.path)
            if sha256 != known.file_sha256:
                self._queue_file(file.source, file.path, sha256)
                return
            self._store.touch(file.source, file.modified_ns)
        yield from _known_outcome(known)

    # Work through the queue.

    def index_pending(self) -> Iterator[DocumentEvent]:
        """Index everything that is queued, also what an earlier run left unfinished."""
        self._store.queue_other_embedders(self._indexer.embedder_model)
        for source in self._store.pending():
            yield from self._indexer.index(source)

    def run(self) -> Iterator[DocumentEvent]:
        """A whole run: sync, index, and the Summary of both."""
        started = time.monotonic()
        counts: Counter[type[DocumentEvent]] = Counter()
        chunks = 0
        for events in (self.sync(), self.index_pending()):
            for event in events:
                counts[type(event)] += 1
                if isinstance(event, Indexed):
                    chunks += event.chunks
                yield event
        yield Summary(indexed=counts[Indexed], no_text=counts[NoText], skipped=counts[Skipped],
                      failed=counts[Failed], removed=counts[Removed], chunks=chunks,
                      seconds=round(time.monotonic() - started, 3))

    def _queue_file(self, source: str, path: Path, sha256: str) -> None:
        status = path.stat()
        self._store.queue(source, sha256, status.st_size, status.st_mtime_ns)

    def _to_trash(self, source: str) -> Trashed | None:
        path = self._settings.docs_dir / source
        if not path.exists():
            return None
        target = self._settings.data_dir.resolve() / "trash" / uuid.uuid4().hex / path.name
        target.parent.mkdir(parents=True)
        # Noted before it is moved: a crash in between leaves a note without a file, never a file without a note.
        trashed = self._store.add_trash(source, target)
        shutil.move(path, target)
        return trashed


def _known_outcome(document: StoredDocument) -> Iterator[DocumentEvent]:
    """What an unchanged file came to before; nothing for one that is still queued."""
    if document.state == "indexed":
        yield Skipped(document.source, Reason("unchanged"))
    elif document.state == "no_text":
        yield NoText(document.source, document.pages)
    elif document.state == "failed" and document.reason is not None:
        yield Failed(document.source, document.reason)
