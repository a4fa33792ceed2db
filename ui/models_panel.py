"""The panel of Ollama's models: what is installed, what comes, what is worth having. Layout, then events."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from core.engines.hosts import is_loopback
from core.engines.ollama_names import full_name
from core.engines.pulls import Pull
from core.engines.suggestions import Machine, look_at_machine, suggest
from core.errors import AppError
from ui.documents_script import BUTTONS
from ui.every_second import EverySecond
from ui.feedback import EACH, QUIET, Notice, both, error_notice, html_block, label, language_of, notices_html
from ui.i18n import translate
from ui.models_view import Shelf, installed_view, pulls_view, suggestions_view
from ui.workshop import Engines, Workshop

_LOOK_AGAIN_SECONDS = 5.0  # at what is installed and in memory: two requests that take a millisecond each
_PATIENCE_SECONDS = 0.5  # of a page with a server
_ACT_PATIENCE_SECONDS = 2.0  # of a reader who wants to see what they have done
_MACHINE_SECONDS = 60.0  # at the disk and the graphics card
_ANY_MACHINE = Machine(2**60, 0, 2**60, 2**60)
_log = logging.getLogger(__name__)


def build(workshop: Workshop, every_second: EverySecond) -> None:
    """Lay out the panel and wire it."""
    events = ModelEvents(workshop.engines)
    seen = gr.State(None)
    asked = gr.State("")
    with gr.Column(elem_classes="models-panel", elem_id="ollama-models"):
        html_block(f'<h3>{both("models.title")}</h3>')
        notices = html_block(elem_id="model-notices")
        installed = html_block(f'<p class="hint">{both("models.looking")}</p>', elem_id="models-installed",
                               js_on_load=BUTTONS)
        pulls = html_block(elem_id="model-pulls", js_on_load=BUTTONS)
        with gr.Row(elem_classes="toolbar", elem_id="pull-form"):
            name = gr.Textbox(label=label("models.pull_label"), placeholder=label("models.pull_placeholder"),
                              show_label=False, container=False, max_length=300, max_lines=1, scale=1, min_width=140,
                              elem_id="pull-name")
            start = gr.Button(label("models.pull"), size="sm", scale=0, min_width=110, elem_id="pull-start")
        suggested = html_block(elem_id="model-suggestions", js_on_load=BUTTONS)

    shown = [seen, installed, pulls, suggested]
    every_second.add(events.refresh, [seen, asked], shown, waits=True)
    for changed in (
        start.click(events.pull_written, [name], [notices, name], **QUIET),
        name.submit(events.pull_written, [name], [notices, name], **QUIET),
        suggested.click(events.act, [asked], [notices, asked], **EACH),
        pulls.click(events.act, [asked], [notices, asked], **EACH),
        installed.click(events.act, [asked], [notices, asked], **EACH),
    ):
        changed.then(events.redraw, [asked], shown, **QUIET)


class ShelfLook:
    """What Ollama has, looked at again every few seconds while a page is open. All pages share it."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self.shelf: Shelf | None = None
        self._looked, self._machine_looked = -_LOOK_AGAIN_SECONDS, -_MACHINE_SECONDS
        self._machine = _ANY_MACHINE
        self._pulls: tuple[tuple[str, str], ...] = ()  # model and state
        self._looking = asyncio.Lock()
        self._looks: set[asyncio.Task[None]] = set()

    async def look(self, *, anew: bool = False) -> None:
        """Look again when the last look is old, or a download has ended since. A server that takes its time is not
        waited for: what it says is seen by the next call."""
        pulls = tuple((pull.model, pull.state) for pull in self._engines.pulls.list())
        fresh = time.monotonic() - self._looked < _LOOK_AGAIN_SECONDS and pulls == self._pulls
        if anew or not (fresh or self._looks):
            self._pulls = pulls
            look = asyncio.create_task(self._look_once())
            self._looks.add(look)
            look.add_done_callback(self._looks.discard)
        if self._looks:
            await asyncio.wait(self._looks, timeout=_ACT_PATIENCE_SECONDS if anew else _PATIENCE_SECONDS)

    async def _look_once(self) -> None:
        async with self._looking:
            with contextlib.suppress(AppError):
                self.shelf = await self._look()
            self._looked = time.monotonic()

    async def _look(self) -> Shelf:
        ollama = self._engines.chooser.ollama
        here = is_loopback(ollama.url)
        try:
            models, loaded = await asyncio.gather(ollama.models(), ollama.installed.loaded())
        except AppError:
            return Shelf(ollama.url, here)
        if here and time.monotonic() - self._machine_looked > _MACHINE_SECONDS:
            machine = await asyncio.to_thread(look_at_machine)
            # What Ollama itself holds it gives up for another model.
            held = sum(model.size_bytes for model in loaded)
            on_card = sum(model.gpu_bytes for model in loaded) if machine.gpu_bytes else 0
            self._machine = replace(machine, gpu_bytes=machine.gpu_bytes + on_card,
                                    free_bytes=machine.free_bytes + held - on_card)
            self._machine_looked = time.monotonic()
        suggestions = suggest(self._machine, [model.name for model in models], ollama.installed.sizes)
        return Shelf(ollama.url, here, tuple(models), tuple(loaded), tuple(suggestions))


