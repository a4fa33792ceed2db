"""The folder `mis_documentos/` and the store, kept alike: add, remove, undo, sync. Yields events.

One library writes to a data folder at a time, held by an OS lock; others may read. Knows nothing of the page.
"""

from __future__ import annotations

import logging
import shutil
import sqlite3
import threading
import time
import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
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
    Unreadable,
)
from core.documents.indexing import Indexer
from core.documents.parsers import SUFFIXES
from core.documents.records import WORKING, StoredDocument, Trashed
from core.documents.store import Store
from core.errors import AppError, DocumentError
from core.settings import MEBIBYTE, Settings

OnConflict = Literal["ask", "replace", "keep_both"]
_GUIDE_FOLDER = Path(__file__).parent / "guide"
_GUIDE_NOTE = "guide"
# Failures of the moment rather than of the file: it is tried again at the next sync that is asked for, and the first
# two, which cost nothing to try, whenever the folder is looked at.
_AWAY = frozenset({"file_gone", "file_unreadable"})
_PASSING = _AWAY | {"file_too_large", "parser_memory"}
_log = logging.getLogger(__name__)


class Library:
    """Adds, removes and syncs documents, and indexes what is queued. Safe for several threads."""

    def __init__(self, settings: Settings, store: Store, indexer: Indexer) -> None:
        self._settings = settings
        self._store = store
        self._indexer = indexer
        # Moving a file and noting it are one step for a sync that looks on.
        self._moving = threading.RLock()

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
        with self._moving:
            target = self._settings.docs_dir / name
            if target.is_dir() or (target.exists() and folder.hash_file(target) != sha256):
                if on_conflict == "ask":
                    raise DocumentError("name_taken", name=name)
                if on_conflict == "keep_both":
                    name = folder.free_name(self._settings.docs_dir, name)
                    target = self._settings.docs_dir / name
                else:
                    self._to_trash([name])
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
        names = guide_names()
        return [document.source for document in self._store.documents() if document.source in names]

    # Files go out.

    def remove(self, *sources: str) -> list[str]:
        """Forget documents at once and move their files to the trash, to be brought back together; those that were
        there. A source that is no document is left out: names may come from outside."""
        with self._moving:
            known = [source for source in dict.fromkeys(sources) if self._store.document(source) is not None]
            self._to_trash(known)
            for source in known:
                self._store.remove(source)
        return known

    def undo(self) -> list[str]:
        """Bring back what was removed last, each under a free name if its own is taken; their sources."""
        last: Path | None = None
        restored = []
        with self._moving:
            for trashed in self._store.trash():
                batch = self._batch(trashed)
                if not trashed.path.exists():
                    self._store.forget_trash(trashed.id)
                    continue
                if last not in (None, batch):
                    break
                last = batch
                restored.append(self._restore(trashed))
        return restored

    def _restore(self, trashed: Trashed) -> str:
        target = self._settings.docs_dir / trashed.source
        path = target.parent / folder.free_name(target.parent, target.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(trashed.path, path)
        self._store.forget_trash(trashed.id)
        source = path.relative_to(self._settings.docs_dir).as_posix()
        self._queue_file(source, path, folder.hash_file(path))
        return source

    def forget(self, sources: Iterable[str]) -> None:
        """Take documents out of the index whose files are gone, as the user confirmed."""
        for source in sources:
            if not self._exists(source):
                self._store.remove(source)

    # The folder decides.

    def sync(self, found: folder.FolderScan | None = None, *, leave: Collection[str] = ()) -> Iterator[DocumentEvent]:
        """Bring the store up to the folder: queue new and changed files, forget those that are gone.

        `found`: what a look just showed, when it was not the user who asked; `leave`: sources that are still
        changing. Yields Skipped for unchanged files, the known outcome of files that failed or had no text, Removed,
        Unreadable for what could not be looked at, and Missing when more than half is gone: then nothing is forgotten.
        """
        known = {document.source: document for document in self._store.documents()}
        passing = _AWAY if found is not None else _PASSING
        if not known:
            self._settings.docs_dir.mkdir(parents=True, exist_ok=True)
        if found is None:
            found = folder.scan(self._settings.docs_dir)
        for source, file in found.files.items():
            if source not in leave:
                yield from self._sync_file(file, known.get(source), passing)
        if found.hidden:
            yield Unreadable(tuple(sorted(found.hidden)))
        gone = [source for source in known
                if source not in found.files and source not in leave and not found.may_hold(source)]
        yield from self._forget_gone(gone)

    def _forget_gone(self, gone: Iterable[str]) -> Iterator[DocumentEvent]:
        with self._moving:
            known = {document.source for document in self._store.documents()}
            gone = tuple(source for source in gone if source in known and not self._exists(source))
            if gone and (2 * len(gone) > len(known) or not self._settings.docs_dir.exists()):
                yield Missing(gone, len(known))
                return
            for source in gone:
                self._store.remove(source)
        for source in gone:
            yield Removed(source)

    def missing(self) -> tuple[str, ...]:
        """Documents whose file is not in the folder any more."""
        return tuple(document.source for document in self._store.documents()
                     if not self._exists(document.source))

    def _sync_file(self, file: folder.FolderFile, known: StoredDocument | None,
                   passing: frozenset[str]) -> Iterator[DocumentEvent]:
        """What is to be done about a file that is there."""
        retried = known is not None and known.reason is not None and known.reason.code in passing
        if known is not None and not retried:
            same = (known.size_bytes, known.modified_ns) == (file.size_bytes, file.modified_ns)
            if same or known.state == "cancelled":
                yield from _known_outcome(known)
                return
        try:
            sha256 = folder.hash_file(file.path)
        except FileNotFoundError:  # gone since it was found
            return
        except OSError as error:
            yield self._unreadable(file, known, Reason("file_unreadable", {"detail": error.strerror or str(error)}))
            return
        if known is not None and not retried and sha256 == known.file_sha256:
            self._store.touch(file.source, file.modified_ns)
            yield from _known_outcome(known)
        else:
            self._store.queue(file.source, sha256, file.size_bytes, file.modified_ns)

    def _unreadable(self, file: folder.FolderFile, known: StoredDocument | None, reason: Reason) -> Failed:
        """A file that refuses to be read: a new one gets its row, a known one keeps what it shows, and both are tried
        again."""
        if known is None:
            self._store.queue(file.source, "", file.size_bytes, 0)
            self._store.fail(file.source, "", reason)
        return Failed(file.source, reason)

    def _exists(self, source: str) -> bool:
        return (self._settings.docs_dir / source).exists()

    # The user decides about the work.

    def cancel(self, source: str | None = None) -> int:
        """Stop the work on a document, or on all, until it is queued again; the number stopped. What a document
        showed before stays searchable."""
        return self._store.cancel(source)

    def reindex(self, source: str) -> bool:
        """Queue a document that is not being worked on: a failed or cancelled one as it is now, one that is ready to
        be read and embedded anew. False for a source that is no such document."""
        known = self._store.document(source)
        if known is None or known.state in WORKING:
            return False
        path = self._settings.docs_dir / source
        again = known.state != "cancelled"  # a failed one may show what was read of it before
        try:
            sha256, status = folder.hash_file(path), path.stat()
        except OSError:  # reading it will say why it fails
            self._store.queue(source, known.file_sha256, known.size_bytes, known.modified_ns, again=again)
        else:
            self._store.queue(source, sha256, status.st_size, status.st_mtime_ns, again=again)
        return True

    # Work through the queue.

    def index_pending(self) -> Iterator[DocumentEvent]:
        """Index everything that is queued, also what an earlier run left unfinished."""
        self._store.queue_other_embedders(self._indexer.embedder_model)
        tried: set[str] = set()
        while waiting := [source for source in self._store.pending() if source not in tried]:
            tried.add(waiting[0])  # one that is queued again meanwhile waits for the next time
            yield from self._index_alone(waiting[0])
        # What documents show that failed or were cancelled: their own work stays undone, and they are found by meaning.
        for sha256 in self._store.contents_of_others(self._indexer.embedder_model):
            self._indexer.renew(sha256)

    def _index_alone(self, source: str) -> Iterator[DocumentEvent]:
        """Index one document; a bug that it brings to light fails this one and not the others."""
        document = self._store.document(source)
        try:
            yield from self._indexer.index(source)
        except (AppError, OSError, sqlite3.Error):  # of the machine, not of the document
            raise
        except Exception:
            _log.exception("Indexing %s failed", source)
            if document is not None:
                self._store.fail(source, document.file_sha256, Reason("unexpected"))
                yield Failed(source, Reason("unexpected"))

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

    def unlock(self, source: str, password: str) -> None:
        """Queue a protected document with the password that opens it, which is kept in memory until it is indexed and
        nowhere else. Raises DocumentError: `pdf_wrong_password`, `file_gone`, `file_unreadable`, and what reading it
        raises."""
        path = self._settings.docs_dir / source
        if self._store.document(source) is None:  # the name may come from outside
            raise DocumentError("file_gone")
        try:
            sha256 = folder.hash_file(path)
            self._indexer.unlock(source, sha256, password)
            self._queue_file(source, path, sha256)
        except FileNotFoundError as error:
            raise DocumentError("file_gone") from error
        except OSError as error:
            raise DocumentError("file_unreadable", detail=error.strerror or str(error)) from error

    def _queue_file(self, source: str, path: Path, sha256: str) -> None:
        status = path.stat()
        self._store.queue(source, sha256, status.st_size, status.st_mtime_ns)

    def _to_trash(self, sources: Iterable[str]) -> None:
        """Move these files into a folder of the trash of their own."""
        batch = self._trash_dir / uuid.uuid4().hex
        for number, source in enumerate(sources):
            path = self._settings.docs_dir / source
            if not path.exists():
                continue
            target = batch / str(number) / path.name
            target.parent.mkdir(parents=True)
            # Noted before it is moved: a crash in between leaves a note without a file, never a file without a note.
            self._store.add_trash(source, target)
            shutil.move(path, target)

    def _batch(self, trashed: Trashed) -> Path:
        """The folder of the trash that holds all that was removed together with this file."""
        parts = trashed.path.relative_to(self._trash_dir).parts if trashed.path.is_relative_to(self._trash_dir) else ()
        return self._trash_dir / parts[0] if parts else trashed.path

    @property
    def _trash_dir(self) -> Path:
        return self._settings.data_dir.resolve() / "trash"


def guide_names() -> frozenset[str]:
    """The files of the guides to Taller, as they are called in a library."""
    return frozenset(path.name for path in _GUIDE_FOLDER.iterdir() if path.suffix in SUFFIXES)


def _known_outcome(document: StoredDocument) -> Iterator[DocumentEvent]:
    """What an unchanged file came to before; nothing for one that is still queued."""
    if document.state == "indexed":
        yield Skipped(document.source, Reason("unchanged"))
    elif document.state == "cancelled":
        yield Skipped(document.source, Reason("cancelled"))
    elif document.state == "no_text":
        yield NoText(document.source, document.pages)
    elif document.state == "failed" and document.reason is not None:
        yield Failed(document.source, document.reason)
