"""The Chat tab: a question, its answer as it is written, and where it comes from. Layout first, then events."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import gradio as gr

from core.chat.answer import answer, check_question
from core.chat.events import ChatEvent, Done, Nothing, Partial, Sources, Thought
from core.chat.library import CollectionLibrary
from core.engines.base import EngineStatus
from core.engines.choice import Choice
from core.errors import AppError
from ui.adding import add_files
from ui.chat_view import Turn, engine_pill, history_of, messages, page_view, source_cards
from ui.feedback import QUIET, Notice, both, html_block, label, language_of, markdown_escape, notices_html
from ui.i18n import explain, plural, translate
from ui.pacing import paced
from ui.workshop import Workshop

_log = logging.getLogger(__name__)
EXAMPLES = 3
_POLL_SECONDS = 0.3
# A citation in an answer, or a card: both show their source. One listener for the page, also after the tab was left
# and built anew.
_SHOW_ON_CLICK = """
const narrow = () => window.matchMedia('(max-width: 760px)').matches;
if (window.tallerShowSource) document.removeEventListener('click', window.tallerShowSource, true);
window.tallerShowSource = (event) => {
  const link = event.target.closest('a[href*="#source-"]');
  const card = event.target.closest('#sources button[data-number]');
  if (!link && !card) return;
  event.preventDefault();
  event.stopPropagation();
  const [turn, number] = link ? link.getAttribute('href').split('#source-')[1].split('-').map(Number)
                              : [Number(card.dataset.turn), Number(card.dataset.number)];
  trigger('click', {turn, number});
  if (narrow()) document.querySelector('#page-view')?.scrollIntoView({behavior: 'smooth', block: 'nearest'});
};
document.addEventListener('click', window.tallerShowSource, true);
"""
# Files dropped anywhere on the conversation go into the question box, which uploads them.
_TAKE_DROPS = """
const zone = element.closest('#conversation');
zone?.addEventListener('dragover', (event) => event.preventDefault());
zone?.addEventListener('drop', (event) => {
  const input = zone.querySelector('#question input[type=file]');
  if (event.target.closest('#question') || !event.dataTransfer.files.length || !input) return;
  event.preventDefault();
  input.files = event.dataTransfer.files;
  input.dispatchEvent(new Event('change', {bubbles: true}));
});
"""
# A text opens at its passage.
_SHOW_PASSAGE = """
watch('value', () => {
  const box = element.querySelector('figure.text');
  const mark = box?.querySelector('mark');
  if (mark) box.scrollTop = mark.offsetTop - box.offsetTop - 40;
});
"""


def build(workshop: Workshop, timer: gr.Timer, pill: gr.HTML) -> None:
    """Lay out the tab and wire it; `pill` is the header's line about the engine."""
    events = ChatEvents(workshop)
    turns = gr.State([])
    seen_engine = gr.State(("", ""))

    with gr.Row(elem_classes="chat-row"):
        with gr.Column(scale=3, min_width=300, elem_id="conversation"):
            chatbot = gr.Chatbot(label=label("chat.conversation"), show_label=False, elem_id="messages",
                                 height=420, buttons=["copy"], layout="bubble",
                                 group_consecutive_messages=False, placeholder=_welcome())
            with gr.Row(elem_classes="examples") as examples:
                buttons = [gr.Button(label(f"chat.example_{number}"), size="sm", elem_id=f"example-{number}")
                           for number in range(1, EXAMPLES + 1)]
            box = gr.MultimodalTextbox(label=label("chat.question"), placeholder=label("chat.placeholder"),
                                       show_label=False, file_count="multiple", sources=["upload"],
                                       max_plain_text_length=20_000, elem_id="question", autofocus=True)
            html_block(js_on_load=_TAKE_DROPS)
        with gr.Column(scale=2, min_width=280, elem_id="evidence"):
            with gr.Row(elem_classes="toolbar"):
                model = gr.Dropdown(label=label("chat.model"), show_label=False, choices=[], container=False,
                                    scale=3, min_width=140, elem_id="model")
                new = gr.Button(label("chat.new"), size="md", scale=2, min_width=170, elem_id="new-conversation")
            engine_note = html_block(elem_id="engine-note")
            sources = html_block(f'<div class="empty">{both("chat.sources_empty")}</div>', elem_id="sources",
                              js_on_load=_SHOW_ON_CLICK)
            page = html_block(elem_id="page-view", js_on_load=_SHOW_PASSAGE)

    shown = [box, chatbot, sources, page, turns, examples]
    timer.tick(events.refresh, [seen_engine, model], [seen_engine, pill, model, engine_note], **QUIET)
    running = [box.submit(events.ask, [box, turns, model], shown, **QUIET)]
    for number, button in enumerate(buttons, start=1):
        filled = button.click(events.example(number), None, [box], **QUIET)
        running.append(filled.then(events.ask, [box, turns, model], shown, **QUIET))
    for run in running:
        run.then(events.rest, [turns], [box, chatbot, turns, examples], **QUIET)
    box.stop(None, None, None, cancels=running, api_visibility="private")
    new.click(events.new, [turns], shown, cancels=running, **QUIET)
    sources.click(events.show, [turns], [sources, page], **QUIET)


