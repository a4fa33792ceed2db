"""Conversations, kept in one SQLite file: listed, searched, renamed, deleted and brought back.

Every operation is a transaction, so what was saved outlives a killed process. One process writes, the page's; its
threads share a connection. A file that is damaged, or of another version, is set aside and a new one begun.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from core.chat.budget import Calibration, Ratios
from core.chat.events import AnswerOptions
from core.chat.exports import options_from, turn_from, turn_values
from core.chat.turns import Conversation, Summary, Turn
from core.engines.passages import folded
from core.errors import AppError

SCHEMA_VERSION = 1
_TITLE_CHARS = 60
_QUERY_CHARS = 200  # each word is looked for in every turn, while others wait
_BUSY_SECONDS = 10.0
_log = logging.getLogger(__name__)

_SCHEMA = """
CREATE TABLE conversations (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, owner TEXT NOT NULL,
    title TEXT NOT NULL, named INTEGER NOT NULL DEFAULT 0,  -- by the reader, not after the first question
    options TEXT NOT NULL, updated REAL NOT NULL,
    deleted REAL  -- when; NULL while it is listed
);
CREATE TABLE turns (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
    conversation TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    state TEXT NOT NULL, content TEXT NOT NULL,  -- a Turn as JSON
    folded TEXT NOT NULL  -- question and answer as they are searched: in lower case, without accents
);
CREATE INDEX turns_of_conversation ON turns (conversation);
CREATE TABLE calibration (model TEXT PRIMARY KEY, ratios TEXT NOT NULL) WITHOUT ROWID
"""


class Conversations:
    """All conversations of one data folder. Safe for several threads. Raises AppError `conversations_unwritable`,
    `conversation_missing`.

    `set_aside` is the file that could not be read at the opening and was moved out of the way, or None.
    `calibration` is what is known of models' tokens.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.set_aside: Path | None = None
        self._lock = threading.RLock()
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = _opened(path)
        except (sqlite3.DatabaseError, _OtherVersion) as error:
            if isinstance(error, sqlite3.OperationalError) and path.exists() and not _is_damaged(path):
                raise AppError("conversations_unwritable", path=str(path)) from error
            self.set_aside = _moved_away(path)
            _log.warning("Conversations could not be read (%s); they are kept in %s", error, self.set_aside)
            self._db = _opened(path)
        self._stop_what_was_running()
        self.calibration = Calibration(self._ratios(), self._save_ratios)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @property
    def revision(self) -> int:
        """Grows with every change of what is kept."""
        return self._db.total_changes

    # Conversations.

    def create(self, options: AnswerOptions | None = None, owner: str = "") -> str:
        """A new one; it is listed once it has a turn. Returns its id."""
        conversation_id = uuid.uuid4().hex
        with self._transaction() as db:
            db.execute("INSERT INTO conversations (id, owner, title, options, updated) VALUES (?, ?, '', ?, ?)",
                       (conversation_id, owner, _dump(asdict(options or AnswerOptions())), time.time()))
        return conversation_id

    def list(self, query: str = "", owner: str | None = None, limit: int = 500) -> list[Summary]:
        """Those with turns, the last used first: of `owner` alone unless None; those whose title, questions or
        answers hold every word of `query`, of its first 200 characters, without regard to case or accents."""
        words = json.dumps(folded(query[:_QUERY_CHARS]).split())
        with self._transaction() as db:
            rows = db.execute(
                "SELECT id, title, updated, (SELECT count(*) FROM turns WHERE conversation = c.id) AS turns"
                " FROM conversations AS c WHERE deleted IS NULL AND turns > 0 AND (?1 IS NULL OR owner = ?1)"
                " AND NOT EXISTS (SELECT 1 FROM json_each(?2) AS word WHERE NOT instr(fold(title), word.value)"
                " AND NOT EXISTS (SELECT 1 FROM turns WHERE conversation = c.id AND instr(folded, word.value)))"
                " ORDER BY updated DESC, number DESC LIMIT ?3", (owner, words, limit)).fetchall()
        return [Summary(*row) for row in rows]

    def get(self, conversation_id: str, owner: str | None = None) -> Conversation:
        """The whole conversation, of `owner` alone unless None; deleted ones too, until they are emptied."""
        with self._transaction() as db:
            row = db.execute("SELECT title, options FROM conversations WHERE id = ? AND (?2 IS NULL OR owner = ?2)",
                             (conversation_id, owner)).fetchone()
            if row is None:
                raise AppError("conversation_missing")
            rows = db.execute("SELECT content FROM turns WHERE conversation = ? ORDER BY number",
                              (conversation_id,)).fetchall()
        turns = [turn_from(json.loads(content)) for (content,) in rows]
        return Conversation(conversation_id, row[0], options_from(json.loads(row[1])), turns)

    def rename(self, conversation_id: str, title: str) -> None:
        """An empty title brings back the one after the first question."""
        title = " ".join(title.split())[:2 * _TITLE_CHARS]
        with self._transaction() as db:
            db.execute("UPDATE conversations SET title = ?, named = ? WHERE id = ?",
                       (title, bool(title), conversation_id))
            _retitle(db, conversation_id)

    def set_options(self, conversation_id: str, options: AnswerOptions) -> None:
        with self._transaction() as db:
            db.execute("UPDATE conversations SET options = ? WHERE id = ?", (_dump(asdict(options)), conversation_id))

    def delete(self, conversation_id: str) -> None:
        """Out of the list; `restore` brings it back until `empty_deleted`."""
        with self._transaction() as db:
            db.execute("UPDATE conversations SET deleted = ? WHERE id = ?", (time.time(), conversation_id))

    def restore(self, conversation_id: str) -> None:
        with self._transaction() as db:
            db.execute("UPDATE conversations SET deleted = NULL WHERE id = ?", (conversation_id,))

    def empty_deleted(self, older_than_seconds: float = 0.0) -> int:
        """Delete for good what was deleted so long ago, and conversations left without a turn; how many it was."""
        with self._transaction() as db:
            return db.execute(
                "DELETE FROM conversations WHERE deleted <= ?1 OR (updated <= ?1 AND NOT EXISTS"
                " (SELECT 1 FROM turns WHERE conversation = conversations.id))",
                (time.time() - older_than_seconds,)).rowcount

    def delete_owned(self, prefix: str) -> int:
        """Delete for good the conversations of all whose name begins so; how many it was."""
        with self._transaction() as db:
            return db.execute("DELETE FROM conversations WHERE substr(owner, 1, ?2) = ?1",
                              (prefix, len(prefix))).rowcount

    # Turns.

    def save_turn(self, conversation_id: str, turn: Turn) -> None:
        """Add a turn, or bring what is kept of it up to date."""
        with self._transaction() as db:
            values = {"id": turn.id, "conversation": conversation_id, "state": turn.state,
                      "content": _dump(turn_values(turn)), "folded": folded(f"{turn.question}\n{turn.answer}")}
            try:
                db.execute("INSERT INTO turns (id, conversation, state, content, folded)"
                           " VALUES (:id, :conversation, :state, :content, :folded) ON CONFLICT (id) DO UPDATE"
                           " SET state = :state, content = :content, folded = :folded", values)
            except sqlite3.IntegrityError as error:
                raise AppError("conversation_missing") from error
            db.execute("UPDATE conversations SET updated = ? WHERE id = ?", (time.time(), conversation_id))
            _retitle(db, conversation_id)

    def drop_turns_from(self, conversation_id: str, turn_id: str) -> None:
        """Take away this turn and all after it: its question is asked anew."""
        with self._transaction() as db:
            db.execute("DELETE FROM turns WHERE conversation = ?1 AND number >="
                       " (SELECT number FROM turns WHERE id = ?2 AND conversation = ?1)", (conversation_id, turn_id))
            _retitle(db, conversation_id)

    # Within.

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                except BaseException:
                    self._db.execute("ROLLBACK")
                    raise
                self._db.execute("COMMIT")
            except sqlite3.DatabaseError as error:
                if self._db_is_open() and self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise AppError("conversations_unwritable", path=str(self.path)) from error

    def _db_is_open(self) -> bool:
        with contextlib.suppress(sqlite3.ProgrammingError):
            return self._db.total_changes >= 0
        return False

    def _stop_what_was_running(self) -> None:
        """What was being written when the program ended is as it is."""
        with self._transaction() as db:
            for (content,) in db.execute("SELECT content FROM turns WHERE state = 'running'").fetchall():
                turn = turn_from(json.loads(content))
                turn.stop()
                db.execute("UPDATE turns SET state = ?, content = ? WHERE id = ?",
                           (turn.state, _dump(turn_values(turn)), turn.id))

    def _ratios(self) -> dict[str, Ratios]:
        with self._transaction() as db:
            rows = db.execute("SELECT model, ratios FROM calibration").fetchall()
        return {model: json.loads(ratios) for model, ratios in rows}

    def _save_ratios(self, model: str, ratios: Ratios) -> None:
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO calibration VALUES (?, ?)", (model, json.dumps(ratios)))


