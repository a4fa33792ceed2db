"""What happens to documents, as values: the page draws them and the terminal prints them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Reason:
    """Why, as a locale key under `error.` and the values of its sentence."""

    code: str
    values: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Parsing:
    source: str
    pages: int  # read so far
    total: int = 0  # pages it has; 0 where that is not known yet


@dataclass(frozen=True)
class Embedding:
    source: str
    done: int  # passages
    total: int  # passages; 0 while nothing tells how many there will be
    about: bool = False  # `total` is an estimate: the document is still being read


@dataclass(frozen=True)
class Indexed:
    source: str
    pages: int
    chunks: int


@dataclass(frozen=True)
class NoText:
    source: str
    pages: int


@dataclass(frozen=True)
class Skipped:
    source: str
    reason: Reason


@dataclass(frozen=True)
class Failed:
    source: str
    reason: Reason


@dataclass(frozen=True)
class Removed:
    source: str


@dataclass(frozen=True)
class Missing:
    """The folder lost so many documents at once that only the user can say whether that is meant."""

    sources: tuple[str, ...]
    known: int  # documents known before


@dataclass(frozen=True)
class Unreadable:
    """Folders and files that could not be looked at; what is known of their documents stays."""

    sources: tuple[str, ...]


@dataclass(frozen=True)
class Summary:
    """The end of a run; `chunks` counts the passages this run made."""

    indexed: int
    no_text: int
    skipped: int
    failed: int
    removed: int
    chunks: int
    seconds: float


DocumentEvent = Parsing | Embedding | Indexed | NoText | Skipped | Failed | Removed | Missing | Unreadable | Summary
