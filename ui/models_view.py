"""Ollama's models as HTML: those installed, those on their way, those worth having. Escapes every text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from core.engines.base import ModelInfo
from core.engines.ollama_models import LoadedModel
from core.engines.ollama_names import full_name
from core.engines.ollama_pull import PullProgress
from core.engines.pulls import Pull
from core.engines.suggestions import Suggestion
from ui.feedback import size_text
from ui.i18n import translate
from ui.model_rows import (
    EJECT,
    badge,
    button,
    coming,
    delete_question,
    ended,
    facts,
    html_text,
    listed,
    progress_text,
    row,
)


@dataclass(frozen=True)
class Shelf:
    """What an Ollama server at `host` has. `here` tells whether it runs on this machine, so that the suggestions'
    fit is known. `models` is None while nothing answers there."""

    host: str
    here: bool
    models: tuple[ModelInfo, ...] | None = None
    loaded: tuple[LoadedModel, ...] = ()
    suggestions: tuple[Suggestion, ...] = ()


def installed_view(language: str, shelf: Shelf | None, asked: str) -> str:
    """The installed models. `asked` is the one whose deletion waits for a yes."""
    if shelf is None:
        return f'<p class="hint" role="status">{html_text(language, "models.looking")}</p>'
    if shelf.models is None:
        return f'<div class="empty">{html_text(language, "models.no_ollama", host=shelf.host)}</div>'
    if not shelf.models:
        return f'<div class="empty">{html_text(language, "models.none")}</div>'
    loaded = {full_name(model.name): model for model in shelf.loaded}
    rows = "".join(_model(language, model, loaded.get(full_name(model.name)), model.name == asked)
                   for model in shelf.models)
    return listed(language, rows, "models.title")


def _model(language: str, model: ModelInfo, loaded: LoadedModel | None, asked: bool) -> str:
    badges = ""
    if loaded is not None and loaded.loading:
        badges += badge(language, "models.loading", "embedding", "models.loading_hint")
    elif loaded is not None:
        badges += badge(language, "models.loaded", "indexed", "models.loaded_hint",
                        size=size_text(language, loaded.size_bytes),
                        percent=round(100 * loaded.gpu_bytes / loaded.size_bytes) if loaded.size_bytes else 0)
    if model.remote:
        badges += badge(language, "models.remote", "cancelled", "models.remote_hint")
    acts = button(language, "unload", model.name, EJECT, "models.unload") if loaded is not None else ""
    acts += button(language, "ask", model.name, "×", "models.delete")
    size = size_text(language, model.size_bytes) if model.size_bytes and not model.remote else ""
    question = delete_question(language, model.name, translate(
        language, "models.delete_ask", model=model.name, size=size_text(language, model.size_bytes))) if asked else ""
    return row(model.name, badges, acts, facts(language, model, model.parameters, model.quantization, size), question)


def pulls_view(language: str, pulls: Sequence[Pull]) -> str:
    """The downloads that run, and those that ended until they are put away."""
    return "".join(_pull(language, pull) for pull in pulls)


def _pull(language: str, pull: Pull) -> str:
    if pull.state != "running":
        return ended(language, pull.model, pull.state, pull.error, "pull")
    progress = pull.progress
    total = progress.total_bytes if progress.stage == "downloading" else 0
    return coming(language, pull.model, progress.completed_bytes, total, pull_text(language, progress))


def pull_text(language: str, progress: PullProgress) -> str:
    """How far a download is: bytes, speed and the time left, as far as they are known."""
    if progress.stage != "downloading":
        return translate(language, f"models.stage_{progress.stage}")
    stalled = translate(language, "models.stalled") if progress.stalled else ""
    return progress_text(language, progress.completed_bytes, progress.total_bytes, progress.bytes_per_second,
                         progress.seconds_left, stalled)


def suggestions_view(language: str, shelf: Shelf | None, pulls: Sequence[Pull]) -> str:
    """Models worth having, one click each, save those on their way already."""
    if shelf is None or shelf.models is None:
        return ""
    coming = {full_name(pull.model) for pull in pulls if pull.state != "done"}
    chips = "".join(_chip(language, suggestion, shelf.here) for suggestion in shelf.suggestions
                    if full_name(suggestion.model) not in coming)
    if not chips:
        return ""
    key = "models.suggested" if shelf.here else "models.suggested_elsewhere"
    return f'<div class="chips" role="group"><span class="hint">{html_text(language, key)}</span>{chips}</div>'


def _chip(language: str, suggestion: Suggestion, here: bool) -> str:
    size = "≈ " + size_text(language, suggestion.size_bytes)
    fit = translate(language, f"models.fit_{suggestion.fit}") if here else ""
    facts = " · ".join(part for part in (size, fit) if part)
    label = html_text(language, "models.pull_model", model=suggestion.model)
    return (f'<button type="button" class="chip {suggestion.fit}" data-act="pull" title="{label}" '
            f'data-model="{escape(suggestion.model, quote=True)}"><strong>{escape(suggestion.model)}</strong> '
            f"{escape(facts)}</button>")
