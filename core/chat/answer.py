"""One question, from search to the last token, as events. Knows nothing of the page or of any one engine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass

from core.chat.citations import cited, resolve, resolve_streaming
from core.chat.prompt import build_prompt
from core.documents.search import Hit
from core.engines.base import ChatRequest, Engine, Finished, Message, Passage, Thinking, Token, Usage
from core.errors import AppError, EngineError
from core.settings import Settings


@dataclass(frozen=True)
class Sources:
    """The passages found, before the first word; what did not fit into the model's context is counted."""

    hits: tuple[Hit, ...]
    dropped_messages: int = 0
    dropped_passages: int = 0


@dataclass(frozen=True)
class Thought:
    """All the model has thought so far."""

    text: str


@dataclass(frozen=True)
class Partial:
    """The answer so far, its citations resolved."""

    text: str


@dataclass(frozen=True)
class Done:
    """The whole answer, and the hits it cites."""

    text: str
    citations: tuple[Hit, ...]
    usage: Usage
    cut: bool


ChatEvent = Sources | Thought | Partial | Done
Search = Callable[[str], list[Hit]]


def check_question(question: str, settings: Settings) -> str:
    """The question without blanks around it. Raises AppError `question_empty`, `question_too_long`."""
    question = question.strip()
    if not question:
        raise AppError("question_empty")
    if len(question) > settings.max_question_chars:
        raise AppError("question_too_long", length=len(question), limit=settings.max_question_chars)
    return question


async def answer(question: str, history: Sequence[Message], search: Search, engine: Engine, model: str,
                 settings: Settings) -> AsyncGenerator[ChatEvent, None]:
    """Sources, then Thought and Partial as they grow, then Done.

    Closing this iterator closes the engine's connection at once, before the first token too. Raises AppError for
    the question, DocumentError from search, EngineError from the engine.
    """
    question = check_question(question, settings)
    hits = await asyncio.to_thread(search, question)
    prompt = build_prompt(question, hits, history, settings.num_ctx)
    yield Sources(prompt.hits, prompt.dropped_messages, prompt.dropped_passages)
    request = ChatRequest(model, prompt.messages, question,
                          tuple(Passage(hit.rank, hit.text) for hit in prompt.hits))
    text, thought = "", ""
    async with contextlib.aclosing(engine.chat(request)) as events:
        async for event in events:
            match event:
                case Thinking():
                    thought += event.text
                    yield Thought(thought)
                case Token():
                    text += event.text
                    yield Partial(resolve_streaming(text, prompt.hits))
                case Finished():
                    whole = resolve(text, prompt.hits)
                    yield Done(whole, tuple(cited(whole, prompt.hits)), event.usage, event.cut)
                    return
    raise EngineError("engine_broken_stream")
