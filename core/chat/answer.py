"""One question, from search to the last token, as events. Knows nothing of the page or of any one engine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

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
from core.chat.followups import leans_on_answer, needs_history, rewrite
from core.chat.library import Library
from core.chat.prompt import Prompt, Room, build_prompt, build_talk
from core.chat.queue import Place, Queues
from core.chat.support import doubtful_spans
from core.chat.talk import is_small_talk, language_code, language_name
from core.documents.language import OTHER
from core.documents.search import Hit
from core.engines.base import ChatRequest, Engine, Finished, Loading, Message, Passage, Thinking, Token
from core.errors import AppError, EngineError
from core.settings import Settings

_SUPPORT_SECONDS = 2.0
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
                 queues: Queues | None = None, person: str = "") -> AsyncGenerator[ChatEvent, None]:
    """Perhaps Waiting and Rewritten, then Sources, Thought and Partial as they grow, and Done; or Nothing.

    `model` is the engine's own name of it. `queues`, shared by all who ask, makes `person` wait its turn. Closing this
    iterator closes the engine's connection at once, before the first token too. Raises AppError for the question,
    DocumentError from search, EngineError from the engine.
    """
    question = check_question(question, settings)
    queue = queues.of(engine.name) if queues else None
    answering = _Answering(question, tuple(history), library, engine, model,
                           options or AnswerOptions(top_k=settings.top_k), calibration or Calibration(),
                           queue.place(person) if queue else None)
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
    foreign: bool = False  # no document is in the question's language
    text: str = ""
    thought: str = ""
    finished: Finished | None = None

    async def events(self) -> AsyncGenerator[ChatEvent, None]:
        names = await asyncio.to_thread(self.library.sources)
        talk = is_small_talk(self.question)
        if self._quoting and talk:
            yield Nothing("small_talk")
            return
        if not names and not talk and (self.options.strict or self._quoting):
            yield Nothing("no_documents")
            return
        if self.options.sources and not talk and set(self.options.sources).isdisjoint(names):
            yield Nothing("not_these")
            return
        found = Found((), False)
        if not talk:
            async for event in self._rewritten():
                yield event
            found = await asyncio.to_thread(find, self.question, self.query, self.library, names, await self._room(),
                                            self.options, quoting=self._quoting)
            if self._is_refused(found):
                yield Nothing("no_match", await asyncio.to_thread(self._has_other_languages))
                return
        async with contextlib.aclosing(self._written(found, names if talk else None)) as events:
            async for event in events:
                yield event

    @property
    def _quoting(self) -> bool:
        return self.engine.name == "passages"

    async def _room(self) -> Room:
        return Room(await self.engine.context(self.model), self.calibration.ratio(self.model))

    async def _seated(self) -> AsyncGenerator[Waiting, None]:
        """Until it is this question's turn; at once when it has been before."""
        place, self.place = self.place, None
        if place is not None:
            await self.seat.enter_async_context(place)
            async for number in place.waiting():
                yield Waiting(number)

    async def _rewritten(self) -> AsyncGenerator[ChatEvent, None]:
        """Sets `query`; tells it where it is not the question."""
        self.query = self.question
        leans = needs_history(self.question, self.history)
        self.foreign = await asyncio.to_thread(self.library.is_foreign, self.question)
        if not leans and (not self.foreign or self._quoting):
            return
        async for waiting in self._seated():
            yield waiting
        into = await asyncio.to_thread(self._search_language) if self.foreign else ""
        self.query = await rewrite(self.question, self.history, self.engine, self.model, into=into)
        if self.query != self.question:
            yield Rewritten(self.query)

    def _search_language(self) -> str:
        languages = self.library.languages()
        return next((code for code in ("en", "es") if code in languages), min(languages, default=""))

    def _is_refused(self, found: Found) -> bool:
        """Whether to say that nothing was found instead of asking the model: strict, and no passage is about it. What
        words cannot tell is left to the model: a question in a language of no document, one about a cited answer."""
        if found.relevant:
            return False
        untranslated = self.foreign and self.query == self.question
        if self._quoting:
            return not found.hits or (self.options.strict and not untranslated)
        if not self.options.strict or leans_on_answer(self.question, self.history):
            return False
        return not (found.hits and untranslated)

    def _has_other_languages(self) -> bool:
        """Whether documents were searched in vain for being in another language than the question."""
        own = language_code(self.question, self.history)
        return own != OTHER and bool(self.library.languages() - {own, OTHER})

    async def _written(self, found: Found, names: Sequence[str] | None) -> AsyncGenerator[ChatEvent, None]:
        """The prompt and what the model makes of it; a prompt that the engine finds too long is tried again, shorter.
        `names` are the documents', for small talk."""
        hits = found.hits if found.relevant or self.options.strict or self._quoting else ()
        for tries_left in reversed(range(_TRIES)):
            prompt = await self._prompt(hits, names)
            if names is None:
                yield Sources(prompt.hits, prompt.budget, prompt.dropped_messages, prompt.dropped_passages,
                              found.whole_document if not prompt.dropped_passages else "",
                              found.too_long or (found.whole_document if prompt.dropped_passages else ""))
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
        yield await self._done(prompt)

    async def _prompt(self, hits: Sequence[Hit], names: Sequence[str] | None) -> Prompt:
        room, language = await self._room(), language_name(language_code(self.question, self.history))
        if names is not None:
            return build_talk(self.question, names, self.history, room, language)
        return build_prompt(self.question, hits, self.history, room, self.options, language)

    async def _streamed(self, prompt: Prompt) -> AsyncGenerator[ChatEvent, None]:
        passages = tuple(Passage(hit.rank, hit.text) for hit in prompt.hits)
        request = ChatRequest(self.model, prompt.messages, self.question, passages, self.options.temperature,
                              self.options.think or None)
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

    async def _done(self, prompt: Prompt) -> Done:
        """The end, once its citations are checked and its tokens learnt from."""
        assert self.finished is not None
        usage = self.finished.usage
        with contextlib.suppress(AppError):  # what cannot be kept is estimated again
            self.calibration.learn(self.model, [message.content for message in prompt.messages], usage.prompt_tokens)
        whole = resolve(self.text, prompt.hits)
        citations = tuple(cited(whole, prompt.hits))
        doubtful: tuple[Span, ...] = ()
        if citations and not self._quoting:
            with contextlib.suppress(AppError, TimeoutError):
                async with asyncio.timeout(_SUPPORT_SECONDS):
                    doubtful = await asyncio.to_thread(doubtful_spans, whole, prompt.hits, self.library.embed)
        from_model = not self.options.strict and not citations and bool(whole.strip())
        return Done(whole, citations, usage, self.finished.cut, doubtful, from_model)
