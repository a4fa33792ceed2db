"""One question, from search to the last token, as events. Knows nothing of the page or of any one engine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from core.chat.budget import Calibration
from core.chat.citations import GrowingAnswer, cited, resolve
from core.chat.events import (
    AnswerOptions,
    ChatEvent,
    Done,
    Nothing,
    Partial,
    Rewritten,
    Sources,
    Span,
    Thought,
    Waiting,
)
from core.chat.finding import Found, find
from core.chat.followups import leans_on_answer, needs_history
from core.chat.library import Library
from core.chat.prompt import Prompt, Room, build_prompt, build_talk
from core.chat.queue import Place, Queues
from core.chat.rewriting import rewrite, translate
from core.chat.support import doubtful_spans
from core.chat.talk import is_small_talk, language_code, language_name
from core.documents.language import OTHER
from core.documents.search import Hit
from core.engines.base import ChatRequest, Engine, Finished, Loading, Message, Passage, Thinking, Token
from core.errors import AppError, EngineError
from core.settings import Settings

_SUPPORT_SECONDS = 2.0
_MANY = 0.2  # a share of the documents worth a word when they could not be searched
_TRIES = 3  # each with a more careful estimate, when the engine refuses the prompt as too long


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
                 queues: Queues | None = None, person: str = "", *,
                 behind: bool = False) -> AsyncGenerator[ChatEvent, None]:
    """Perhaps Waiting and Rewritten, then Sources, Thought and Partial as they grow, and Done; or Nothing.

    `model` is the engine's own name of it. `queues`, shared by all who ask, makes `person` wait its turn, `behind` all
    who are not. Closing this iterator closes the engine's connection at once, before the first token too. Raises
    AppError for the question, DocumentError from search, EngineError from the engine.
    """
    question = check_question(question, settings)
    queue = queues.of(engine.name) if queues else None
    answering = _Answering(question, tuple(history), library, engine, model,
                           options or AnswerOptions(top_k=settings.top_k), calibration or Calibration(),
                           queue.place(person, behind) if queue else None)
    async with answering.seat, contextlib.aclosing(answering.events()) as events:
        async for event in events:
            yield event


@dataclass
class _Answering:
    """One question on its way. `seat` holds its place in the queue, from the first need of the model to its last
    word; what the model has said stands in `text`, `thought` and `finished`."""

    question: str
    history: tuple[Message, ...]
    library: Library
    engine: Engine
    model: str
    options: AnswerOptions
    calibration: Calibration
    place: Place | None
    seat: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)
    query: str = ""  # as search is asked
    found: Found = field(default_factory=lambda: Found((), False))
    # The share of the documents that are in another language than all that search was asked: words cannot match there.
    unsearched: float = 0.0
    text: str = ""
    thought: str = ""
    finished: Finished | None = None

    async def events(self) -> AsyncGenerator[ChatEvent, None]:
        names = await asyncio.to_thread(self.library.sources)
        talk = is_small_talk(self.question)
        if nothing := self._nothing_to_search(names, talk):
            yield nothing
            return
        if not talk:
            async for event in self._searched(names):
                yield event
            if self._is_refused():
                yield Nothing("no_match", self.unsearched >= _MANY)
                return
        async with contextlib.aclosing(self._written(names if talk else None)) as events:
            async for event in events:
                yield event

    def _nothing_to_search(self, names: Sequence[str], talk: bool) -> Nothing | None:
        if talk:
            return Nothing("small_talk") if self._quoting else None
        if not names and (self.options.strict or self._quoting):
            return Nothing("no_documents")
        if self.options.sources and set(self.options.sources).isdisjoint(names):
            return Nothing("not_these")
        return None

    @property
    def _quoting(self) -> bool:
        return self.engine.name == "passages"

    @property
    def _foreign(self) -> bool:
        """Whether no document is in a language that search was asked in."""
        return self.unsearched == 1

    @cached_property
    def language(self) -> str:
        """Of the question, as a code."""
        return language_code(self.question, self.history)

    async def _room(self) -> Room:
        return Room(await self.engine.context(self.model), self.calibration.ratio(self.model))

    async def _seated(self) -> AsyncGenerator[Waiting, None]:
        """Until it is this question's turn; at once when it has been before."""
        place, self.place = self.place, None
        if place is not None:
            await self.seat.enter_async_context(place)
            async for number in place.waiting():
                yield Waiting(number)

    async def _searched(self, names: Sequence[str]) -> AsyncGenerator[ChatEvent, None]:
        """Sets `found`. What leans on the conversation is rewritten first; what finds nothing is asked once more in the
        language of the other documents."""
        self.query = self.question
        if needs_history(self.question, self.history):
            async for waiting in self._seated():
                yield waiting
            self.query = await rewrite(self.question, self.history, self.engine, self.model)
            if self.query != self.question:
                yield Rewritten(self.query)
        self.found = await self._find(names)
        into = "" if self.found.relevant else await asyncio.to_thread(self._other_language)
        if not into or self._quoting or leans_on_answer(self.question, self.history):
            return
        async for waiting in self._seated():
            yield waiting
        query = await translate(self.question, self.history, self.engine, self.model, into)
        if query:
            self.query, self.unsearched = query, 0.0
            yield Rewritten(query)
            self.found = await self._find(names)

    async def _find(self, names: Sequence[str]) -> Found:
        return await asyncio.to_thread(find, self.question, self.query, self.library, names, await self._room(),
                                       self.options, quoting=self._quoting)

    def _other_language(self) -> str:
        """The language that most documents are in beside the question's own, as a code; empty where there is none, or
        the question's cannot be told. Sets `unsearched`."""
        if not language_name(self.language):
            return ""
        counts = self.library.languages(self.options.sources)
        others = {code: count for code, count in counts.items() if code not in (self.language, OTHER)}
        if not others:
            return ""
        total = sum(others.values())
        self.unsearched = total / (total + counts.get(self.language, 0))
        return max(sorted(others), key=others.__getitem__)

    def _is_refused(self) -> bool:
        """Whether to say that nothing was found instead of asking the model: no passage is about it, and the model may
        not or cannot answer from what it knows. What words cannot tell is left to it: a question in a language of no
        document, one about a cited answer."""
        if self.found.relevant or (self._foreign and self.found.hits):
            return False
        return self._quoting or (self.options.strict and not leans_on_answer(self.question, self.history))

    async def _written(self, names: Sequence[str] | None) -> AsyncGenerator[ChatEvent, None]:
        """The prompt and what the model makes of it; a prompt that the engine finds too long is tried again, shorter.
        `names` are the documents', for small talk."""
        found = self.found
        hits = found.hits if found.relevant or self.options.strict or self._quoting else ()
        for tries_left in reversed(range(_TRIES)):
            prompt = await self._prompt(hits, names)
            if names is None:
                yield Sources(prompt.hits, prompt.budget, prompt.dropped_messages, prompt.dropped_passages,
                              found.whole_document if not prompt.dropped_passages else "",
                              found.too_long or (found.whole_document if prompt.dropped_passages else ""),
                              foreign=self._foreign and bool(prompt.hits))
            async for waiting in self._seated():
                yield waiting
            try:
                async with contextlib.aclosing(self._streamed(prompt)) as events:
                    async for event in events:
                        yield event
                break
            except EngineError as error:
                if error.code != "engine_context_too_small" or self.text or self.thought or not tries_left:
                    raise
                self.calibration.tighten(self.model)
        await self.seat.aclose()
        yield await self._done(prompt, talk=names is not None)

    async def _prompt(self, hits: Sequence[Hit], names: Sequence[str] | None) -> Prompt:
        room, language = await self._room(), language_name(self.language)
        if names is not None:
            return build_talk(self.question, names, self.history, room, language)
        return build_prompt(self.question, hits, self.history, room, self.options, language)

    async def _streamed(self, prompt: Prompt) -> AsyncGenerator[ChatEvent, None]:
        passages = tuple(Passage(hit.rank, hit.text) for hit in prompt.hits)
        request = ChatRequest(self.model, prompt.messages, self.question, passages, self.options.temperature,
                              self.options.think or None, self.options.max_tokens)
        growing = GrowingAnswer(prompt.hits)
        async with contextlib.aclosing(self.engine.chat(request)) as events:
            async for event in events:
                match event:
                    case Loading():
                        yield event
                    case Thinking():
                        self.thought += event.text
                        yield Thought(self.thought)
                    case Token():
                        self.text += event.text
                        yield Partial(growing.add(event.text))
                    case Finished():
                        self.finished = event
                        return
        raise EngineError("engine_broken_stream")

    async def _done(self, prompt: Prompt, *, talk: bool) -> Done:
        """The end, once its citations are checked and its tokens learnt from."""
        assert self.finished is not None
        usage = self.finished.usage
        with contextlib.suppress(AppError):  # what cannot be kept is estimated again
            self.calibration.learn(self.model, [message.content for message in prompt.messages], usage.prompt_tokens)
        whole = resolve(self.text, prompt.hits) if self.text.strip() else ""
        citations = tuple(cited(whole, prompt.hits))
        doubtful: tuple[Span, ...] = ()
        if citations and not self._quoting:
            with contextlib.suppress(AppError, TimeoutError):
                async with asyncio.timeout(_SUPPORT_SECONDS):
                    doubtful = await asyncio.to_thread(doubtful_spans, whole, prompt.hits, self.library.embed)
        from_model = not (self.options.strict or talk or citations) and bool(whole)
        return Done(whole, citations, usage, self.finished.cut, doubtful, from_model)
