"""Documents and chat in the terminal: `index`, `search`, `ask`, `chat`, over the same core as the page.

With `--json` one JSON object a line goes to stdout and nothing else; words for people go to stderr then.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.documents.collection import Collection
from core.documents.events import (
    DocumentEvent,
    Embedding,
    Failed,
    Missing,
    NoText,
    Parsing,
    Removed,
    Skipped,
    Summary,
    Unreadable,
)
from core.documents.search import Hit
from core.errors import AppError
from core.settings import Settings
from ui import terminal_chat
from ui.i18n import translate
from ui.terminal_chat import hit_json, print_json

_EXCERPT_CHARS = 300


def index(settings: Settings, language: str, *, forget_missing: bool, as_json: bool) -> int:
    """Bring the index up to the folder. Exit 0 when the run completed, also if a file failed."""
    with Collection(settings) as collection:
        library = collection.library
        for event in library.run():
            if isinstance(event, Missing) and forget_missing:
                library.forget(event.sources)
                for source in event.sources:
                    _print_event(language, Removed(source), as_json)
                continue
            _print_event(language, event, as_json)
        collection.searcher.sync()
    return 0


def search(settings: Settings, language: str, query: str | None, queries: Path | None, *, as_json: bool) -> int:
    """The best passages for one query, or for each line of a JSONL file."""
    if (query is None) == (queries is None):
        raise AppError("query_missing")
    with _opened(settings, language) as collection:
        for query_id, text in _queries(queries) if queries else [(None, query or "")]:
            started = time.perf_counter()
            hits = collection.search(text)
            milliseconds = round((time.perf_counter() - started) * 1000, 2)
            if as_json:
                result = {"query": text, "milliseconds": milliseconds, "hits": [hit_json(hit) for hit in hits]}
                print_json(result if query_id is None else {"id": query_id, **result})
            else:
                _print_hits(language, hits)
    return 0


def ask(settings: Settings, language: str, question: str, engine: str | None, model: str | None, *,
        as_json: bool) -> int:
    """One question, one answer."""
    with _opened(settings, language) as collection:
        terminal_chat.ask(collection, language, question, engine, model, as_json=as_json)
    return 0


def chat(settings: Settings, language: str, engine: str | None, model: str | None, *, as_json: bool) -> int:
    """Questions and answers until `salir` or `exit`, or the end of the input."""
    with _opened(settings, language) as collection:
        terminal_chat.chat(collection, language, engine, model, as_json=as_json)
    return 0


@contextlib.contextmanager
def _opened(settings: Settings, language: str) -> Iterator[Collection]:
    """The collection ready for search; a folder never indexed is indexed first."""
    with Collection(settings) as collection:
        if collection.writable and not collection.store.documents():
            print(translate(language, "terminal.indexing_first", folder=settings.docs_dir), file=sys.stderr)
            for event in collection.library.run():
                if isinstance(event, Failed | Summary):
                    print(_event_text(language, event), file=sys.stderr)
        collection.searcher.sync()
        yield collection


def _queries(path: Path) -> Iterator[tuple[Any, str]]:
    """The `id` and `query` of each line. Raises AppError `queries_unreadable`."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    row = json.loads(line)
                    yield row.get("id", number), str(row["query"])
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise AppError("queries_unreadable", path=str(path)) from error


def _print_event(language: str, event: DocumentEvent, as_json: bool) -> None:
    if as_json:
        print_json(event_json(language, event))
    elif not isinstance(event, Parsing | Embedding | Skipped):
        print(_event_text(language, event))
    elif isinstance(event, Embedding) and sys.stdout.isatty():
        total = f"/{'≈' * event.about}{event.total}" if event.total else ""
        print(f"\r{event.source}: {event.done}{total}\x1b[K", end="\r")


def event_json(language: str, event: DocumentEvent) -> dict[str, object]:
    """An event as the terminal's contract words it."""
    name = "no_text" if isinstance(event, NoText) else type(event).__name__.lower()
    values: dict[str, object] = dict(vars(event))
    if isinstance(event, Failed | Skipped):
        values["code"] = event.reason.code
        values["reason"] = translate(language, f"error.{event.reason.code}", **event.reason.values)
    return {"event": name, **values}


def _event_text(language: str, event: DocumentEvent) -> str:
    values = event_json(language, event)
    if isinstance(event, Missing):
        values["count"] = len(event.sources)
    if isinstance(event, Unreadable):
        values["names"] = ", ".join(event.sources)
    return translate(language, f"terminal.{values.pop('event')}", **values)


def _print_hits(language: str, hits: list[Hit]) -> None:
    if not hits:
        print(translate(language, "terminal.no_hits"))
    for hit in hits:
        text = " ".join(hit.text.split())
        cut = "…" if len(text) > _EXCERPT_CHARS else ""
        page = translate(language, "chat.page", page=hit.page)
        print(f"{hit.rank}. {hit.source} · {page} · {hit.score:.2f}\n   {text[:_EXCERPT_CHARS]}{cut}\n")
