"""A conversation as the page shows it: messages, source cards, the page with the passage. Text from outside is
escaped; a model's Markdown is sanitised by gradio and loads nothing, by the page's content policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

from core.chat.citations import replace_citations
from core.documents.preview import PagePicture, TextExcerpt
from core.documents.search import Hit
from core.engines.base import EngineStatus, Message
from ui.i18n import translate

_MESSAGES_SHOWN = 100  # updates get slower with every message in the page
_EXCERPT_CHARS = 220


@dataclass
class Turn:
    """One question and its answer, as far as it has come."""

    question: str
    status: str = ""  # what is being done, before the first word
    answer: str = ""
    thought: str = ""
    note: str = ""  # after the answer: stopped, failed and why, what was left out
    hits: tuple[Hit, ...] = ()
    state: Literal["running", "done", "stopped", "failed"] = "running"


def history_of(turns: Sequence[Turn]) -> list[Message]:
    """What the model is told of earlier turns: questions and answers, no thoughts, nothing that failed."""
    history = []
    for turn in turns:
        if turn.question and turn.answer:
            history += [Message("user", turn.question), Message("assistant", turn.answer)]
    return history


def messages(language: str, turns: Sequence[Turn]) -> list[dict[str, Any]]:
    """The conversation for gradio's Chatbot; the last hundred messages of it."""
    shown: list[dict[str, Any]] = []
    for index, turn in enumerate(turns):
        if turn.question:
            shown.append({"role": "user", "content": turn.question})
        if turn.thought:
            state = "done" if turn.answer or turn.state != "running" else "pending"
            title = translate(language, f"chat.thinking_{state}")
            shown.append({"role": "assistant", "content": turn.thought,
                          "metadata": {"title": title, "status": state}})
        parts = [linked(turn.answer, index), f"*{turn.note}*" if turn.note else ""]
        if turn.state == "running" and not turn.answer and not turn.thought:
            parts = [f"*{turn.status}*"]
        content = "\n\n".join(part for part in parts if part)
        if content:
            shown.append({"role": "assistant", "content": content})
    return shown[-_MESSAGES_SHOWN:]


def linked(answer: str, turn_index: int) -> str:
    """The answer with each `[n]` a link that the page turns into its source."""
    return replace_citations(answer, lambda number: f"[[{number}]](#source-{turn_index}-{number})")


def source_cards(language: str, hits: Sequence[Hit], turn_index: int, chosen: int | None = None) -> str:
    """The numbered passages of an answer as cards that can be clicked."""
    if not hits:
        return f'<div class="empty">{escape(translate(language, "chat.sources_empty"))}</div>'
    cards = []
    for hit in hits:
        text = " ".join(hit.text.split())
        excerpt = text[:_EXCERPT_CHARS] + ("…" if len(text) > _EXCERPT_CHARS else "")
        current = ' aria-current="true"' if hit.rank == chosen else ""
        place = f"{hit.source} · {translate(language, 'chat.page', page=hit.page)}"
        cards.append(
            f'<button type="button" class="source" data-turn="{turn_index}" data-number="{hit.rank}"{current}>'
            f'<span class="number">{hit.rank}</span><span class="place">{escape(place)}</span>'
            f'<span class="excerpt">{escape(excerpt)}</span></button>')
    return f'<div class="sources">{"".join(cards)}</div>'


def page_view(language: str, hit: Hit, shown: PagePicture | TextExcerpt) -> str:
    """The page's picture, or the text around the passage."""
    place = escape(f"{hit.source} · {translate(language, 'chat.page', page=hit.page)}", quote=True)
    if isinstance(shown, PagePicture):
        return f'<figure class="page"><img src="{shown.data_uri}" alt="{place}"></figure>'
    return (f'<figure class="page text" aria-label="{place}">{escape(shown.before)}<mark>{escape(shown.passage)}</mark>'
            f"{escape(shown.after)}</figure>")


def engine_pill(language: str, status: EngineStatus | None, warming_up: bool) -> str:
    """Which engine answers, with which model, and whether it is ready."""
    if status is None or status.state == "starting":
        name, state, kind = translate(language, "engine.name_ollama"), "engine.state_starting", "waiting"
    else:
        name = translate(language, f"engine.name_{status.engine}")
        state, kind = "engine.state_ready", "ready" if status.model else "plain"
        if warming_up:
            state, kind = "engine.state_warming_up", "waiting"
    model = f' · <strong>{escape(status.model)}</strong>' if status is not None and status.model else ""
    return (f'<div class="pill {kind}" role="status"><span class="dot"></span><span>{escape(name)}{model}</span>'
            f'<span class="pill-state">{escape(translate(language, state))}</span></div>')