class _OtherVersion(Exception):
    """The file was written by another version of Taller."""


def _opened(path: Path) -> sqlite3.Connection:
    """A connection to a file that is whole, made when it is not there."""
    db = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        db.create_function("fold", 1, folded, deterministic=True)
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            db.execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA.split(";\n"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            db.execute("COMMIT")
        elif version != SCHEMA_VERSION:
            raise _OtherVersion(version)
        elif (found := db.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise sqlite3.DatabaseError(found)
        elif db.execute("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN"
                        " ('conversations', 'turns', 'calibration')").fetchone()[0] != 3:
            raise sqlite3.DatabaseError("tables are missing")
    except BaseException:
        db.close()
        raise
    return db


def _is_damaged(path: Path) -> bool:
    """Whether a file that SQLite cannot work with is there to be read at all, and is no lock or permission."""
    try:
        header = path.read_bytes()[:16]
    except OSError:
        return False
    return bool(header) and header != b"SQLite format 3\0"


def _moved_away(path: Path) -> Path:
    """Rename the file, and SQLite's two beside it, to a name that is free."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    aside = path.with_name(f"{path.stem}.damaged-{stamp}-{uuid.uuid4().hex[:4]}{path.suffix}")
    for ending in ("-wal", "-shm", ""):
        beside = path.with_name(path.name + ending)
        if beside.exists():
            beside.replace(aside.with_name(aside.name + ending))
    return aside


def _retitle(db: sqlite3.Connection, conversation_id: str) -> None:
    """The first question is the title until the reader gives one."""
    row = db.execute("SELECT content FROM turns WHERE conversation = ? ORDER BY number LIMIT 1",
                     (conversation_id,)).fetchone()
    question = " ".join(json.loads(row[0])["question"].split()) if row else ""
    if len(question) > _TITLE_CHARS:
        question = question[:_TITLE_CHARS].rsplit(" ", 1)[0] + "…"
    db.execute("UPDATE conversations SET title = ? WHERE id = ? AND NOT named", (question, conversation_id))


def _dump(values: object) -> str:
    return json.dumps(values, ensure_ascii=False)