def _welcome() -> str:
    return f'<h3>{both("chat.welcome_title")}</h3><p>{both("chat.welcome_text")}</p>'


class ChatEvents:
    """What happens in the tab. `turns` is this page's conversation."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    async def refresh(self, seen: tuple[str, str], picked: str | None, request: gr.Request) -> list[Any]:
        """The engine's line in the header and the models to choose from, when they changed.

        `seen` is what was shown last, and which engine was the best one then.
        """
        engines = self._workshop.engines
        await engines.look()
        choice, language = engines.choice, language_of(request)
        if choice is None:
            return [seen, engine_pill(language, None, True), gr.skip(), gr.skip()]
        warming_up = not self._warm
        values = [f"ollama|{model.name}" for model in choice.models]
        automatic = f"{choice.status.engine}|{choice.status.model}"
        # What the reader picked stays; what was picked for them follows the engines as they come and go.
        own = picked != seen[1] and picked in (*values, "passages|")
        value = picked if picked and own else automatic
        status = choice.status if value == automatic else _status_of(value)
        now = (repr((value, values, status, warming_up)), automatic)
        if now == seen:
            return [gr.skip()] * 4
        choices = [(name.split("|", 1)[1], name) for name in values]
        choices.append((translate(language, "chat.no_model"), "passages|"))
        note = translate(language, status.note, **status.note_values) if status.note else ""
        return [now, engine_pill(language, status, warming_up), gr.update(choices=choices, value=value),
                notices_html(Notice(note)) if note else ""]

    def example(self, number: int) -> Any:
        """A handler that writes example question `number` into the box, in the reader's language."""
        def fill(request: gr.Request) -> dict[str, Any]:
            return {"text": translate(language_of(request), f"chat.example_{number}"), "files": []}
        return fill

    async def ask(self, message: dict[str, Any], turns: list[Turn], picked: str | None,
                  request: gr.Request) -> AsyncIterator[list[Any]]:
        """Answer one message, as it is written. Stop cancels this; what was shown stays."""
        language = language_of(request)
        files = [str(file) for file in message.get("files") or []]
        dropped: list[str] = []
        if files:
            turn, dropped = await self._take_files(language, files)
            turns.append(turn)
            if not message["text"].strip():
                yield self._shown(language, turns, box=_resting(clear=True))
                return
        try:
            question = check_question(message["text"], self._workshop.settings)
        except AppError as error:
            # The question stays in the box, to be mended there.
            turns.append(Turn("", note=explain(language, error), state="failed"))
            yield self._shown(language, turns, box=_resting(clear=False))
            return
        status = translate(language, "chat.status_files") if dropped else self._waiting_text(language)
        turn = Turn(question, status=status)
        turns.append(turn)
        yield [gr.update(value=None, submit_btn=False, stop_btn=True),
               *self._shown(language, turns, sources="", page="")[1:]]
        events = self._answer(question, turns[:-1], picked, dropped)
        async with contextlib.aclosing(paced(events)) as groups:
            try:
                async for group in groups:
                    if not turns:
                        return  # put away by a new conversation
                    if not group:
                        yield [gr.skip()] * 6
                        continue
                    yield await self._apply(language, turns, group)
            except AppError as error:
                turn.state, turn.note = "failed", explain(language, error)
            except Exception:
                _log.exception("An answer failed")
                turn.state, turn.note = "failed", translate(language, "error.unexpected")
        yield self._shown(language, turns)

    def rest(self, turns: list[Turn], request: gr.Request) -> list[Any]:
        """After an answer, also after Stop: the send button is back, and what was cut short says so."""
        language = language_of(request)
        if turns and turns[-1].state == "running":
            turns[-1].state = "stopped"
            turns[-1].note = translate(language, "chat.stopped")
        return [_resting(clear=False), messages(language, turns), turns, gr.update(visible=not turns)]

    def new(self, turns: list[Turn], request: gr.Request) -> list[Any]:
        """An empty conversation; a running answer is stopped by the click itself.

        The same list is emptied, because what follows a stopped answer may hold it already and would show it again.
        """
        turns.clear()
        return self._shown(language_of(request), turns, box=_resting(clear=True), sources="", page="")

    async def show(self, event: gr.EventData, turns: list[Turn], request: gr.Request) -> list[Any]:
        """The page a citation or a card names."""
        if not 0 <= event.turn < len(turns):
            return [gr.skip(), gr.skip()]
        return await self._evidence(language_of(request), turns, event.turn, event.number)

    async def _apply(self, language: str, turns: list[Turn], group: list[ChatEvent]) -> list[Any]:
        """Bring the last turn up to the newest events, and show it."""
        turn = turns[-1]
        sources: Any = gr.skip()
        page: Any = gr.skip()
        for event in group:
            match event:
                case Sources():
                    turn.hits = event.hits
                    turn.note = _left_out(language, event)
                    foreign = await asyncio.to_thread(self._workshop.collection.is_foreign, turn.question)
                    if foreign and event.hits:
                        turn.note = f"{turn.note} {translate(language, 'chat.foreign_question')}".strip()
                    turn.status = translate(language, "chat.status_model")
                    sources = source_cards(language, turn.hits, len(turns) - 1)
                case Nothing():
                    turn.answer, turn.state = translate(language, f"chat.nothing_{event.reason}"), "done"
                case Thought():
                    turn.thought = event.text
                case Partial():
                    turn.answer = event.text
                case Done():
                    turn.answer = event.text or translate(language, "chat.no_answer")
                    turn.state = "done"
                    if event.cut:
                        turn.note = f"{turn.note} {translate(language, 'chat.cut')}".strip()
                    first = (event.citations or turn.hits)[:1]
                    if first:
                        sources, page = await self._evidence(language, turns, len(turns) - 1, first[0].rank)
        return self._shown(language, turns, sources=sources, page=page)

    async def _answer(self, question: str, before: list[Turn], picked: str | None,
                      dropped: list[str]) -> AsyncGenerator[ChatEvent, None]:
        """The events of an answer, by the engine the reader picked, once search is ready and knows the documents
        that came with the question."""
        choice = await self._choice(picked)
        await asyncio.to_thread(self._workshop.background.wait_until_ready)
        await self._searchable(dropped)
        events = answer(question, history_of(before), CollectionLibrary(self._workshop.collection), choice.engine,
                        choice.status.model, self._workshop.settings)
        async with contextlib.aclosing(events) as stream:
            async for event in stream:
                yield event

    async def _searchable(self, sources: list[str]) -> None:
        """Wait until these documents are found, or have failed."""
        collection = self._workshop.collection
        if not sources:
            return
        # Polled, so that Stop ends it: the thread that indexes knows no event loop.
        while not set(sources).isdisjoint(await asyncio.to_thread(collection.store.pending)):  # noqa: ASYNC110
            await asyncio.sleep(_POLL_SECONDS)
        await asyncio.to_thread(collection.searcher.sync)

    async def _choice(self, picked: str | None) -> Choice:
        choice = await self._workshop.engines.current()
        if not picked or picked == f"{choice.status.engine}|{choice.status.model}":
            return choice
        return await self._workshop.engines.chooser.with_model(*picked.split("|", 1))

    async def _evidence(self, language: str, turns: list[Turn], index: int, number: int) -> list[Any]:
        """The cards of a turn, one of them chosen, and that one's page."""
        hits = turns[index].hits
        hit = next((hit for hit in hits if hit.rank == number), None)
        if hit is None:
            return [gr.skip(), gr.skip()]
        shown = await asyncio.to_thread(self._workshop.previewer.show, hit)
        return [source_cards(language, hits, index, number), page_view(language, hit, shown)]

    async def _take_files(self, language: str, files: list[str]) -> tuple[Turn, list[str]]:
        """Files dropped onto the chat go into the library: a turn that says what came of them, and the new ones."""
        added = await asyncio.to_thread(add_files, self._workshop, language, files, "keep_both")
        lines = [markdown_escape(notice.text) for notice in added.notices]
        return Turn("", answer="\n\n".join(lines), state="done"), added.sources

    def _waiting_text(self, language: str) -> str:
        return translate(language, "chat.status_search" if self._warm else "chat.status_warming_up")

    @property
    def _warm(self) -> bool:
        return self._workshop.background.warm.is_set() and self._workshop.collection.embedder.ready.is_set()

    def _shown(self, language: str, turns: list[Turn], *, box: Any = None, sources: Any = None,
               page: Any = None) -> list[Any]:
        """Everything the tab shows; what is None stays as it is, an empty `sources` shows the invitation."""
        if sources == "":
            sources = source_cards(language, (), 0)
        return [
            gr.skip() if box is None else box,
            messages(language, turns),
            gr.skip() if sources is None else sources,
            gr.skip() if page is None else page,
            turns,
            gr.update(visible=not turns),
        ]


def _resting(*, clear: bool) -> Any:
    """The question box when no answer is being written."""
    if clear:
        return gr.update(value=None, submit_btn=True, stop_btn=False)
    return gr.update(submit_btn=True, stop_btn=False)


def _left_out(language: str, sources: Sources) -> str:
    """In words, what did not fit into the model's context."""
    parts = []
    if sources.dropped_messages:
        parts.append(plural(language, "chat.dropped_messages", sources.dropped_messages))
    if sources.dropped_passages:
        parts.append(plural(language, "chat.dropped_passages", sources.dropped_passages))
    return " ".join(parts)


def _status_of(value: str) -> EngineStatus:
    """What the header says of an engine the reader picked."""
    engine, model = value.split("|", 1)
    return EngineStatus(engine, model, "ready")
