"""The engines beside Ollama as HTML: models of this machine, their download, one's own server. Escapes all text."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from core.engines.base import ModelInfo
from core.engines.config import EnginesConfig
from core.engines.download import Download
from core.engines.embedded import EmbeddedState
from core.engines.embedded_models import DEFAULT_BYTES, DEFAULT_MODEL
from ui.feedback import size_text, time_left_text
from ui.i18n import explain, translate


@dataclass(frozen=True)
class EmbeddedShelf:
    """What the embedded engine has now."""

    models: tuple[ModelInfo, ...]
    state: EmbeddedState
    download: Download | None


def embedded_view(language: str, shelf: EmbeddedShelf) -> str:
    """The models of this machine, the download, and the offer of one where there is none."""
    rows = "".join(_model(language, model, shelf.state) for model in shelf.models)
    listed = f'<ul class="models" aria-label="{_text(language, "engines.embedded_list")}">{rows}</ul>' if rows else ""
    return listed + _offer(language, shelf) + (download_view(language, shelf.download) if shelf.download else "")


def _model(language: str, model: ModelInfo, state: EmbeddedState) -> str:
    badges = _badge(language, "tuned", "finished") if _is_run(model) else ""
    acts = ""
    if state.model == model.name:
        if state.state == "loading":
            badges += _badge(language, "loading", "stopped")
        elif state.state == "ready":
            badges += _badge(language, "in_memory", "indexed", size=size_text(language, state.memory_bytes))
        acts = _button(language, "unload", model.name, "⏏", "engines.unload")
    return (f'<li class="model"><div class="line"><strong>{escape(model.name)}</strong>{badges}'
            f'<span class="acts">{acts}</span></div><p class="hint">{escape(_facts(language, model))}</p></li>')


def _is_run(model: ModelInfo) -> bool:
    """A training run's name is no path and no hub id."""
    return "/" not in model.name and "\\" not in model.name


def _facts(language: str, model: ModelInfo) -> str:
    facts = [model.family, size_text(language, model.size_bytes)]
    if model.context_tokens:
        tokens = f"{model.context_tokens:,}"
        grouped = tokens.replace(",", ".") if language == "es" else tokens
        facts.append(translate(language, "models.context", tokens=grouped))
    if model.think_levels:
        facts.append(translate(language, "models.thinks"))
    return " · ".join(fact for fact in facts if fact)


def _offer(language: str, shelf: EmbeddedShelf) -> str:
    """The default model, one click away, unless it is here or on its way."""
    on_its_way = shelf.download is not None and shelf.download.model == DEFAULT_MODEL
    if on_its_way or any(model.name == DEFAULT_MODEL for model in shelf.models):
        return ""
    size = size_text(language, DEFAULT_BYTES)
    return (f'<div class="offer"><p>{_text(language, "engines.offer", model=DEFAULT_MODEL, size=size)}</p>'
            f'<button type="button" data-act="download" data-model="{DEFAULT_MODEL}">'
            f'{_text(language, "engines.download_default", size=size)}</button></div>')


def download_view(language: str, download: Download) -> str:
    """A download that runs, or one that ended until it is put away."""
    name = f"<strong>{escape(download.model)}</strong>"
    if download.state == "running":
        cancel = _button(language, "cancel", download.model, _text(language, "models.cancel"), "models.cancel_model")
        return (f'<div class="pull"><div class="line">{name}{cancel}</div>{_bar(download)}'
                f'<p class="hint">{escape(progress_text(language, download))}</p></div>')
    buttons = _button(language, "put-away", download.model, "×", "models.put_away")
    if download.state != "done":
        again = _button(language, "download", download.model, _text(language, "models.again"), "models.again_model")
        buttons = again + buttons
    text = explain(language, download.error) if download.error else translate(
        language, f"engines.state_{download.state}")
    kind, role = {"failed": ("error", "alert"), "done": ("done", "status")}.get(download.state, ("info", "status"))
    return (f'<div class="pull notice {kind}" role="{role}"><div class="line">{name}{buttons}</div>'
            f"<p>{escape(text)}</p></div>")


def _bar(download: Download) -> str:
    label = f'aria-label="{escape(download.model, quote=True)}"'
    if not download.total_bytes:
        return f"<progress {label}></progress>"
    return f'<progress {label} max="{download.total_bytes}" value="{download.done_bytes}"></progress>'


def progress_text(language: str, download: Download) -> str:
    """How far a download is: bytes, speed and the time left, as far as they are known."""
    if not download.total_bytes:
        return translate(language, "engines.download_looking")
    parts = [translate(language, "models.progress", done=size_text(language, download.done_bytes),
                       total=size_text(language, download.total_bytes))]
    if download.speed >= 1:
        parts.append(f"{size_text(language, download.speed)}/s")
    if download.seconds_left is not None:
        parts.append(time_left_text(language, download.seconds_left))
    return " · ".join(parts)


def server_view(language: str, config: EnginesConfig) -> str:
    """The server that is saved. Of the key it tells only that there is one."""
    if not config.openai_url:
        return f'<p class="hint">{_text(language, "engines.server_none")}</p>'
    key = "engines.server_with_key" if config.openai_key else "engines.server_no_key"
    return (f'<p class="facts">{_text(language, "engines.server_now", url=config.openai_url)} · '
            f"{_text(language, key)}</p>")


def _badge(language: str, name: str, look: str, **values: object) -> str:
    hint = _text(language, f"engines.{name}_hint", **values)
    return f' <span class="badge {look}" title="{hint}">{_text(language, f"engines.{name}")}</span>'


def _button(language: str, act: str, model: str, sign: str, key: str) -> str:
    label = _text(language, key, model=model)
    return (f'<button type="button" data-act="{act}" data-model="{escape(model, quote=True)}" aria-label="{label}" '
            f'title="{label}">{sign}</button>')


def _text(language: str, key: str, **values: object) -> str:
    return escape(translate(language, key, **values), quote=True)
