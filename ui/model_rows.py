"""What the panels of models have in common, as HTML: a model's line, its buttons, a download's. Escapes every text."""

from __future__ import annotations

from html import escape

from core.engines.base import ModelInfo
from core.errors import AppError
from ui.feedback import size_text, time_left_text
from ui.i18n import explain, translate

# A picture: the character for it is a coloured emoji on some systems and missing on others.
EJECT = ('<svg viewBox="0 0 24 24" width="14" height="14" fill="currentColor" aria-hidden="true">'
         '<path d="M12 4 21 15H3zM3 18h18v3H3z"/></svg>')


def html_text(language: str, key: str, **values: object) -> str:
    return escape(translate(language, key, **values), quote=True)


def badge(language: str, key: str, look: str, hint: str, **values: object) -> str:
    title = html_text(language, hint, **values)
    return f' <span class="badge {look}" title="{title}">{html_text(language, key)}</span>'


def button(language: str, act: str, model: str, sign: str, key: str) -> str:
    """A button that says by its data what it does; `sign` is HTML, and `key` its name."""
    name = html_text(language, key, model=model)
    return (f'<button type="button" data-act="{act}" data-model="{escape(model, quote=True)}" aria-label="{name}" '
            f'title="{name}">{sign}</button>')


def listed(language: str, rows: str, key: str) -> str:
    return f'<ul class="models" aria-label="{html_text(language, key)}">{rows}</ul>' if rows else ""


def row(name: str, badges: str, acts: str, facts: str, question: str = "") -> str:
    """A model's line, the facts below it, and what is asked about it."""
    return (f'<li class="model"><div class="line"><strong>{escape(name)}</strong>{badges}'
            f'<span class="acts">{acts}</span></div><p class="hint">{escape(facts)}</p>{question}</li>')


def facts(language: str, model: ModelInfo, *first: str) -> str:
    """What is known of a model, after what comes `first`."""
    known = [*first]
    if model.context_tokens:
        known.append(translate(language, "models.context", tokens=grouped(language, model.context_tokens)))
    if model.think_levels:
        known.append(translate(language, "models.thinks"))
    return " · ".join(fact for fact in known if fact)


def delete_question(language: str, model: str, *sentences: str) -> str:
    """Whether a model is to be deleted."""
    name, yes, no = escape(model, quote=True), *(html_text(language, f"models.delete_{word}") for word in ("yes", "no"))
    return (f'<div class="decision" role="alert"><p class="decision-text">{escape(" ".join(sentences))}</p>'
            f'<button type="button" class="danger" data-act="delete" data-model="{name}">{yes}</button> '
            f'<button type="button" data-act="keep" data-model="{name}">{no}</button></div>')


def coming(language: str, model: str, done_bytes: int, total_bytes: int, words: str) -> str:
    """A download that runs. `total_bytes` is 0 while nobody knows how far it is."""
    name = escape(model, quote=True)
    known = f' max="{total_bytes}" value="{done_bytes}"' if total_bytes else ""
    cancel = button(language, "cancel", model, html_text(language, "models.cancel"), "models.cancel_model")
    return (f'<div class="pull"><div class="line"><strong>{name}</strong>{cancel}</div>'
            f'<progress aria-label="{name}"{known}></progress><p class="hint">{escape(words)}</p></div>')


def ended(language: str, model: str, state: str, error: AppError | None, again: str) -> str:
    """A download that ended, until it is put away. `again` is what the button does that goes on with it."""
    buttons = button(language, "put-away", model, "×", "models.put_away")
    if state != "done":
        buttons = button(language, again, model, html_text(language, "models.again"), "models.again_model") + buttons
    said = explain(language, error) if error else translate(language, f"models.state_{state}")
    kind, role = {"failed": ("error", "alert"), "done": ("done", "status")}.get(state, ("info", "status"))
    return (f'<div class="pull notice {kind}" role="{role}"><div class="line"><strong>{escape(model)}</strong>{buttons}'
            f"</div><p>{escape(said)}</p></div>")


def progress_text(language: str, done_bytes: int, total_bytes: int, bytes_per_second: float,
                  seconds_left: float | None, stalled: str = "") -> str:
    """How far a download is: bytes, then speed and the time left, as far as they are known; or that it stands still."""
    parts = [translate(language, "models.progress", done=size_text(language, done_bytes),
                       total=size_text(language, total_bytes))]
    if stalled:
        return " · ".join([*parts, stalled])
    if bytes_per_second >= 1:
        parts.append(f"{size_text(language, bytes_per_second)}/s")
    if seconds_left is not None:
        parts.append(time_left_text(language, seconds_left))
    return " · ".join(parts)


def grouped(language: str, number: int) -> str:
    words = f"{number:,}"
    return words.replace(",", ".") if language == "es" else words
