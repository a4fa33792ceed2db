"""Documents and chat in the terminal: `index`, `search`, `ask`, `chat`, over the same core as the page.

With `--json` one JSON object a line goes to stdout and nothing else; words for people go to stderr then.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from core.chat.answer import answer
from core.chat.events import Done, Nothing, Partial, Sources
from core.chat.library import CollectionLibrary
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
from core.engines.base import Message, Usage
from core.engines.choice import Choice, EngineChooser
from core.errors import AppError
from core.settings import Settings
from ui.i18n import explain, plural, translate

_GOODBYES = ("salir", "exit", "quit")
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
                result = {"query": text, "milliseconds": milliseconds, "hits": [_hit_json(hit) for hit in hits]}
                _print_json(result if query_id is None else {"id": query_id, **result})
            else:
                _print_hits(language, hits)
    return 0


def ask(settings: Settings, language: str, question: str, engine: str | None, model: str | None, *,
        as_json: bool) -> int:
    """One question, one answer."""
    with _opened(settings, language) as collection:
        asyncio.run(_ask_once(collection, language, question, engine, model, as_json=as_json))
    return 0


def chat(settings: Settings, language: str, engine: str | None, model: str | None, *, as_json: bool) -> int:
    """Questions and answers until `salir` or `exit`, or the end of the input."""
    with _opened(settings, language) as collection:
        asyncio.run(_chat(collection, language, engine, model, as_json=as_json))
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


async def _ask_once(collection: Collection, language: str, question: str, engine: str | None,
                    model: str | None, *, as_json: bool) -> None:
    async with _engine(collection.settings, engine, model) as choice:
        if not as_json:
            _print_choice(language, choice)
        done = await _answer(collection, language, choice, question, [], as_json=as_json)
        if as_json:
            _print_json(_answer_json(done, choice))


async def _chat(collection: Collection, language: str, engine: str | None, model: str | None, *,
                as_json: bool) -> None:
    history: list[Message] = []
    async with _engine(collection.settings, engine, model) as choice:
        if not as_json:
            _print_choice(language, choice)
            print(translate(language, "terminal.chat_hint"))
        while True:
            question = await asyncio.to_thread(_read_question, as_json)
            if question is None or question.lower() in _GOODBYES:
                return
            if not question:
                continue
            try:
                done = await _answer(collection, language, choice, question, history, as_json=as_json)
            except AppError as error:
                if as_json:
                    _print_json({"error": error.code, "reason": explain(language, error)})
                else:
                    print(explain(language, error))
                continue
            history += [Message("user", question), Message("assistant", done.text)]
            if as_json:
                _print_json(_answer_json(done, choice))


@contextlib.asynccontextmanager
async def _engine(settings: Settings, engine: str | None, model: str | None) -> AsyncIterator[Choice]:
    """The engine asked for, or the best there is; what was started for it ends with it."""
    chooser = EngineChooser(settings)
    try:
        if engine or model:
            yield await chooser.with_model(engine or "ollama", model or "")
        else:
            yield await chooser.choose()
    finally:
        chooser.close()


async def _answer(collection: Collection, language: str, choice: Choice, question: str,
                  history: list[Message], *, as_json: bool) -> Done:
    """Ask, print the answer as it grows unless JSON is wanted, and return it whole."""
    shown = ""
    done: Done | None = None
    events = answer(question, history, CollectionLibrary(collection), choice.engine, choice.status.model,
                    collection.settings)
    async with contextlib.aclosing(events) as stream:
        async for event in stream:
            if isinstance(event, Sources) and event.dropped_messages and not as_json:
                print(plural(language, "chat.dropped_messages", event.dropped_messages))
            if isinstance(event, Nothing):
                done = Done(translate(language, f"chat.nothing_{event.reason}"), (), Usage(), cut=False)
                if not as_json:
                    print(done.text, end="")
            if isinstance(event, Partial | Done) and not as_json:
                print(event.text[len(shown):], end="", flush=True)
                shown = event.text
            if isinstance(event, Done):
                done = event
    assert done is not None  # answer() ends with Done or raises
    if not as_json:
        print("\n")
        for hit in done.citations:
            print(f"  [{hit.rank}] {hit.source} · {translate(language, 'chat.page', page=hit.page)}")
        print()
    return done


def _read_question(as_json: bool) -> str | None:
    try:
        return input("" if as_json else "» ").strip()
    except EOFError:
        return None


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
        _print_json(event_json(language, event))
    elif not isinstance(event, Parsing | Embedding | Skipped):
        print(_event_text(language, event))
    elif isinstance(event, Embedding) and sys.stdout.isatty():
        print(f"\r{event.source}: {event.done}/{event.total}\x1b[K", end="\r")


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


def _hit_json(hit: Hit) -> dict[str, object]:
    return {"rank": hit.rank, "source": hit.source, "page": hit.page, "start": hit.start, "end": hit.end,
            "score": hit.score, "text": hit.text}


def _answer_json(done: Done, choice: Choice) -> dict[str, object]:
    return {
        "answer": done.text, "citations": [_hit_json(hit) for hit in done.citations],
        "engine": choice.status.engine, "model": choice.status.model,
        "usage": {"prompt_tokens": done.usage.prompt_tokens, "answer_tokens": done.usage.answer_tokens,
                  "seconds": done.usage.seconds},
    }


def _print_hits(language: str, hits: list[Hit]) -> None:
    if not hits:
        print(translate(language, "terminal.no_hits"))
    for hit in hits:
        text = " ".join(hit.text.split())
        cut = "…" if len(text) > _EXCERPT_CHARS else ""
        page = translate(language, "chat.page", page=hit.page)
        print(f"{hit.rank}. {hit.source} · {page} · {hit.score:.2f}\n   {text[:_EXCERPT_CHARS]}{cut}\n")


def _print_choice(language: str, choice: Choice) -> None:
    status = choice.status
    print(translate(language, f"engine.name_{status.engine}") + (f" · {status.model}" if status.model else ""))
    if status.note:
        print(translate(language, status.note, **status.note_values))


def _print_json(value: dict[str, object]) -> None:
    print(json.dumps(value, ensure_ascii=False, default=list), flush=True)
