"""The panel of the engines beside Ollama: a model on this machine, a server of one's own. Layout, then events."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gradio as gr

from core.engines import config, embedded_models, hub_cache
from core.engines.base import ModelInfo
from core.engines.config import EnginesConfig
from core.engines.openai_compatible import OpenAICompatibleEngine
from core.errors import AppError
from ui.documents_script import BUTTONS
from ui.engines_view import EmbeddedShelf, embedded_view, server_view
from ui.every_second import EverySecond
from ui.feedback import EACH, QUIET, Notice, both, error_notice, html_block, label, language_of, notices_html
from ui.i18n import plural, translate
from ui.workshop import Workshop

_MAX_PATH_CHARS = 1000
_MAX_KEY_CHARS = 4000
_log = logging.getLogger(__name__)


def build(workshop: Workshop, every_second: EverySecond) -> None:
    """Lay out the panel and wire it."""
    events = EngineEvents(workshop)
    seen, asked = gr.State(None), gr.State("")
    with gr.Column(elem_classes="models-panel", elem_id="engines-panel"):
        with gr.Accordion(label("engines.embedded_title"), open=False, elem_id="embedded-models"):
            html_block(f'<p class="hint">{both("engines.embedded_intro")}</p>')
            notices = html_block(elem_id="embedded-notices")
            shelf = html_block(elem_id="embedded-shelf", js_on_load=BUTTONS)
            with gr.Row(elem_classes="toolbar place-form"):
                place = gr.Textbox(label=label("engines.place_label"), placeholder=label("engines.place_placeholder"),
                                   show_label=False, container=False, max_length=_MAX_PATH_CHARS, max_lines=1, scale=1,
                                   min_width=140, elem_id="embedded-place")
                use = gr.Button(label("engines.place_use"), size="sm", scale=0, min_width=110, elem_id="embedded-use")
        with gr.Accordion(label("engines.server_title"), open=False, elem_id="other-server"):
            html_block(f'<p class="hint">{both("engines.server_intro")}</p>')
            server = html_block(elem_id="server-saved")
            url = gr.Textbox(label=label("engines.server_url"), placeholder="http://192.168.1.20:8000/v1", max_lines=1,
                             max_length=_MAX_PATH_CHARS, elem_id="server-url")
            key = gr.Textbox(label=label("engines.server_key"), info=label("engines.server_key_hint"), type="password",
                             max_lines=1, max_length=_MAX_KEY_CHARS, elem_id="server-key")
            first = gr.Checkbox(label=label("engines.server_first"), elem_id="server-first")
            server_notices = html_block(elem_id="server-notices")
            with gr.Row(elem_classes="toolbar"):
                save = gr.Button(label("engines.server_save"), size="sm", variant="primary", scale=0, min_width=150,
                                 elem_id="server-save")
                forget = gr.Button(label("engines.server_forget"), size="sm", scale=0, min_width=150, visible=False,
                                   elem_id="server-forget")

    shown = [seen, shelf, server, forget]
    every_second.add(events.refresh, [seen, asked], [*shown, url, first], waits=True)
    for changed in (
        shelf.click(events.act, [asked], [notices, asked], **EACH),
        use.click(events.add, [place], [notices, place], **QUIET),
        place.submit(events.add, [place], [notices, place], **QUIET),
        save.click(events.save, [url, key, first], [server_notices, url, key], **QUIET),
        forget.click(events.forget, None, [server_notices, url, key, first], **QUIET),
    ):
        changed.then(events.redraw, [asked], shown, **QUIET)


@dataclass(frozen=True)
class Seen:
    """What a page shows: nothing is drawn anew while it stays the same."""

    language: str
    shelf: EmbeddedShelf
    config: EnginesConfig


class EngineEvents:
    """What happens in the panel, in the request's language. `asked` is the model whose deletion waits for a yes."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop, self._engines = workshop, workshop.engines
        self._settings = workshop.settings

    async def refresh(self, seen: Seen | None, asked: str, request: gr.Request) -> list[Any]:
        """The panel as it is now, when it changed since `seen`; the fields as they are saved, the first time."""
        now = await self._now(language_of(request), asked)
        fields = [gr.skip(), gr.skip()] if seen else [now.config.openai_url, now.config.openai_first]
        return [gr.skip()] * 6 if now == seen else [*self._drawn(now), *fields]

    async def redraw(self, asked: str, request: gr.Request) -> list[Any]:
        """The panel as it is now."""
        return self._drawn(await self._now(language_of(request), asked))

    def act(self, asked: str, event: gr.EventData, request: gr.Request) -> list[str]:
        """What a button says by its data. Returns notices, and the model asked about."""
        data = event._data or {}
        act, model, language = str(data.get("act", "")), str(data.get("model", "")), language_of(request)
        try:
            match act:
                case "ask":
                    return ["", model]
                case "delete" if model == asked:
                    return [self._delete(model, language), ""]
                case "download":
                    self._engines.downloads.start(model)
                case "cancel":
                    self._engines.downloads.cancel()
                case "put-away":
                    self._engines.downloads.put_away()
                case "unload":
                    self._engines.chooser.embedded.stop()
        except AppError as error:
            return [notices_html(error_notice(language, error)), ""]
        return ["", ""]

    def _delete(self, model: str, language: str) -> str:
        """A downloaded model, or the part of one. Everything else has no such button, and is refused."""
        training = self._workshop.runs.active()
        if training is not None and training.config.model == model:
            raise AppError("model_in_training", model=model)
        download = self._engines.downloads.current
        if download is not None and download.model == model:
            self._engines.downloads.cancel()
            self._engines.downloads.put_away()
        self._engines.chooser.embedded.delete(model)
        self._engines.look_anew()
        return notices_html(Notice(translate(language, "models.deleted", model=model), "done"))

    def add(self, place: str | None, request: gr.Request) -> list[Any]:
        """Use a folder, once it is seen to hold a whole model, or download what is no folder."""
        language, written = language_of(request), (place or "").strip().strip("\"'")
        if not written:
            return [notices_html(Notice(translate(language, "engines.place_empty"))), gr.skip()]
        try:
            folder = Path(written).expanduser()
            if not folder.is_dir() and not folder.is_absolute():
                self._engines.downloads.start(written)
                return ["", ""]
            model = embedded_models.from_folder(folder)
            self._save(replace(self._config(), embedded_model=model.name))
        except AppError as error:
            return [notices_html(error_notice(language, error)), gr.skip()]
        return [notices_html(Notice(translate(language, "engines.place_saved", model=model.name), "done")), ""]

    async def save(self, url: str | None, key: str | None, first: bool, request: gr.Request) -> list[Any]:
        """Keep a server once it answers. The key's field is emptied: what is saved is not shown again."""
        language = language_of(request)
        saved = self._config()
        written = (url or "").strip() or saved.openai_url
        if not written:
            return [notices_html(Notice(translate(language, "engines.server_url_missing"))), gr.skip(), gr.skip()]
        try:
            server = OpenAICompatibleEngine(written, "", self._settings)
            wanted = (key or "").strip() or (saved.openai_key if _same_host(server.url, saved.openai_url) else "")
            models = await OpenAICompatibleEngine(server.url, wanted, self._settings).models()
            await asyncio.to_thread(self._save, replace(
                saved, openai_url=server.url, openai_key=wanted, openai_first=bool(first)))
        except AppError as error:
            return [notices_html(error_notice(language, error)), gr.skip(), gr.skip()]
        except Exception:
            _log.exception("A server could not be saved")
            return [notices_html(error_notice(language, AppError("unexpected"))), gr.skip(), gr.skip()]
        said = (Notice(plural(language, "engines.server_saved", len(models)), "done") if models
                else Notice(translate(language, "engines.server_saved_none")))
        return [notices_html(said), server.url, ""]

    def forget(self, request: gr.Request) -> list[Any]:
        """Forget the server and its key."""
        language = language_of(request)
        try:
            self._save(replace(self._config(), openai_url="", openai_key="", openai_first=False))
        except AppError as error:
            return [notices_html(error_notice(language, error)), gr.skip(), gr.skip(), gr.skip()]
        return [notices_html(Notice(translate(language, "engines.server_forgotten"), "done")), "", "", False]

    async def _now(self, language: str, asked: str) -> Seen:
        choice = self._engines.choice
        models = tuple(model for model in choice.models if model.engine == "embedded") if choice else ()
        shelf = await asyncio.to_thread(self._shelf, models, asked)
        saved = await asyncio.to_thread(self._config)
        # A session keeps what it has seen; a key has no place there.
        saved = replace(saved, openai_key="•" if saved.openai_key else "")
        return Seen(language, shelf, saved)

    def _shelf(self, models: tuple[ModelInfo, ...], asked: str) -> EmbeddedShelf:
        """Looks at the disk."""
        embedded = self._engines.chooser.embedded
        state = embedded.state
        rounded = replace(state, memory_bytes=round(state.memory_bytes, -8))  # memory moves a little all the time
        return EmbeddedShelf(models, rounded, self._engines.downloads.current, hub_cache.partial_bytes(),
                             embedded.removal(asked) if asked else None)

    def _drawn(self, now: Seen) -> list[Any]:
        return [now, embedded_view(now.language, now.shelf), server_view(now.language, now.config),
                gr.update(visible=bool(now.config.openai_url))]

    def _config(self) -> EnginesConfig:
        return config.load(self._settings.data_dir)

    def _save(self, changed: EnginesConfig) -> None:
        try:
            config.save(self._settings.data_dir, changed)
        except OSError as error:
            raise AppError("engines_not_saved", folder=str(self._settings.data_dir)) from error
        self._engines.look_anew()


def _same_host(url: str, saved: str) -> bool:
    """Whether a saved key may go to this address: only to the server it was given for."""
    one, other = urlsplit(url), urlsplit(saved)
    return bool(saved) and (one.scheme, one.netloc) == (other.scheme, other.netloc)
