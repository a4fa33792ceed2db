"""Work behind the page: one thread indexes what is queued, one watches the folder, while the page answers."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from core.documents.collection import Collection
from core.documents.events import DocumentEvent, Indexed, Missing, Removed, Unreadable
from core.documents.folder import FolderScan
from core.documents.pace import Pace
from core.documents.watching import FolderWatch
from core.errors import AppError

_log = logging.getLogger(__name__)
# Search follows the store at most this often during a long run: each time costs a commit of the lexical index.
_SYNC_SECONDS = 1.0
_RETRY_SECONDS = 10.0
_LEFT_OVER_SECONDS = 1.0  # until a document is taken up again that was queued anew while it was being read


class BackgroundIndexing:
    """Keeps index and folder alike and works through the queue; `version` rises with everything that changed.

    `missing` holds the documents whose files vanished, until the user decides, and `unreadable` the folders and files
    that could not be looked at. What stops the work as a whole, such as an embedder that cannot be loaded, is
    `error`; it is tried again.
    """

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._watch = FolderWatch(collection.settings.docs_dir, self._sync)
        self._wake = threading.Event()
        self._sync_wanted = threading.Event()
        self._closing = threading.Event()
        self._threads = [threading.Thread(target=work, name=name, daemon=True)
                         for work, name in ((self._work, "indexing"), (self._watch_folder, "folder"))]
        self._errors: dict[str, AppError] = {}  # by what was being done
        self._start_tried = threading.Event()
        self._folder_known = threading.Event()  # it was compared with the index once
        self._searchable = False  # there is a document to be found
        self._last_sync = 0.0
        self.version = 0
        self.missing: tuple[str, ...] = ()
        self.unreadable: tuple[str, ...] = ()
        self.pace = Pace()
        self.ready = threading.Event()  # search knows what the store knew at the start
        self.warm = threading.Event()  # and the folder was compared, and a first document found where there are any

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def sync_folder(self) -> None:
        """Compare the folder with the index, soon. The folder is watched from the first time on."""
        self._sync_wanted.set()

    def wake(self) -> None:
        """There is work in the queue, or documents went: show it."""
        self.version += 1
        self._wake.set()

    def wait_until_ready(self) -> None:
        """Return when search knows the documents. Raises AppError, what keeps it from that."""
        self._start_tried.wait()
        if not self.ready.is_set():
            raise self._errors.get("start") or AppError("unexpected")

    @property
    def busy(self) -> bool:
        return bool(self._collection.store.pending())

    @property
    def error(self) -> AppError | None:
        if self._collection.embedder.ready.is_set():
            self._errors.pop("model", None)
        return next(iter(tuple(self._errors.values())), None)

    def close(self) -> None:
        self._closing.set()
        self._wake.set()
        self._sync_wanted.set()
        self._collection.end_children()  # frees the thread from the page or the batch it waits for
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(timeout=10)

    # The thread that indexes.

    def _work(self) -> None:
        self._start_up()
        while True:
            self._wake.clear()
            if self._closing.is_set():  # asked after clearing: `close` wakes, and that must not be lost
                return
            failed = not self._guarded("index", self._one_round)
            self._wake.wait(timeout=_RETRY_SECONDS if failed else _LEFT_OVER_SECONDS if self.busy else None)

    def _start_up(self) -> None:
        while not self._guarded("start", self._collection.searcher.sync):
            self._start_tried.set()
            if self._closing.wait(timeout=_RETRY_SECONDS):
                return
        self._searchable = bool(self._collection.store.shown_contents())
        self.ready.set()
        self._start_tried.set()
        self.version += 1
        self._guarded("model", self._collection.embedder.warm_up)

    def _one_round(self) -> None:
        folder_known = self._folder_known.is_set()
        if folder_known and self._searchable:
            self.warm.set()
        for event in self._collection.library.index_pending():
            self._note(event)
            if self._closing.is_set():
                return
        self._collection.searcher.sync()
        if folder_known:
            self.warm.set()

    def _note(self, event: DocumentEvent) -> None:
        self.pace.note(event)
        self._searchable |= isinstance(event, Indexed)
        self.version += 1
        if time.monotonic() - self._last_sync > _SYNC_SECONDS:
            self._collection.searcher.sync()
            self._last_sync = time.monotonic()
            if self._folder_known.is_set() and self._searchable:
                self.warm.set()

    # The thread that watches the folder.

    def _watch_folder(self) -> None:
        self._sync_wanted.wait()
        while not self._closing.is_set():
            if self._sync_wanted.is_set():
                self._sync_wanted.clear()
                self._guarded("folder", self._sync_all)
            else:
                self._guarded("folder", self._watch.look)
            self._sync_wanted.wait(timeout=self._watch.pause_seconds)

    def _sync_all(self) -> None:
        try:
            self._watch.seen()
            self._sync(None)
        finally:
            self._folder_known.set()
            self.wake()

    def _sync(self, found: FolderScan | None, moving: frozenset[str] = frozenset()) -> None:
        """Bring the store up to the folder: as it is, or as the watch found it."""
        before = (self.missing, self.unreadable)
        missing: tuple[str, ...] = ()
        unreadable: tuple[str, ...] = ()
        removed = False
        for event in self._collection.library.sync(found, leave=moving):
            if self._closing.is_set():
                return
            if isinstance(event, Missing):
                missing = event.sources
            elif isinstance(event, Unreadable):
                unreadable = event.sources
            removed |= isinstance(event, Removed)
        self.missing, self.unreadable = missing, unreadable
        if removed or self.busy or before != (missing, unreadable):
            self.wake()

    def _guarded(self, name: str, step: Callable[[], None]) -> bool:
        """Whether a step succeeded; what goes wrong is kept for the page and logged where it is a bug, and the
        thread lives on."""
        try:
            step()
        except AppError as error:
            if not self._closing.is_set():
                self._errors[name] = error
        except Exception:
            _log.exception("The work on %s failed", name)
            self._errors[name] = AppError("unexpected")
        else:
            self._errors.pop(name, None)
            return True
        self.version += 1
        return False
