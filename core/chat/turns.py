"""One question and its answer, as far as it has come, and what becomes of it with each event. Knows no database and no
language: what a reader is told is a locale key and its values.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from core.chat.events import (
    AnswerOptions,
    Budget,
    ChatEvent,
    Done,
    Loading,
    Nothing,
    Partial,
    Rewritten,
    Sources,
    Span,
    Thought,
    Waiting,
)
from core.chat.prompt import NO_PASSAGES
from core.documents.search import Hit
from core.engines.base import Message, Usage
from core.errors import AppError

State = Literal["running", "done", "stopped", "failed"]
Text = tuple[str, dict[str, object]]  # a locale key, and the values of its placeholders


@dataclass
class Turn:
    """`state` failed: `error` is the code of an AppError and its values. `notes` come after the answer: what was left
    out, what could not be done. `status` is what is happening now and is not kept."""

    question: str
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    query: str = ""  # as search was asked, where that is not the question
    answer: str = ""
    thought: str = ""
    state: State = "running"
    error: Text | None = None
    notes: list[Text] = field(default_factory=list)
    hits: tuple[Hit, ...] = ()
    doubtful: tuple[Span, ...] = ()
    model: str = ""  # "engine|model"
    usage: Usage = field(default_factory=Usage)
    budget: Budget = field(default_factory=Budget)
    created: float = field(default_factory=time.time)  # unix seconds
    from_model: bool = False
    cut: bool = False
    status: Waiting | Loading | None = field(default=None, compare=False)

    def apply(self, event: ChatEvent) -> None:
        """Bring the turn up to one more event."""
        self.status = event if isinstance(event, Waiting | Loading) else None
        match event:
            case Rewritten():
                self.query = event.query
            case Sources():
                self.hits, self.budget, self.notes = event.hits, event.budget, source_notes(event)
            case Nothing():
                self.state = "done"
                self.notes = [(f"chat.nothing_{event.reason}", {})]
                if event.other_languages:
                    self.notes.append(("chat.other_languages", {}))
            case Thought():
                self.thought = event.text
            case Partial():
                self.answer = event.text
            case Done():
                self.answer, self.usage, self.cut, self.state = event.text, event.usage, event.cut, "done"
                self.doubtful, self.from_model = event.doubtful, event.from_model
                if event.cut:
                    self.notes.append(("chat.cut", {}))

    @property
    def refused(self) -> bool:
        """Whether no passage was about it."""
        return any(key == "chat.nothing_no_match" for key, _ in self.notes)

    def fail(self, error: AppError) -> None:
        """What was written so far stays."""
        self.state, self.error, self.status = "failed", (error.code, dict(error.values)), None

    def stop(self) -> None:
        """Stopped by the reader, or with the program, unless it had ended; what was written so far stays."""
        self.status = None
        if self.state == "running":
            self.state = "stopped"


@dataclass(frozen=True)
class Summary:
    """A line of the list of conversations. `updated`: unix seconds."""

    id: str
    title: str
    updated: float
    turns: int


@dataclass
class Conversation:
    id: str
    title: str
    options: AnswerOptions
    turns: list[Turn]


def source_notes(event: Sources) -> list[Text]:
    """What to tell of passages and messages that did or did not go into the prompt."""
    notes: list[Text] = []
    if event.whole_document:
        notes.append(("chat.whole_document", {"source": event.whole_document}))
    if event.too_long:
        notes.append(("chat.whole_too_long", {"source": event.too_long}))
    for key, count in (("messages", event.dropped_messages), ("passages", event.dropped_passages)):
        if count:
            notes.append((f"chat.dropped_{key}.{'one' if count == 1 else 'many'}", {"count": count}))
    if event.foreign:
        notes.append(("chat.foreign_question", {}))
    return notes


def history_of(turns: Sequence[Turn]) -> list[Message]:
    """What the model is told of earlier turns: questions and answers, no thoughts. Of a question that was refused, that
    nothing was found: the next one may lean on it. Nothing of one that came to no answer."""
    told = [(turn.question, turn.answer or (NO_PASSAGES if turn.refused else "")) for turn in turns]
    return [message for question, answer in told if question and answer
            for message in (Message("user", question), Message("assistant", answer))]
