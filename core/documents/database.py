"""The SQLite file below the store: its schema and what became of older ones, one transaction at a time, notes.

Knows nothing of what stands in the tables. Safe for several threads and processes.
"""

from __future__ import annotations

import contextlib
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path

from core.errors import DocumentError

SCHEMA_VERSION = 2
_BUSY_SECONDS = 30.0

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE contents (  -- ids, here and of chunks, are never used again: no derived index can name the wrong one
    id INTEGER PRIMARY KEY AUTOINCREMENT, sha256 TEXT NOT NULL UNIQUE, pages INTEGER NOT NULL, chunks INTEGER NOT NULL,
    embedder TEXT NOT NULL, vectors BLOB NOT NULL  -- float16, (windows, dim), rows in the order of chunk ids
);
CREATE TABLE pages (
    sha256 TEXT NOT NULL REFERENCES contents (sha256) ON DELETE CASCADE, number INTEGER NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (sha256, number)
) WITHOUT ROWID;
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    sha256 TEXT NOT NULL REFERENCES contents (sha256) ON DELETE CASCADE,
    page INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL, language TEXT NOT NULL,
    windows INTEGER NOT NULL,  -- vectors of this chunk: several where it is longer than the embedder reads
    tokens INTEGER NOT NULL    -- as the embedder counts them
);
CREATE INDEX chunks_of_content ON chunks (sha256);
CREATE TABLE documents (
    source TEXT PRIMARY KEY,  -- path below the folder, with /
    sha256 TEXT,              -- the content that search shows; NULL before the first one is ready
    file_sha256 TEXT NOT NULL, size_bytes INTEGER NOT NULL, modified_ns INTEGER NOT NULL,
    state TEXT NOT NULL, reason TEXT, done INTEGER NOT NULL DEFAULT 0, total INTEGER NOT NULL DEFAULT 0,
    again INTEGER NOT NULL DEFAULT 0,  -- read and embed it anew, also when its content is known
    about INTEGER NOT NULL DEFAULT 0   -- total is an estimate
) WITHOUT ROWID;
CREATE INDEX documents_of_content ON documents (sha256);
CREATE TABLE trash (id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, path TEXT NOT NULL);
"""
# From each version to the next, the first of them from 1.
_MIGRATIONS = (("ALTER TABLE documents ADD COLUMN about INTEGER NOT NULL DEFAULT 0",),)


class Database:
    """One SQLite file; made when it does not exist, brought up to this version when it is older. Raises DocumentError
    `store_version` for one of a newer program, `store_damaged`, `disk_full`."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        with self._transaction(write=True) as db:
            _bring_up(db, path)
        # The last connection to leave writes SQLite's log back into the file: 17 ms after each transaction, 0.2 with
        # one that stays.
        self._staying = sqlite3.connect(path, check_same_thread=False)
        self._staying.execute("SELECT count(*) FROM meta").fetchone()

    def close(self) -> None:
        """Let the file go. It can be used on, at its slower pace."""
        self._staying.close()

    @property
    def identity(self) -> str:
        """Of this very file: an index derived from another store, with the same ids, is not this one's."""
        identity = self.note("identity")
        assert identity is not None  # written with the schema
        return identity

    def note(self, key: str) -> str | None:
        with self._transaction() as db:
            row = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row["value"] if row else None

    def set_note(self, key: str, value: str) -> None:
        with self._transaction(write=True) as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    @contextlib.contextmanager
    def _transaction(self, *, write: bool = False) -> Iterator[sqlite3.Connection]:
        """A connection of its own for one transaction: opening costs 0.1 ms and no thread has to share."""
        db = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None)
        try:
            db.row_factory = sqlite3.Row
            db.execute("PRAGMA foreign_keys = ON")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            yield db
            db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
                raise DocumentError("disk_full") from error
            raise
        except sqlite3.DatabaseError as error:
            if type(error) is not sqlite3.DatabaseError:  # the subclasses are bugs, or another program's lock
                raise
            raise DocumentError("store_damaged", path=str(self._path)) from error
        finally:
            db.close()  # rolls back what was not committed


def _bring_up(db: sqlite3.Connection, path: Path) -> None:
    """Give a new file its schema and an older one what it lacks."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version == SCHEMA_VERSION:
        return
    if version > SCHEMA_VERSION:
        raise DocumentError("store_version", path=str(path))
    if version == 0:
        for statement in _SCHEMA.split(";\n"):
            db.execute(statement)
        db.execute("INSERT INTO meta VALUES ('identity', ?)", (uuid.uuid4().hex,))
    else:
        for statements in _MIGRATIONS[version - 1 :]:
            for statement in statements:
                db.execute(statement)
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
