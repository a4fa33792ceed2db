"""A conversation as JSON that can be read again, and as Markdown for people. Knows no database and no language.

The JSON is one object:

    {"format": "taller-conversation", "version": 1, "title": …, "options": {AnswerOptions},
     "turns": [{"question", "query", "answer", "thought", "state", "error", "notes", "hits", "doubtful", "model",
                "usage", "budget", "created", "from_model", "cut", "id"}, …]}

`hits` are passages with `rank` (the number in the answer), `source`, `page`, `start`, `end`, `text`; `created` counts
unix seconds; `error` and `notes` are a locale key and its values. Unknown keys are passed over.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, Protocol, TypeVar

from core.chat.citations import cited
from core.chat.events import AnswerOptions, Budget
from core.chat.turns import Conversation, Turn
from core.documents.search import Hit
from core.engines.base import Usage

FORMAT, VERSION = "taller-conversation", 1
Record = TypeVar("Record")
_MARKS = re.compile(r"([\\`*_\[\]<>#|~$])")


class Say(Protocol):
    """The words of a locale key."""

    def __call__(self, key: str, **values: object) -> str: ...


def turn_values(turn: Turn) -> dict[str, Any]:
    """A turn as JSON knows it."""
    values = {field.name: getattr(turn, field.name) for field in fields(turn) if field.name != "status"}
    return {**values, "hits": [asdict(hit) for hit in turn.hits], "usage": asdict(turn.usage),
            "budget": asdict(turn.budget)}


def turn_from(values: Mapping[str, Any]) -> Turn:
    """The turn of `turn_values`, also after JSON made lists of its tuples."""
    known = {**_known(Turn, values)}
    known["hits"] = tuple(_record(Hit, hit, tuples=("matched",)) for hit in values.get("hits", ()))
    known["doubtful"] = tuple((int(start), int(end)) for start, end in values.get("doubtful", ()))
    known["notes"] = [(key, dict(given)) for key, given in values.get("notes", ())]
    known["error"] = (error[0], dict(error[1])) if (error := values.get("error")) else None
    known["usage"] = _record(Usage, values.get("usage", {}))
    known["budget"] = _record(Budget, values.get("budget", {}))
    return Turn(**known)


def options_from(values: Mapping[str, Any]) -> AnswerOptions:
    return _record(AnswerOptions, values, tuples=("sources",))


def as_json(conversation: Conversation) -> str:
    """As `from_json` reads it."""
    values = {"format": FORMAT, "version": VERSION, "title": conversation.title,
              "options": asdict(conversation.options), "turns": [turn_values(turn) for turn in conversation.turns]}
    return json.dumps(values, ensure_ascii=False, indent=2)


def from_json(text: str) -> Conversation:
    """The conversation of `as_json`, without an id. Raises ValueError for anything else."""
    try:
        values = json.loads(text)
        if values["format"] != FORMAT or values["version"] != VERSION:
            raise ValueError("not a conversation of this version")
        turns = [turn_from(turn) for turn in values["turns"]]
        return Conversation("", str(values["title"]), options_from(values["options"]), turns)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError("not a conversation") from error


def as_markdown(conversation: Conversation, say: Say) -> str:
    """Title, then each question with its answer, what is to be said of it, and the passages it cites. `say(key,
    **values)` gives the words of a locale key."""
    parts = [f"# {_plain(conversation.title)}"]
    for turn in conversation.turns:
        asked = time.strftime("%Y-%m-%d %H:%M", time.localtime(turn.created))
        model = turn.model.partition("|")[2] or turn.model.partition("|")[0]
        parts += [f"## {_plain(' '.join(turn.question.split()))}", f"*{asked}{f' · {_plain(model)}' if model else ''}*"]
        if turn.answer:
            parts.append(turn.answer)
        told = [say(key, **values) for key, values in turn.notes]
        if turn.state == "stopped":
            told.append(say("chat.stopped"))
        if turn.error:
            told.append(say(f"error.{turn.error[0]}", **turn.error[1]))
        parts += [f"*{_plain(text)}*" for text in told]
        hits = cited(turn.answer, turn.hits)
        if hits:
            parts.append(f"**{say('chat.export_sources')}**")
            parts += [_quoted(hit, say) for hit in hits]
    return "\n\n".join(parts) + "\n"


def _quoted(hit: Hit, say: Say) -> str:
    lines = [f"\\[{hit.rank}\\] {_plain(hit.source)} · {say('chat.page', page=hit.page)}", ""]
    lines += [f"> {_plain(line)}".rstrip() for line in hit.text.strip().splitlines()]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Text from files and people, of which Markdown makes nothing."""
    return _MARKS.sub(r"\\\1", text)


def _record(kind: type[Record], values: Mapping[str, Any], tuples: tuple[str, ...] = ()) -> Record:
    known = _known(kind, values)
    return kind(**{name: tuple(value) if name in tuples else value for name, value in known.items()})


def _known(kind: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(kind)} - {"status"}
    return {name: value for name, value in values.items() if name in names}
