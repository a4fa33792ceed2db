"""What the store tells of documents and passages, as values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.documents.events import Reason

State = Literal["queued", "parsing", "embedding", "indexed", "no_text", "cancelled", "failed"]
WORKING: tuple[State, ...] = ("queued", "parsing", "embedding")  # what a restart goes on with


@dataclass(frozen=True)
class StoredDocument:
    """A row of the table the user sees."""

    source: str
    sha256: str | None
    file_sha256: str
    size_bytes: int
    modified_ns: int
    state: State
    reason: Reason | None
    done: int  # pages while parsing, passages while embedding
    total: int  # of the same; 0 where it is not known yet
    pages: int
    chunks: int
    again: bool = False  # to be read and embedded anew, also when its content is known
    about: bool = False  # `total` is an estimate


@dataclass(frozen=True)
class Passage:
    """A chunk as a reader of its document sees it."""

    page: int
    language: str
    tokens: int  # as the embedder counts them; 0 where it never did
    windows: int  # vectors it has: several where it is longer than the embedder reads
    text: str


@dataclass(frozen=True)
class StoredChunk:
    id: int
    source: str
    sha256: str
    page: int
    start: int
    end: int
    language: str
    text: str


@dataclass(frozen=True)
class Trashed:
    id: int
    source: str
    path: Path
