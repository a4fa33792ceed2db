"""What a conversation is answered with: the model in the bar, the rest in a drawer. Kept with the conversation."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from core.engines.base import EngineStatus, ModelInfo
from core.engines.choice import Choice
from ui.chat_session import Session
from ui.chat_view import engine_pill
from ui.feedback import Notice, both, html_block, label, language_of, notices_html, size_text
from ui.i18n import translate
from ui.workshop import Workshop

_MOST_PASSAGES = 10
_MOST_SYSTEM_CHARS = 4000
_ENGINE_ORDER = ("ollama", "embedded", "openai")


@dataclass(frozen=True)
class SettingsParts:
    """The drawer's fields, and the model in the bar."""

    model: gr.Dropdown
    think: gr.Dropdown
    sources: gr.Dropdown
    strict: gr.Radio
    top_k: gr.Slider
    temperature: gr.Number
    system: gr.Textbox

    def all(self) -> list[Any]:
        return list(vars(self).values())


def model_picker() -> gr.Dropdown:
    return gr.Dropdown(label=label("chat.model"), show_label=False, choices=[("…", "")], value="", container=False,
                       scale=2, min_width=150, elem_id="model")


def build_drawer(model: gr.Dropdown) -> SettingsParts:
    """The drawer's fields, from the one most used to the one least."""
    with gr.Column(elem_id="chat-settings", elem_classes="drawer"):
        html_block(drawer_head("chat.settings"))
        strict = gr.Radio([(label("chat.mode_strict"), "strict"), (label("chat.mode_free"), "free")], value="strict",
                          label=label("chat.mode"), info=label("chat.mode_info"), elem_id="chat-mode")
        sources = gr.Dropdown([], multiselect=True, value=[], label=label("chat.limit_to"),
                              info=label("chat.limit_to_info"), elem_id="chat-sources")
        think = gr.Dropdown([("", "")], value="", visible=False, label=label("chat.think"), elem_id="chat-think")
        top_k = gr.Slider(1, _MOST_PASSAGES, 3, step=1, label=label("chat.top_k"), info=label("chat.top_k_info"),
                          elem_id="chat-top-k")
        temperature = gr.Number(None, minimum=0, maximum=2, step=0.1, label=label("chat.temperature"),
                                info=label("chat.temperature_info"), elem_id="chat-temperature")
        system = gr.Textbox(lines=3, max_lines=10, max_length=_MOST_SYSTEM_CHARS, label=label("chat.system"),
                            info=label("chat.system_info"), elem_id="chat-system")
    return SettingsParts(model, think, sources, strict, top_k, temperature, system)


def drawer_head(key: str) -> str:
    return (f'<div class="drawer-head"><h2>{both(key)}</h2><button type="button" class="drawer-close">'
            f'<span aria-hidden="true">×</span><span class="unseen">{both("chat.close")}</span></button></div>')


class ChatSettings:
    """What the fields do."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def choose(self, picked: str | None, think: str | None, sources: list[str] | None, strict: str, top_k: float,
               temperature: float | None, system: str, session: Session) -> Any:
        """Answer this conversation with what the fields say."""
        known = {level for level, _ in self._levels(picked or "")}
        session.choose(
            self._workshop.conversations, picked=picked or "", think=think if think in known else "",
            sources=tuple(sources or ()), strict=strict != "free", top_k=int(min(max(top_k, 1), _MOST_PASSAGES)),
            temperature=None if temperature is None else min(max(float(temperature), 0.0), 2.0),
            system_prompt=(system or "")[:_MOST_SYSTEM_CHARS])

    async def fields(self, session: Session, request: gr.Request) -> list[Any]:
        """All fields as the conversation has them."""
        options, language = session.options, language_of(request)
        return [self._models(language, options.picked), self._think(language, session),
                await self.documents(session), "strict" if options.strict else "free", options.top_k,
                options.temperature, options.system_prompt]

    async def documents(self, session: Session) -> Any:
        """The documents to choose from, and those chosen that are still there."""
        documents = await asyncio.to_thread(self._workshop.collection.store.documents)
        names = sorted(document.source for document in documents)
        return gr.update(choices=names, value=[name for name in session.options.sources if name in names])

    async def refresh(self, seen: str, session: Session, request: gr.Request) -> list[Any]:
        """The engine's line in the header and the models to choose from, when they changed; `seen` is what was shown
        last."""
        engines = self._workshop.engines
        await engines.look()
        choice, language, picked = engines.choice, language_of(request), session.options.picked
        if choice is None:
            return [seen, engine_pill(language, None, True), *[gr.skip()] * 4]
        warming_up = not self._workshop.warm
        status = _status_of(picked) if picked else choice.status
        now = repr((picked, choice.models, choice.status, warming_up))
        if now == seen:
            return [gr.skip()] * 6
        note = notices_html(Notice(translate(language, status.note, **status.note_values))) if status.note else ""
        return [now, engine_pill(language, status, warming_up), self._models(language, picked),
                self._think(language, session), note, note + _models_button(language) if note else ""]

    def _models(self, language: str, picked: str) -> Any:
        """Every model that can be picked, an engine's together; one that was picked stays, also when it is gone."""
        choice = self._workshop.engines.choice
        if choice is None:
            return gr.skip()
        choices = [(_automatic(language, choice), "")]
        models = sorted(choice.models, key=lambda one: _ENGINE_ORDER.index(one.engine)
                        if one.engine in _ENGINE_ORDER else len(_ENGINE_ORDER))
        choices += [(_named(language, model), f"{model.engine}|{model.name}") for model in models]
        choices.append((translate(language, "chat.no_model"), "passages|"))
        if picked and picked not in [value for _, value in choices]:
            choices.append((translate(language, "chat.model_gone", model=picked.partition("|")[2]), picked))
        return gr.update(choices=choices, value=picked)

    def _think(self, language: str, session: Session) -> Any:
        levels = [(words, level) for level, words in self._levels(session.options.picked, language)]
        value = session.options.think if session.options.think in [level for _, level in levels] else ""
        return gr.update(choices=levels, value=value, visible=len(levels) > 1)

    def _levels(self, picked: str, language: str = "en") -> list[tuple[str, str]]:
        """How the picked model may think, its own way first: what it is called, and its words."""
        choice = self._workshop.engines.choice
        if choice is None:
            return [("", "")]
        engine, _, name = picked.partition("|") if picked else (choice.status.engine, "", choice.status.model)
        model = next((one for one in choice.models if (one.engine, one.name) == (engine, name)), None)
        levels = model.think_levels if model is not None else ()
        words = [("", translate(language, "chat.think_default"))]
        return words + [(level, translate(language, f"chat.think_{level}")) for level in levels]


def _models_button(language: str) -> str:
    """The way from a note about the engine to where a model is had."""
    return (f'<button type="button" class="notice-button" data-drawer="models" data-unfold="embedded-models">'
            f'{escape(translate(language, "chat.get_model"))}</button>')


def _automatic(language: str, choice: Choice) -> str:
    model = choice.status.model or translate(language, f"engine.name_{choice.status.engine}")
    return translate(language, "chat.automatic", model=model)


def _named(language: str, model: ModelInfo) -> str:
    parts = [translate(language, f"engine.name_{model.engine}"), model.name]
    if model.size_bytes:
        parts.append(size_text(language, model.size_bytes))
    elif model.parameters:
        parts.append(model.parameters)
    return " · ".join(parts)


def _status_of(picked: str) -> EngineStatus:
    """What the header says of an engine the reader picked."""
    engine, _, model = picked.partition("|")
    return EngineStatus(engine, model, "ready")
