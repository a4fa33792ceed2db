"""What happens while a question is answered, as values, and what the reader may choose beforehand.

A consumer applies them in their order: each holds all there is so far, so that one may be skipped for a newer one of
its kind. Knows nothing of how an answer comes about.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from core.documents.search import Hit
from core.engines.base import Loading, Usage, Words

Span = tuple[int, int]  # characters from (included) and to (not included)


@dataclass(frozen=True)
class AnswerOptions:
    """What the reader chose for a conversation. `picked` is "engine|model", empty for the best there is; `sources`
    limits search to these documents, empty for all; `think` is one of the model's levels, empty for its default."""

    picked: str = ""
    top_k: int = 3
    temperature: float | None = None
    system_prompt: str = ""  # added to ours, never in its place
    strict: bool = True
    think: str = ""
    sources: tuple[str, ...] = ()
    max_tokens: int | None = None  # of an answer; None for as many as the model gives


@dataclass(frozen=True)
class Budget:
    """Tokens: what the prompt takes, as estimated, of what the model can hold. `limit` 0: nothing limits it."""

    used: int = 0
    limit: int = 0


@dataclass(frozen=True)
class Waiting:
    """The model is busy with other people's questions: this one is number `place` (from 1) in the queue."""

    place: int


@dataclass(frozen=True)
class Rewritten:
    """The question as search was asked it, because it leaned on what was said before or is in another language than
    the documents. May come twice: the later one counts."""

    query: str


@dataclass(frozen=True)
class Sources:
    """The passages found, before the first word; what did not fit into the model's context is counted.

    `whole_document` names the document that went in from beginning to end, or is empty; `too_long` one that was asked
    for whole and did not fit; `foreign` tells that no document is in a language that was searched. May come twice, when
    the engine refuses the first try as too long: the later one counts.
    """

    hits: tuple[Hit, ...]
    budget: Budget = field(default_factory=Budget)
    dropped_messages: int = 0
    dropped_passages: int = 0
    whole_document: str = ""
    too_long: str = ""
    foreign: bool = False


@dataclass(frozen=True)
class Nothing:
    """The last event where no model is asked for an answer: no passage is about the question, there are no documents
    at all, or those it is limited to are gone, or a greeting met an engine that can only quote. Its words stand in the
    locales under `chat.nothing_<reason>`.

    `other_languages`: many documents are in another language than all that was searched, so that they hardly were."""

    reason: Literal["no_match", "no_documents", "not_these", "small_talk"] = "no_match"
    other_languages: bool = False


class Thought(Words):
    """All the model has thought so far."""


class Partial(Words):
    """The answer so far, its citations resolved."""


@dataclass(frozen=True)
class Done(Words):
    """The whole answer, and the hits it cites.

    `doubtful` are spans of `text`, sentences that their cited passages do not seem to support; `from_model` is true
    for an answer in free mode that cites nothing.
    """

    citations: tuple[Hit, ...]
    usage: Usage
    cut: bool
    doubtful: tuple[Span, ...] = ()
    from_model: bool = False


ChatEvent = Waiting | Rewritten | Sources | Nothing | Loading | Thought | Partial | Done
