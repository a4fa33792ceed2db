"""One question, from search to the last token, as events. Knows nothing of the page or of any one engine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence

from core.chat.budget import Calibration
from core.chat.citations import cited, resolve, resolve_streaming
from core.chat.events import (
    AnswerOptions,
    ChatEvent,
    Done,
    Nothing,
    Partial,
    Sources,
    Thought,
    Waiting,
)
from core.chat.library import Library
from core.chat.prompt import Room, build_prompt
from core.chat.queue import Queues
from core.engines.base import ChatRequest, Engine, Finished, Loading, Message, Passage, Thinking, Token
from core.errors import AppError, EngineError
from core.settings import Settings

RELEVANT = 0.27  # of the best passage: refuses 1.4% of what can be answered and 89% of what cannot, see NOTES.md


def check_question(question: str, settings: Settings) -> str:
    """The question without blanks around it. Raises AppError `question_empty`, `question_too_long`."""
    question = question.strip()
    if not question:
        raise AppError("question_empty")
    if len(question) > settings.max_question_chars:
        raise AppError("question_too_long", length=len(question), limit=settings.max_question_chars)
    return question


async def answer(question: str, history: Sequence[Message], library: Library, engine: Engine, model: str,
                 settings: Settings, options: AnswerOptions | None = None, calibration: Calibration | None = None,
                 queues: Queues | None = None, person: str = "") -> AsyncGenerator[ChatEvent, None]:
    """Perhaps Waiting and Rewritten, then Sources, Thought and Partial as they grow, and Done; or Nothing.

    `model` is the engine's own name of it. `queues`, shared by all who ask, makes `person` wait its turn. Closing this
    iterator closes the engine's connection at once, before the first token too. Raises AppError for the question,
    DocumentError from search, EngineError from the engine.
    """
    question = check_question(question, settings)
    options = options or AnswerOptions(top_k=settings.top_k)
    calibration = calibration or Calibration()
    hits = await asyncio.to_thread(library.search, question, options.top_k, options.sources)
    if options.strict and engine.name != "passages" and not any(hit.relevance >= RELEVANT for hit in hits):
        yield Nothing("no_match" if hits else "no_documents")
        return
    room = Room(await engine.context(model), calibration.ratio(model))
    prompt = build_prompt(question, hits, history, room, options)
    yield Sources(prompt.hits, prompt.budget, prompt.dropped_messages, prompt.dropped_passages)
    request = ChatRequest(model, prompt.messages, question, tuple(Passage(hit.rank, hit.text) for hit in prompt.hits),
                          options.temperature, options.think or None)
    text, thought = "", ""
    async with contextlib.AsyncExitStack() as stack:
        queue = queues.of(engine.name) if queues else None
        if queue is not None:
            place = await stack.enter_async_context(queue.place(person))
            async for number in place.waiting():
                yield Waiting(number)
        events = await stack.enter_async_context(contextlib.aclosing(engine.chat(request)))
        async for event in events:
            match event:
                case Loading():
                    yield event
                case Thinking():
                    thought += event.text
                    yield Thought(thought)
                case Token():
                    text += event.text
                    yield Partial(resolve_streaming(text, prompt.hits))
                case Finished():
                    whole = resolve(text, prompt.hits)
                    citations = tuple(cited(whole, prompt.hits))
                    yield Done(whole, citations, event.usage, event.cut,
                               from_model=not options.strict and not citations)
                    return
    raise EngineError("engine_broken_stream")