@dataclass(frozen=True)
class Seen:
    """What a page shows: nothing is drawn anew while it stays the same."""

    language: str
    shelf: Shelf | None
    pulls: tuple[Pull, ...]
    asked: str


class ModelEvents:
    """What happens in the panel. `asked` is the model whose deletion waits for a yes."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self._look = ShelfLook(engines)

    async def refresh(self, seen: Seen | None, asked: str, request: gr.Request) -> list[Any]:
        """The panel as it is now, as far as it changed since `seen`."""
        await self._look.look()
        return self._drawn(seen, asked, request)

    async def redraw(self, asked: str, request: gr.Request) -> list[Any]:
        """The panel as it is now, at once: the reader has just done something."""
        await self._look.look(anew=True)
        return self._drawn(None, asked, request)

    def pull_written(self, name: str | None, request: gr.Request) -> list[Any]:
        """Download the model that was written down; the field is emptied when it was a name."""
        failed = self._pull(name or "", language_of(request))
        return [failed, gr.skip() if failed else ""]

    async def act(self, asked: str, event: gr.EventData, request: gr.Request) -> list[Any]:
        """What a button says by its data. Returns notices, and the model asked about."""
        data = event._data or {}
        act, model, language = str(data.get("act", "")), str(data.get("model", "")), language_of(request)
        try:
            match act:
                case "ask":
                    return ["", model]
                case "pull":
                    return [self._pull(model, language), asked]
                case "cancel":
                    self._engines.pulls.cancel(model)
                case "put-away":
                    self._engines.pulls.put_away(model)
                case "unload":
                    await self._engines.chooser.ollama.installed.unload(model)
                case "delete" if model == asked:
                    return [await self._delete(model, language), ""]
        except AppError as error:
            return [notices_html(error_notice(language, error)), ""]
        except Exception:
            _log.exception("Something asked of Ollama failed")
            return [notices_html(error_notice(language, AppError("unexpected"))), ""]
        return ["", ""]

    async def _delete(self, model: str, language: str) -> str:
        installed = self._engines.chooser.ollama.installed
        with contextlib.suppress(AppError):
            # Only what is there: a model of the cloud would be woken by it.
            if full_name(model) in {full_name(loaded.name) for loaded in await installed.loaded()}:
                await installed.unload(model)
        await installed.delete(model)
        self._engines.look_anew()
        return notices_html(Notice(translate(language, "models.deleted", model=model), "done"))

    def _pull(self, name: str, language: str) -> str:
        """Start a download. Returns what went wrong at once."""
        try:
            self._engines.pulls.start(name)
        except AppError as error:
            return notices_html(error_notice(language, error))
        return ""

    def _drawn(self, seen: Seen | None, asked: str, request: gr.Request) -> list[Any]:
        language, shelf, pulls = language_of(request), self._look.shelf, self._engines.pulls.list()
        now = Seen(language, shelf, pulls, asked)
        if now == seen:
            return [gr.skip()] * 4
        return [now, installed_view(language, shelf, asked), pulls_view(language, pulls),
                suggestions_view(language, shelf, pulls)]
