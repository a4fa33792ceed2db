"""The Documents half, put together: store, library, embedder and search over one data folder.

One process writes, held by an OS lock on `writer.lock`; any number read beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

from filelock import FileLock, Timeout

from core.documents.embeddings import Embedder
from core.documents.holder import forget_holder, held_error, note_holder
from core.documents.indexing import Indexer
from core.documents.lexical import LexicalIndex
from core.documents.library import Library
from core.documents.search import Hit, Searcher
from core.documents.store import Store
from core.settings import Settings


class Collection:
    """Everything about the documents of one data folder. A context manager: leaving it ends the children.

    `writable` tells whether this process is the writer; a reader's `library` refuses.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        # Not bound to this thread: whoever closes the collection lets the lock go.
        self._lock = FileLock(settings.data_dir / "writer.lock", thread_local=False)
        try:
            self._lock.acquire(timeout=0)
            self.writable = True
        except Timeout:
            self.writable = False
        if self.writable:
            note_holder(settings.data_dir)
        try:
            self.store = Store(settings.store_path)
            lexical = LexicalIndex(settings.data_dir / "lexical", self.store, writable=self.writable)
        except BaseException:
            self._let_go()
            raise
        self.embedder = Embedder(settings)
        self._indexer = Indexer(settings, self.store, self.embedder)
        self._library = Library(settings, self.store, self._indexer)
        self.searcher = Searcher(self.store, self.embedder, lexical)

    @property
    def library(self) -> Library:
        """Raises DocumentError `store_held_by_page`, `store_held_by` or `store_held` when another process writes to
        this data folder."""
        if not self.writable:
            raise held_error(self.settings.data_dir)
        return self._library

    def search(self, question: str, top_k: int | None = None, sources: Sequence[str] | None = None) -> list[Hit]:
        """The best passages, of these documents alone where `sources` names them; `top_k` from the settings when not
        given."""
        return self.searcher.search(question, top_k or self.settings.top_k, sources)

    def end_children(self) -> None:
        """Stop reading and embedding, from any thread; what is under way stays queued."""
        self._indexer.close()
        self.embedder.close()

    def close(self) -> None:
        self.end_children()
        self.store.close()
        self._let_go()

    def note_address(self, url: str) -> None:
        """Where the page of this process is, for whoever comes second."""
        if self.writable:
            note_holder(self.settings.data_dir, url)

    def _let_go(self) -> None:
        if self.writable and self._lock.is_locked:
            forget_holder(self.settings.data_dir)
        self._lock.release()

    def __enter__(self) -> Collection:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.close()
