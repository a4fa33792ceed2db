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
from ui.feedback import size_text, time_left_text
from ui.i18n import explain, translate

# A picture: the character for it is a coloured emoji on some systems and missing on others.
_EJECT = ('<svg viewBox="0 0 24 24" width="14" height="14" fill="currentColor" aria-hidden="true">'
          '<path d="M12 4 21 15H3zM3 18h18v3H3z"/></svg>')


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
        return f'<p class="hint" role="status">{_text(language, "models.looking")}</p>'
    if shelf.models is None:
        return f'<div class="empty">{_text(language, "models.no_ollama", host=shelf.host)}</div>'
    if not shelf.models:
        return f'<div class="empty">{_text(language, "models.none")}</div>'
    loaded = {full_name(model.name): model for model in shelf.loaded}
    rows = "".join(_model(language, model, loaded.get(full_name(model.name)), model.name == asked)
                   for model in shelf.models)
    return f'<ul class="models" aria-label="{_text(language, "models.title")}">{rows}</ul>'


def _model(language: str, model: ModelInfo, loaded: LoadedModel | None, asked: bool) -> str:
    badges = ""
    if loaded is not None and loaded.loading:
        badges += _badge(language, "loading", "embedding")
    elif loaded is not None:
        badges += _badge(language, "loaded", "indexed", size=size_text(language, loaded.size_bytes),
                         percent=round(100 * loaded.gpu_bytes / loaded.size_bytes) if loaded.size_bytes else 0)
    if model.remote:
        badges += _badge(language, "remote", "cancelled")
    acts = _button(language, "unload", model.name, _EJECT, "models.unload") if loaded is not None else ""
    acts += _button(language, "ask", model.name, "×", "models.delete")
    question = _question(language, model) if asked else ""
    return (f'<li class="model"><div class="line"><strong>{escape(model.name)}</strong>{badges}'
            f'<span class="acts">{acts}</span></div><p class="hint">{escape(_facts(language, model))}</p>'
            f"{question}</li>")


def _facts(language: str, model: ModelInfo) -> str:
    facts = [model.parameters, model.quantization]
    if model.size_bytes and not model.remote:
        facts.append(size_text(language, model.size_bytes))
    if model.context_tokens:
        facts.append(translate(language, "models.context", tokens=_grouped(language, model.context_tokens)))
    if model.think_levels:
        facts.append(translate(language, "models.thinks"))
    return " · ".join(fact for fact in facts if fact)


def _question(language: str, model: ModelInfo) -> str:
    """Whether a model is to be deleted."""
    text = _text(language, "models.delete_ask", model=model.name, size=size_text(language, model.size_bytes))
    name = escape(model.name, quote=True)
    return (f'<div class="decision" role="alert"><p class="decision-text">{text}</p>'
            f'<button type="button" class="danger" data-act="delete" data-model="{name}">'
            f'{_text(language, "models.delete_yes")}</button> '
            f'<button type="button" data-act="keep" data-model="{name}">{_text(language, "models.delete_no")}</button>'
            "</div>")


def pulls_view(language: str, pulls: Sequence[Pull]) -> str:
    """The downloads that run, and those that ended until they are put away."""
    return "".join(_pull(language, pull) for pull in pulls)


def _pull(language: str, pull: Pull) -> str:
    name = f"<strong>{escape(pull.model)}</strong>"
    if pull.state == "running":
        cancel = _button(language, "cancel", pull.model, _text(language, "models.cancel"), "models.cancel_model")
        return (f'<div class="pull"><div class="line">{name}{cancel}</div>{_bar(language, pull)}'
                f'<p class="hint">{escape(pull_text(language, pull.progress))}</p></div>')
    buttons = _button(language, "put-away", pull.model, "×", "models.put_away")
    if pull.state != "done":
        buttons = _button(language, "pull", pull.model, _text(language, "models.again"),
                          "models.again_model") + buttons
    text = explain(language, pull.error) if pull.error else translate(language, f"models.state_{pull.state}")
    kind, role = {"failed": ("error", "alert"), "done": ("done", "status")}.get(pull.state, ("info", "status"))
    return (f'<div class="pull notice {kind}" role="{role}"><div class="line">{name}{buttons}</div>'
            f"<p>{escape(text)}</p></div>")


def _bar(language: str, pull: Pull) -> str:
    progress = pull.progress
    label = f'aria-label="{escape(pull.model, quote=True)}"'
    if progress.stage != "downloading" or not progress.total_bytes:
        return f"<progress {label}></progress>"
    return f'<progress {label} max="{progress.total_bytes}" value="{progress.completed_bytes}"></progress>'


def pull_text(language: str, progress: PullProgress) -> str:
    """How far a download is: bytes, speed and the time left, as far as they are known."""
    if progress.stage != "downloading":
        return translate(language, f"models.stage_{progress.stage}")
    parts = [translate(language, "models.progress", done=size_text(language, progress.completed_bytes),
                       total=size_text(language, progress.total_bytes))]
    if progress.stalled:
        return " · ".join([*parts, translate(language, "models.stalled")])
    if progress.bytes_per_second >= 1:
        parts.append(f"{size_text(language, progress.bytes_per_second)}/s")
    if progress.seconds_left is not None:
        parts.append(time_left_text(language, progress.seconds_left))
    return " · ".join(parts)


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
    return f'<div class="chips" role="group"><span class="hint">{_text(language, key)}</span>{chips}</div>'


def _chip(language: str, suggestion: Suggestion, here: bool) -> str:
    size = size_text(language, suggestion.size_bytes)
    fit = translate(language, f"models.fit_{suggestion.fit}") if here else ""
    facts = " · ".join(part for part in (size, fit) if part)
    label = _text(language, "models.pull_model", model=suggestion.model)
    return (f'<button type="button" class="chip {suggestion.fit}" data-act="pull" title="{label}" '
            f'data-model="{escape(suggestion.model, quote=True)}"><strong>{escape(suggestion.model)}</strong> '
            f"{escape(facts)}</button>")


def _badge(language: str, name: str, look: str, **values: object) -> str:
    hint = _text(language, f"models.{name}_hint", **values)
    return f' <span class="badge {look}" title="{hint}">{_text(language, f"models.{name}")}</span>'


def _button(language: str, act: str, model: str, sign: str, key: str) -> str:
    label = _text(language, key, model=model)
    return (f'<button type="button" data-act="{act}" data-model="{escape(model, quote=True)}" aria-label="{label}" '
            f'title="{label}">{sign}</button>')


def _grouped(language: str, number: int) -> str:
    text = f"{number:,}"
    return text.replace(",", ".") if language == "es" else text


def _text(language: str, key: str, **values: object) -> str:
    return escape(translate(language, key, **values), quote=True)
