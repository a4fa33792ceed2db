"""A conversation as the page shows it: its messages, the engine's line, the meter of the model's context. Text from
outside is escaped; a model's Markdown goes through `chat_markdown`."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from core.chat.events import Budget, Loading, Waiting
from core.chat.turns import Turn
from core.engines.base import EngineStatus
from core.errors import AppError
from ui.chat_markdown import harmless, shown
from ui.feedback import size_text
from ui.i18n import explain, translate

Message = dict[str, Any]
FREE, RETRY = "free", "retry"  # what a button below a message does


def turn_messages(language: str, turn: Turn, index: int, before: str = "") -> list[Message]:
    """One turn for gradio's Chatbot. `before` says what is being done while the engine has said nothing yet."""
    messages: list[Message] = []
    if turn.question:
        messages.append({"role": "user", "content": harmless(turn.question)})
    if turn.thought:
        state = "pending" if turn.state == "running" and not turn.answer else "done"
        messages.append({"role": "assistant", "content": harmless(turn.thought),
                         "metadata": {"title": translate(language, f"chat.thinking_{state}"), "status": state}})
    content = "\n\n".join(part for part in _parts(language, turn, index, before) if part)
    if content:
        message: Message = {"role": "assistant", "content": content}
        if options := _options(language, turn):
            message["options"] = options
        messages.append(message)
    return messages


def _parts(language: str, turn: Turn, index: int, before: str) -> list[str]:
    """What stands in an answer's bubble, from top to bottom."""
    parts = []
    if turn.query and turn.query != turn.question:
        parts.append(_aside(translate(language, "chat.searched_for", query=turn.query), "searched"))
    if turn.from_model and turn.answer:
        parts.append(_aside(translate(language, "chat.from_model"), "from-model"))
    if turn.answer:
        parts.append(shown(turn.answer, index, turn.doubtful, translate(language, "chat.doubtful")))
    elif turn.state == "running" and (turn.status is not None or not turn.thought):
        parts.append(_aside(_status(language, turn, before), "status"))
    elif turn.state == "done" and not turn.notes:
        parts.append(plain(translate(language, "chat.no_answer")))
    for key, values in turn.notes:
        text = translate(language, key, **values)
        parts.append(plain(text) if key.startswith("chat.nothing_") else _aside(text, "note"))
    if turn.error is not None:
        parts.append(_aside(explain(language, AppError(turn.error[0], **turn.error[1])), "failure"))
    if turn.state == "stopped":
        parts.append(_aside(translate(language, "chat.stopped"), "note"))
    return parts


def _status(language: str, turn: Turn, before: str) -> str:
    """What is being done, before the first word."""
    match turn.status:
        case Waiting(place):
            return translate(language, "chat.waiting", place=place)
        case Loading(model, 0):
            return translate(language, "chat.loading_model", model=model)
        case Loading(model, size):
            return translate(language, "chat.loading_model_size", model=model, size=size_text(language, size))
    return translate(language, "chat.status_model") if turn.hits else before


def _options(language: str, turn: Turn) -> list[dict[str, str]]:
    """The buttons below an answer; gradio shows those of the last one."""
    if turn.state == "failed" and turn.question:
        return [{"value": RETRY, "label": translate(language, "chat.try_again")}]
    has_model = not turn.model.startswith("passages|")
    if has_model and any(key == "chat.nothing_no_match" for key, _ in turn.notes):
        return [{"value": FREE, "label": translate(language, "chat.answer_freely")}]
    return []


def plain(text: str) -> str:
    """Text of which Markdown makes nothing, not even a link."""
    return "".join(letter if letter.isalnum() or letter in " ,;\n" or ord(letter) > 126 else f"&#{ord(letter)};"
                   for letter in text)


def _aside(text: str, kind: str) -> str:
    return f'<span class="aside {kind}">{plain(" ".join(text.split()))}</span>'


def engine_pill(language: str, status: EngineStatus | None, warming_up: bool) -> str:
    """Which engine answers, with which model, and whether it is ready: a button that opens the panel of models."""
    if status is None or status.state == "starting":
        name, state, kind = translate(language, "engine.name_ollama"), "engine.state_starting", "waiting"
    else:
        name = translate(language, f"engine.name_{status.engine}")
        state, kind = "engine.state_ready", "ready" if status.model else "plain"
        if warming_up:
            state, kind = "engine.state_warming_up", "waiting"
    model = f' · <strong>{escape(status.model)}</strong>' if status is not None and status.model else ""
    return (f'<div role="status"><button type="button" class="pill {kind}" data-drawer="models" '
            f'title="{escape(translate(language, "chat.open_models"), quote=True)}"><span class="dot"></span>'
            f"<span>{escape(name)}{model}</span>"
            f'<span class="pill-state">{escape(translate(language, state))}</span></button></div>')


def context_meter(language: str, turns: Sequence[Turn]) -> str:
    """How much of the model's context the last question took, as a thin bar and in words; nothing before it."""
    turn = next((turn for turn in reversed(turns) if turn.budget.used), None)
    budget = turn.budget if turn is not None else Budget()
    if turn is None or not budget.limit:
        return ""
    used = max(budget.used, turn.usage.prompt_tokens) + turn.usage.answer_tokens
    share = min(used / budget.limit, 1.0)
    kind = "full" if share > 0.9 else "near" if share > 0.7 else "easy"
    words = translate(language, "chat.context", used=_thousands(language, used),
                      limit=_thousands(language, budget.limit))
    return (f'<div class="meter {kind}" role="meter" aria-valuemin="0" aria-valuemax="{budget.limit}" '
            f'aria-valuenow="{min(used, budget.limit)}" aria-label="{escape(words, quote=True)}" '
            f'title="{escape(translate(language, "chat.context_explained"), quote=True)}">'
            f'<span class="bar"><span style="width: {share:.1%}"></span></span><span>{escape(words)}</span></div>')


def _thousands(language: str, number: int) -> str:
    if number < 10_000:
        return str(number)
    return f"{number / 1000:.0f}k" if language == "en" else f"{number / 1000:.0f} mil"
