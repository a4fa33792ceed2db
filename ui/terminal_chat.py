"""Chat in the terminal: `ask` and `chat`, over the same core as the page.

A conversation lives in memory and ends with the program; those of the page stay the page's. With `as_json` one JSON
object a line goes to stdout, and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import html
import json
import re
import sys
import unicodedata
from dataclasses import replace

from core.chat.answer import answer
from core.chat.budget import Calibration
from core.chat.citations import cited
from core.chat.events import AnswerOptions, Done, Loading, Nothing, Partial, Rewritten, Sources, Thought, Waiting
from core.chat.library import CollectionLibrary
from core.chat.turns import Turn, history_of
from core.documents.collection import Collection
from core.documents.search import Hit
from core.engines.choice import Choice, EngineChooser
from core.engines.passages import folded
from core.errors import AppError
from ui.i18n import explain, texts, translate

_GOODBYES = ("salir", "exit", "quit")
_ALL = ("all", "todos", "todas")
_ON, _OFF = ("on", "si", "yes"), ("off", "no")
_ESCAPED = re.compile(r"\\([\\`*_~\[\]$@:.])")


def ask(collection: Collection, language: str, question: str, engine: str | None, model: str | None, *,
        as_json: bool) -> None:
    """One question, one answer. Raises AppError."""
    with TerminalChat(collection, language, engine, model, as_json=as_json) as chat, asyncio.Runner() as runner:
        runner.run(chat.open())
        runner.run(chat.ask(question))


def chat(collection: Collection, language: str, engine: str | None, model: str | None, *, as_json: bool) -> None:
    """Questions and commands until `salir` or `exit`, or the end of the input. Ctrl+C stops an answer."""
    with contextlib.suppress(ImportError):  # Windows' console has it of its own
        import readline  # noqa: F401 - input() then edits its line, and the arrow keys bring back earlier ones
    with TerminalChat(collection, language, engine, model, as_json=as_json) as conversation, asyncio.Runner() as runner:
        runner.run(conversation.open())
        conversation.say("terminal.chat_hint")
        while True:
            try:
                said = input("" if as_json else "» ").strip()
            except EOFError:
                conversation.end_line()
                return
            except KeyboardInterrupt:
                conversation.end_line()
                conversation.say("terminal.chat_hint")
                continue
            if said.lower().lstrip("/") in _GOODBYES:
                return
            # One loop for all questions: an interrupt reaches what runs in it, and no thread is left reading.
            with contextlib.suppress(KeyboardInterrupt):
                runner.run(conversation.hear(said))


class TerminalChat:
    """A conversation, and what it was told to use. A context manager: what was started for it ends with it."""

    def __init__(self, collection: Collection, language: str, engine: str | None, model: str | None, *,
                 as_json: bool) -> None:
        self._collection, self._language, self._as_json = collection, language, as_json
        self._library = CollectionLibrary(collection)
        self._engine, self._model = engine, model
        self._chooser = EngineChooser(collection.settings)
        self._choice: Choice | None = None
        self._options = AnswerOptions(top_k=collection.settings.top_k)
        self._calibration = Calibration()
        self._turns: list[Turn] = []

    def __enter__(self) -> TerminalChat:
        return self

    def __exit__(self, *_: object) -> None:
        self._chooser.close()

    async def open(self) -> None:
        """Choose the engine asked for, or the best there is, and say which."""
        if self._engine or self._model:
            self._choice = await self._chooser.with_model(self._engine or "ollama", self._model or "")
        else:
            self._choice = await self._chooser.choose()
        self._print_choice()

    async def hear(self, said: str) -> None:
        """A question or a command; what goes wrong is said."""
        try:
            if said.startswith("/"):
                await self._obey(*said[1:].split(maxsplit=1) or [""])
            elif said:
                await self.ask(said)
        except AppError as error:
            if self._as_json:
                print_json({"error": error.code, "reason": explain(self._language, error)})
            else:
                print(explain(self._language, error))

    async def ask(self, question: str) -> None:
        """Print the answer as it grows, then its sources; what was written stays in the conversation, however it
        ends. Raises AppError."""
        choice = self._chosen
        turn = Turn(question, model=f"{choice.status.engine}|{choice.status.model}")
        events = answer(question, history_of(self._turns), self._library, choice.engine, choice.status.model,
                        self._collection.settings, self._options, self._calibration)
        shown = _Shown(self, quoting=choice.status.engine == "passages")
        try:
            async with contextlib.aclosing(events) as stream:
                async for event in stream:
                    turn.apply(event)
                    if not self._as_json:
                        shown.show(event)
        except asyncio.CancelledError:
            turn.stop()
            self.end_line()
            self.say("chat.stopped")
            raise
        finally:
            if turn.answer or turn.refused:
                self._turns.append(turn)
        self._print_end(turn)

    def say(self, key: str, **values: object) -> None:
        """A sentence of ours, for people."""
        if not self._as_json:
            print(plain(translate(self._language, key, **values)))

    def end_line(self) -> None:
        """What comes next begins on a line of its own."""
        if not self._as_json:
            print()

    @property
    def _chosen(self) -> Choice:
        assert self._choice is not None  # open() comes first
        return self._choice

    # Commands.

    async def _obey(self, command: str, wish: str = "") -> None:
        match command.lower():
            case "model" | "modelo":
                await self._set_model(wish)
            case "docs":
                self._set_documents(wish)
            case "strict" | "estricto":
                self._set_strict(folded(wish))
            case "new" | "nueva":
                self._turns.clear()
                self.say("terminal.chat_new")
            case "help" | "ayuda" | "":
                self.say("terminal.chat_help")
            case _:
                self.say("terminal.unknown_command", command=f"/{command}")
                return
        if self._as_json:
            status = self._chosen.status
            print_json({"engine": status.engine, "model": status.model, "documents": list(self._options.sources),
                        "strict": self._options.strict, "turns": len(self._turns)})

    async def _set_model(self, wish: str) -> None:
        if not wish:
            found = self._choice = replace(self._chosen, models=(await self._chooser.choose()).models)
            for model in [*(f"{one.engine}|{one.name}" for one in found.models), "passages|"]:
                mark = "*" if model == f"{found.status.engine}|{found.status.model}" else " "
                self.say("chat.told", text=f"{mark} {model.rstrip('|')}")
            return
        engine, bar, model = wish.partition("|")
        if wish == "passages":
            engine, model = wish, ""
        elif not bar:
            known = next((one for one in self._chosen.models if one.name == wish), None)
            engine, model = (known.engine if known else "ollama"), wish
        self._choice = await self._chooser.with_model(engine, model)
        self._print_choice()

    def _set_documents(self, wish: str) -> None:
        names = self._library.sources()
        if wish.lower() in _ALL:
            self._options = replace(self._options, sources=())
        elif wish:
            chosen: list[str] = []
            for part in [wish] if wish in names else wish.split(","):
                found = [name for name in names if name == part.strip()] or [
                    name for name in names if folded(part.strip()) in folded(name)]
                if not found:
                    self.say("terminal.no_such_document", name=part.strip())
                    return
                chosen += found
            self._options = replace(self._options, sources=tuple(dict.fromkeys(chosen)))
        for name in names:
            mark = "*" if not self._options.sources or name in self._options.sources else " "
            self.say("chat.told", text=f"{mark} {name}")

    def _set_strict(self, wish: str) -> None:
        if wish in (*_ON, *_OFF):
            self._options = replace(self._options, strict=wish in _ON)
        self.say("chat.told", text=translate(self._language,
                                             f"chat.mode_{'strict' if self._options.strict else 'free'}"))

    # What is printed.

    def _print_choice(self) -> None:
        status = self._chosen.status
        model = f" · {status.model}" if status.model else ""
        self.say("chat.told", text=translate(self._language, f"engine.name_{status.engine}") + model)
        if status.note:
            self.say(status.note, **status.note_values)

    def _print_end(self, turn: Turn) -> None:
        """Sources and notes, or all of it as JSON."""
        citations = cited(turn.answer, turn.hits)
        if self._as_json:
            nothing = [translate(self._language, self._own(key), **values) for key, values in turn.notes
                       if key.startswith("chat.nothing_")]
            engine, _, model = turn.model.partition("|")
            print_json({
                "answer": turn.answer or " ".join(nothing), "citations": [hit_json(hit) for hit in citations],
                "engine": engine, "model": model,
                "usage": {"prompt_tokens": turn.usage.prompt_tokens, "answer_tokens": turn.usage.answer_tokens,
                          "seconds": turn.usage.seconds}})
            return
        if turn.answer:
            print("\n")
        elif not turn.notes:
            self.say("chat.no_answer")
        for hit in citations:
            place = translate(self._language, "chat.page", page=hit.page)
            print(f"  [{hit.rank}] {plain(hit.source)} · {place}")
        for key, values in turn.notes:
            self.say(self._own(key), **values)
        if turn.from_model:
            self.say("chat.from_model")
        for start, end in turn.doubtful:
            self.say("chat.told", text=f"? {turn.answer[start:end]}\n  {translate(self._language, 'chat.doubtful')}")
        if citations or turn.notes:
            print()


    def _own(self, key: str) -> str:
        """The terminal's own sentence where it has one: the page's speaks of its tabs."""
        own = key.replace("chat.", "terminal.")
        return own if own in texts(self._language) else key


class _Shown:
    """What has been printed of an answer so far."""

    def __init__(self, chat: TerminalChat, *, quoting: bool) -> None:
        self._chat, self._quoting = chat, quoting
        self._text = ""
        self._said: set[str] = set()

    def show(self, event: object) -> None:
        match event:
            case Partial() | Done():
                text = plain(unquoted(event.text) if self._quoting else event.text)
                print(text[len(self._text):], end="", flush=True)
                self._text = text
            case Rewritten():
                self._chat.say("chat.searched_for", query=event.query)
            case Waiting():
                self._once(f"waiting {event.place}", "chat.waiting", place=event.place)
            case Loading():
                self._once("loading", "chat.loading_model", model=event.model)
            case Thought():
                self._once("thinking", "chat.thinking_pending")
            case Sources() | Nothing():
                pass  # its notes come after the answer

    def _once(self, name: str, key: str, **values: object) -> None:
        if name not in self._said:
            self._said.add(name)
            self._chat.say(key, **values)


def unquoted(markdown: str) -> str:
    """A quote as its document has it, without what keeps Markdown away from it."""
    return html.unescape(_ESCAPED.sub(r"\1", markdown)).replace("\u2060", "")


def plain(text: str) -> str:
    """Without control characters: a document cannot move the cursor or recolour the terminal."""
    return "".join(letter for letter in text if letter in "\n\t" or unicodedata.category(letter) != "Cc")


def hit_json(hit: Hit) -> dict[str, object]:
    return {"rank": hit.rank, "source": hit.source, "page": hit.page, "start": hit.start, "end": hit.end,
            "score": hit.score, "text": hit.text}


def print_json(value: dict[str, object]) -> None:
    print(json.dumps(value, ensure_ascii=False, default=list), flush=True, file=sys.stdout)
