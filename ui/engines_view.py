"""The engines beside Ollama as HTML: models of this machine, their download, one's own server. Escapes all text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.engines.base import ModelInfo
from core.engines.config import EnginesConfig
from core.engines.download import Download
from core.engines.embedded import EmbeddedState, Removal
from core.engines.embedded_models import DEFAULT_BYTES, DEFAULT_MODEL
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
class EmbeddedShelf:
    """What the embedded engine has now. `partial` are downloads that stopped half-way, with the bytes that came;
    `removal` is what a deletion would mean that waits for a yes."""

    models: tuple[ModelInfo, ...]
    state: EmbeddedState
    download: Download | None
    partial: Mapping[str, int] = field(default_factory=dict)
    removal: Removal | None = None


def embedded_view(language: str, shelf: EmbeddedShelf) -> str:
    """The models of this machine, the download, and the offer of one where there is none."""
    whole = {model.name for model in shelf.models}
    coming_now = shelf.download.model if shelf.download and shelf.download.state == "running" else ""
    rows = "".join(_model(language, model, shelf) for model in shelf.models)
    rows += "".join(_partial(language, name, size, shelf.removal) for name, size in shelf.partial.items()
                    if name not in whole and name != coming_now)
    return (listed(language, rows, "engines.embedded_list") + _offer(language, shelf)
            + (download_view(language, shelf.download) if shelf.download else ""))


def _model(language: str, model: ModelInfo, shelf: EmbeddedShelf) -> str:
    state, acts = shelf.state, ""
    badges = badge(language, "engines.tuned", "finished", "engines.tuned_hint") if _is_run(model) else ""
    if state.model == model.name:
        if state.state == "loading":
            badges += badge(language, "models.loading", "stopped", "engines.loading_hint")
        elif state.state == "ready":
            badges += badge(language, "models.loaded", "indexed", "engines.loaded_hint",
                            size=size_text(language, state.memory_bytes))
        acts = button(language, "unload", model.name, EJECT, "models.unload")
    if model.downloaded:
        acts += button(language, "ask", model.name, "×", "models.delete")
    known = facts(language, model, model.family, size_text(language, model.size_bytes))
    return row(model.name, badges, acts, known, _question(language, model.name, shelf.removal))


def _partial(language: str, name: str, size_bytes: int, removal: Removal | None) -> str:
    """A download that stopped half-way."""
    acts = (button(language, "download", name, "↓", "models.again_model")
            + button(language, "ask", name, "×", "models.delete"))
    badges = badge(language, "engines.partial", "stopped", "engines.partial_hint")
    return row(name, badges, acts, size_text(language, size_bytes), _question(language, name, removal))


def _question(language: str, name: str, removal: Removal | None) -> str:
    if removal is None or removal.name != name:
        return ""
    sentences = [translate(language, "models.delete_ask", model=name, size=size_text(language, removal.size_bytes)),
                 translate(language, "engines.delete_shared")]
    if removal.needed_by:
        sentences.append(translate(language, "engines.delete_needed", runs=", ".join(removal.needed_by)))
    return delete_question(language, name, *sentences)


def _is_run(model: ModelInfo) -> bool:
    """A training run's name is no path and no hub id."""
    return not model.downloaded and "/" not in model.name and "\\" not in model.name


def _offer(language: str, shelf: EmbeddedShelf) -> str:
    """The default model, one click away, unless it is here or on its way."""
    on_its_way = shelf.download is not None and shelf.download.model == DEFAULT_MODEL
    if on_its_way or any(model.name == DEFAULT_MODEL for model in shelf.models):
        return ""
    size = size_text(language, DEFAULT_BYTES)
    return (f'<div class="offer"><p>{html_text(language, "engines.offer", model=DEFAULT_MODEL, size=size)}</p>'
            f'<button type="button" data-act="download" data-model="{DEFAULT_MODEL}">'
            f'{html_text(language, "engines.download_default", size=size)}</button></div>')


def download_view(language: str, download: Download) -> str:
    """A download that runs, or one that ended until it is put away."""
    if download.state != "running":
        return ended(language, download.model, download.state, download.error, "download")
    words = translate(language, "engines.download_looking") if not download.total_bytes else progress_text(
        language, download.done_bytes, download.total_bytes, download.speed, download.seconds_left)
    return coming(language, download.model, download.done_bytes, download.total_bytes, words)


def server_view(language: str, config: EnginesConfig) -> str:
    """The server that is saved. Of the key it tells only that there is one."""
    if not config.openai_url:
        return f'<p class="hint">{html_text(language, "engines.server_none")}</p>'
    key = "engines.server_with_key" if config.openai_key else "engines.server_no_key"
    return (f'<p class="facts">{html_text(language, "engines.server_now", url=config.openai_url)} · '
            f"{html_text(language, key)}</p>")
