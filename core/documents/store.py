"""The truth: one SQLite file with documents, page texts, chunks, vectors and job states.

A *content* is what a file holds, known by its SHA-256; a *document* is a name in the folder that shows a
content. Two names of one content share its pages, chunks and vectors. Knows nothing of FAISS, Tantivy, files
or models. Safe for several threads and processes: every operation is one short transaction of its own (see
`database`).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from core.documents.chunking import Chunk
from core.documents.database import Database
from core.documents.events import Reason
from core.documents.records import Passage, State, StoredChunk, StoredDocument, Trashed

Vectors = npt.NDArray[np.float32]


class Store(Database):
    """The store of one data folder; made when it does not exist."""

    # Documents.

    def documents(self) -> list[StoredDocument]:
        """All documents, by name."""
        with self._transaction() as db:
            rows = db.execute(f"{_SELECT_DOCUMENT} ORDER BY source").fetchall()
        return [_document(row) for row in rows]

    def document(self, source: str) -> StoredDocument | None:
        with self._transaction() as db:
            row = db.execute(f"{_SELECT_DOCUMENT} WHERE source = ?", (source,)).fetchone()
        return _document(row) if row else None

    def source_of(self, file_sha256: str) -> str | None:
        """A document whose file has this content already, unless it failed or was cancelled."""
        with self._transaction() as db:
            row = db.execute(
                "SELECT source FROM documents WHERE file_sha256 = ? AND state NOT IN ('failed', 'cancelled')"
                " ORDER BY source",
                (file_sha256,),
            ).fetchone()
        return row["source"] if row else None

    def queue(self, source: str, file_sha256: str, size_bytes: int, modified_ns: int, *, again: bool = False) -> None:
        """Note a new or changed file. A content shown so far stays until the new one is ready. `again`: its content
        is to be read and embedded anew even when it is known."""
        with self._transaction(write=True) as db:
            db.execute(
                "INSERT INTO documents (source, file_sha256, size_bytes, modified_ns, state, again)"
                " VALUES (?, ?, ?, ?, 'queued', ?) ON CONFLICT (source) DO UPDATE SET"
                " file_sha256 = excluded.file_sha256, size_bytes = excluded.size_bytes,"
                " modified_ns = excluded.modified_ns, state = 'queued', reason = NULL, done = 0, total = 0,"
                " again = excluded.again",
                (source, file_sha256, size_bytes, modified_ns, again),
            )

    def touch(self, source: str, modified_ns: int) -> None:
        """The same content with another time."""
        with self._transaction(write=True) as db:
            db.execute("UPDATE documents SET modified_ns = ? WHERE source = ?", (modified_ns, source))

    def cancel(self, source: str | None = None) -> int:
        """Take a document, or all, off the queue until it is queued again; the number cancelled. What it showed
        before stays."""
        with self._transaction(write=True) as db:
            return db.execute(
                "UPDATE documents SET state = 'cancelled', reason = NULL, done = 0, total = 0, again = 0"
                " WHERE state IN ('queued', 'parsing', 'embedding') AND (?1 IS NULL OR source = ?1)",
                (source,)).rowcount

    def pending(self) -> list[str]:
        """Documents whose work is not finished, also from before a restart; the smallest files first, so that most are
        ready soon."""
        with self._transaction() as db:
            rows = db.execute(
                "SELECT source FROM documents WHERE state IN ('queued', 'parsing', 'embedding')"
                " ORDER BY size_bytes, source"
            ).fetchall()
        return [row["source"] for row in rows]

    def queue_other_embedders(self, embedder: str) -> None:
        """Queue the documents whose vectors are of another embedder: they cannot be compared with its own."""
        with self._transaction(write=True) as db:
            db.execute("UPDATE documents SET state = 'queued' WHERE state = 'indexed' AND sha256 IN"
                       " (SELECT sha256 FROM contents WHERE embedder <> ?)", (embedder,))

    def set_progress(self, source: str, state: State, done: int = 0, total: int = 0, *, about: bool = False) -> bool:
        """Note how far the work on a document has come; False when it is not wanted any more: removed, cancelled.
        `about`: the total is an estimate."""
        with self._transaction(write=True) as db:
            return db.execute(
                "UPDATE documents SET state = ?, done = ?, total = ?, about = ? WHERE source = ?"
                " AND state IN ('queued', 'parsing', 'embedding')", (state, done, total, about, source)).rowcount > 0

    def contents_of_others(self, embedder: str) -> list[str]:
        """Contents, by hash, that some document shows and that have vectors of another embedder."""
        with self._transaction() as db:
            rows = db.execute("SELECT DISTINCT sha256 FROM documents JOIN contents USING (sha256) WHERE chunks > 0"
                              " AND embedder <> ? ORDER BY contents.id", (embedder,)).fetchall()
        return [row["sha256"] for row in rows]

    def fail(self, source: str, file_sha256: str, reason: Reason) -> None:
        """Nothing new of this file can be shown; what was shown before under its name stays. Nothing happens when the
        file was replaced meanwhile, and the new one is queued, or when it was cancelled."""
        with self._transaction(write=True) as db:
            db.execute("UPDATE documents SET state = 'failed', reason = ?, again = 0"
                       " WHERE source = ? AND file_sha256 = ? AND state IN ('queued', 'parsing', 'embedding')",
                       (json.dumps([reason.code, reason.values]), source, file_sha256))
            _drop_orphans(db)

    def remove(self, source: str) -> None:
        with self._transaction(write=True) as db:
            db.execute("DELETE FROM documents WHERE source = ?", (source,))
            _drop_orphans(db)

    # Contents.

    def has_content(self, sha256: str, embedder: str) -> bool:
        with self._transaction() as db:
            return db.execute("SELECT 1 FROM contents WHERE sha256 = ? AND embedder = ?",
                              (sha256, embedder)).fetchone() is not None

    def add_content(self, sha256: str, pages: Sequence[str], chunks: Sequence[Chunk], languages: Sequence[str],
                    embedder: str, vectors: Vectors, windows: Sequence[int] | None = None,
                    tokens: Sequence[int] | None = None) -> None:
        """Write a content whole, in one transaction. `vectors`: float32, (sum(windows), dim), unit length; `windows`
        tells how many of them each chunk has, one where it is not given."""
        windows = windows if windows is not None else [1] * len(chunks)
        tokens = tokens if tokens is not None else [0] * len(chunks)
        with self._transaction(write=True) as db:
            db.execute("DELETE FROM contents WHERE sha256 = ?", (sha256,))
            db.execute("INSERT INTO contents (sha256, pages, chunks, embedder, vectors) VALUES (?, ?, ?, ?, ?)",
                       (sha256, len(pages), len(chunks), embedder, vectors.astype(np.float16).tobytes()))
            db.executemany("INSERT INTO pages VALUES (?, ?, ?)",
                           ((sha256, number, text) for number, text in enumerate(pages, start=1)))
            db.executemany(
                "INSERT INTO chunks (sha256, page, start, end, language, windows, tokens)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                ((sha256, chunk.page, chunk.start, chunk.end, *others)
                 for chunk, *others in zip(chunks, languages, windows, tokens, strict=True)),
            )

    def chunks_of(self, sha256: str) -> list[Chunk] | None:
        """The chunks of a content, whatever embedder made its vectors; None when the content is not known."""
        with self._transaction() as db:
            known = db.execute("SELECT id FROM contents WHERE sha256 = ?", (sha256,)).fetchone()
            rows = db.execute("SELECT page, start, end FROM chunks WHERE sha256 = ? ORDER BY id", (sha256,)).fetchall()
            pages = dict(db.execute("SELECT number, text FROM pages WHERE sha256 = ?", (sha256,)).fetchall())
        if known is None:
            return None
        return [Chunk(page, start, end, pages[page][start:end]) for page, start, end in rows]

    def replace_vectors(self, sha256: str, embedder: str, vectors: Vectors, windows: Sequence[int],
                        tokens: Sequence[int]) -> None:
        """Give a content the vectors of another embedder, all at once, and a new id. The arguments are those of
        `add_content`. Nothing happens when the content is gone."""
        with self._transaction(write=True) as db:
            db.execute("UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'contents'")
            db.execute("UPDATE contents SET id = (SELECT seq FROM sqlite_sequence WHERE name = 'contents'),"
                       " embedder = ?, vectors = ? WHERE sha256 = ?",
                       (embedder, vectors.astype(np.float16).tobytes(), sha256))
            ids = [row["id"] for row in db.execute("SELECT id FROM chunks WHERE sha256 = ? ORDER BY id", (sha256,))]
            if ids:
                db.executemany("UPDATE chunks SET windows = ?, tokens = ? WHERE id = ?",
                               zip(windows, tokens, ids, strict=True))

    def show_content(self, source: str, sha256: str) -> StoredDocument | None:
        """Let a document show a content that is complete; contents no document shows any more go. None when
        the document was removed or cancelled, or its file changed meanwhile."""
        with self._transaction(write=True) as db:
            shown = db.execute(
                "UPDATE documents SET sha256 = :sha256, reason = NULL, again = 0, state ="
                " CASE (SELECT chunks FROM contents WHERE sha256 = :sha256) WHEN 0 THEN 'no_text' ELSE 'indexed' END"
                " WHERE source = :source AND file_sha256 = :sha256 AND state IN ('queued', 'parsing', 'embedding')",
                {"source": source, "sha256": sha256}).rowcount
            if not shown:
                return None
            _drop_orphans(db)
            row = db.execute(f"{_SELECT_DOCUMENT} WHERE source = ?", (source,)).fetchone()
        return _document(row)

    def shown_contents(self, embedder: str | None = None) -> set[int]:
        """Ids of the contents that search must know: those shown by some document; with vectors of `embedder` alone
        where it is given. A content that goes and comes back, or gets other vectors, comes under a new id."""
        with self._transaction() as db:
            rows = db.execute("SELECT DISTINCT contents.id FROM documents JOIN contents USING (sha256)"
                              " WHERE chunks > 0 AND (?1 IS NULL OR embedder = ?1)", (embedder,)).fetchall()
        return {row["id"] for row in rows}

    def vectors(self, content_id: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float16]]:
        """Vectors, float16, (n, dim), and the chunk id of each, (n,), ascending; both empty when the content is
        gone."""
        with self._transaction() as db:
            rows = db.execute("SELECT chunks.id, windows FROM chunks JOIN contents USING (sha256) WHERE contents.id = ?"
                             " ORDER BY chunks.id", (content_id,)).fetchall()
            row = db.execute("SELECT vectors FROM contents WHERE id = ?", (content_id,)).fetchone()
        if not rows or row is None:
            return np.empty(0, np.int64), np.empty((0, 0), np.float16)
        ids = np.repeat(np.array([chunk["id"] for chunk in rows], np.int64), [chunk["windows"] for chunk in rows])
        return ids, np.frombuffer(row["vectors"], np.float16).reshape(len(ids), -1)

    def texts(self, content_id: int) -> list[tuple[int, str, str]]:
        """Chunk id, language and text of every chunk of a content; empty when the content is gone."""
        with self._transaction() as db:
            rows = db.execute(
                "SELECT chunks.id, page, start, end, language FROM chunks JOIN contents USING (sha256)"
                " WHERE contents.id = ? ORDER BY chunks.id", (content_id,)).fetchall()
            # Cut here: SQLite's substr counts from the page's beginning, again for each chunk of a long one.
            pages = dict(db.execute("SELECT number, text FROM pages JOIN contents USING (sha256)"
                                    " WHERE contents.id = ?", (content_id,)).fetchall())
        return [(row["id"], row["language"], pages[row["page"]][row["start"] : row["end"]]) for row in rows]

    def contents_of(self, sources: Iterable[str]) -> set[int]:
        """Ids of the contents that these documents show."""
        with self._transaction() as db:
            rows = db.execute(
                "SELECT DISTINCT contents.id FROM documents JOIN contents USING (sha256)"
                " WHERE source IN (SELECT value FROM json_each(?))", (json.dumps(list(sources)),)).fetchall()
        return {row["id"] for row in rows}

    def first_chunks(self, ids: Iterable[int], count: int, sources: Iterable[str] | None = None) -> list[StoredChunk]:
        """The first `count` of these chunks that some document shows, one of `sources` where they are given; each
        under the first name that shows it."""
        found: list[StoredChunk] = []
        names = None if sources is None else json.dumps(list(sources))
        waiting = list(ids)
        with self._transaction() as db:
            while waiting and len(found) < count:
                asked, waiting = waiting[:count], waiting[count:]
                rows = {row["id"]: row for row in db.execute(_SELECT_CHUNKS, (names, json.dumps(asked)))}
                found += [StoredChunk(*rows[chunk_id]) for chunk_id in asked if chunk_id in rows]
        return found[:count]

    def passages(self, source: str, offset: int, count: int) -> list[Passage]:
        """`count` passages of what a document shows, from number `offset` (from 0) on, in its own order."""
        with self._transaction() as db:
            rows = db.execute(
                "SELECT page, language, tokens, windows, substr(text, start + 1, end - start) AS chunk_text"
                " FROM documents JOIN chunks USING (sha256) JOIN pages"
                " ON pages.sha256 = chunks.sha256 AND pages.number = chunks.page WHERE source = ?"
                " ORDER BY chunks.id LIMIT ? OFFSET ?", (source, count, offset)).fetchall()
        return [Passage(*row) for row in rows]

    def page_text(self, sha256: str, page: int) -> str | None:
        with self._transaction() as db:
            row = db.execute("SELECT text FROM pages WHERE sha256 = ? AND number = ?", (sha256, page)).fetchone()
        return row["text"] if row else None

    def documents_by_language(self, sources: Iterable[str]) -> dict[str, int]:
        """How many of these documents are mostly in each language."""
        with self._transaction() as db:
            return dict(db.execute(
                # Beside max(), SQLite gives the other columns of the row that has it.
                "SELECT language, count(*) FROM (SELECT source, language, max(passages) FROM"
                " (SELECT source, language, count(*) AS passages FROM documents JOIN chunks USING (sha256)"
                "  WHERE source IN (SELECT value FROM json_each(?)) GROUP BY source, language)"
                " GROUP BY source) GROUP BY language", (json.dumps(list(sources)),)).fetchall())

    # Trash.

    def add_trash(self, source: str, path: Path) -> Trashed:
        with self._transaction(write=True) as db:
            row_id = db.execute("INSERT INTO trash (source, path) VALUES (?, ?)", (source, str(path))).lastrowid
        assert row_id is not None
        return Trashed(row_id, source, path)

    def trash(self) -> list[Trashed]:
        """What can be brought back, last removed first."""
        with self._transaction() as db:
            rows = db.execute("SELECT id, source, path FROM trash ORDER BY id DESC").fetchall()
        return [Trashed(row["id"], row["source"], Path(row["path"])) for row in rows]

    def forget_trash(self, trash_id: int) -> None:
        with self._transaction(write=True) as db:
            db.execute("DELETE FROM trash WHERE id = ?", (trash_id,))


_SELECT_DOCUMENT = (
    "SELECT documents.*, coalesce(contents.pages, 0) AS pages, coalesce(contents.chunks, 0) AS chunks"
    " FROM documents LEFT JOIN contents ON contents.sha256 = documents.sha256"
)
_SELECT_CHUNKS = (
    "SELECT chunks.id, (SELECT min(source) FROM documents WHERE documents.sha256 = chunks.sha256"
    " AND (?1 IS NULL OR source IN (SELECT value FROM json_each(?1)))) AS source,"
    " chunks.sha256, page, start, end, language, substr(text, start + 1, end - start)"
    " FROM json_each(?2) JOIN chunks ON chunks.id = json_each.value"
    " JOIN pages ON pages.sha256 = chunks.sha256 AND pages.number = chunks.page WHERE source IS NOT NULL"
)


def _document(row: sqlite3.Row) -> StoredDocument:
    reason = Reason(*json.loads(row["reason"])) if row["reason"] else None
    return StoredDocument(row["source"], row["sha256"], row["file_sha256"], row["size_bytes"], row["modified_ns"],
                          row["state"], reason, row["done"], row["total"], row["pages"], row["chunks"],
                          bool(row["again"]), bool(row["about"]))


def _drop_orphans(db: sqlite3.Connection) -> None:
    """Delete contents that no document shows or waits for."""
    db.execute("DELETE FROM contents WHERE sha256 NOT IN (SELECT sha256 FROM documents WHERE sha256 IS NOT NULL)"
               " AND sha256 NOT IN (SELECT file_sha256 FROM documents)")
