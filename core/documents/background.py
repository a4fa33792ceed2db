"""Indexing behind the page: one thread that works through the queue while the page answers."""

from __future__ import annotations

import logging
import threading
import time

from core.documents.collection import Collection
from core.documents.events import DocumentEvent, Missing
from core.errors import AppError

_log = logging.getLogger(__name__)
# Search follows the store at most this often during a long run: each time costs a commit of the lexical index.
_SYNC_SECONDS = 1.0
_RETRY_SECONDS = 10.0


class BackgroundIndexing:
    """Syncs the folder when asked and indexes what is queued; `version` rises with everything that changed.

    `missing` holds the documents whose files vanished, until the user decides. `error` is what stops the work
    as a whole, such as an embedder that cannot be loaded; it is tried again.
    """

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._wake = threading.Event()
        self._sync_wanted = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="indexing", daemon=True)
        self._last_sync = 0.0
        self.version = 0
        self.missing: tuple[str, ...] = ()
        self.error: AppError | None = None
        self.ready = threading.Event()  # search knows what the store knew at the start

    def start(self) -> None:
        self._thread.start()

    def sync_folder(self) -> None:
        """Compare the folder with the index, soon."""
        self._sync_wanted.set()
        self.wake()

    def wake(self) -> None:
        """There is work in the queue, or documents went: show it."""
        self.version += 1
        self._wake.set()

    @property
    def busy(self) -> bool:
        return bool(self._collection.store.pending())

    def close(self) -> None:
        self._closing.set()
        self._wake.set()
        self._collection.end_children()  # frees the thread from the page or the batch it waits for
        if self._thread.ident is not None:
            self._thread.join(timeout=10)

    def _work(self) -> None:
        self._guarded(self._start_up)
        while True:
            self._wake.clear()
            if self._closing.is_set():  # asked after clearing: `close` wakes, and that must not be lost
                return
            self._guarded(self._one_round)
            self._wake.wait(timeout=_RETRY_SECONDS if self.error else None)

    def _guarded(self, step: object) -> None:
        """Run a step; what goes wrong is kept for the page or logged, and the thread lives on."""
        assert callable(step)
        try:
            step()
            self.error = None
        except AppError as error:
            if not self._closing.is_set():
                self.error = error
        except Exception:
            _log.exception("Indexing failed")
        self.version += 1

    def _start_up(self) -> None:
        self._collection.searcher.sync()
        self.ready.set()
        self.version += 1
        self._collection.embedder.warm_up()

    def _one_round(self) -> None:
        library = self._collection.library
        if self._sync_wanted.is_set():
            self._sync_wanted.clear()
            self.missing = ()
            for event in library.sync():
                self._note(event)
        for event in library.index_pending():
            self._note(event)
            if self._closing.is_set():
                return
        self._collection.searcher.sync()

    def _note(self, event: DocumentEvent) -> None:
        self.version += 1
        if isinstance(event, Missing):
            self.missing = event.sources
        if time.monotonic() - self._last_sync > _SYNC_SECONDS:
            self._collection.searcher.sync()
            self._last_sync = time.monotonic()
