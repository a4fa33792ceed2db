"""The Share panel as HTML: how it stands, the way in for guests, who is there, what they ask. Escapes every text."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from core.errors import AppError
from ui.documents_view import folded
from ui.feedback import Notice, both, notices_html
from ui.i18n import explain, plural, translate
from ui.sharing import Asked, ShareStatus

_LONG_CHARS = 120  # more than two lines of the panel
_ACTIVE_MINUTES = 2  # without an open window; the first minute may have just begun
_SIGN = ('<svg viewBox="0 0 24 24" width="15" height="15" fill="none" stroke="currentColor" stroke-width="2" '
         'aria-hidden="true"><circle cx="6" cy="12" r="2.6"/><circle cx="18" cy="5.5" r="2.6"/>'
         '<circle cx="18" cy="18.5" r="2.6"/><path d="M8.4 10.8 15.7 6.8M8.4 13.2l7.3 4"/></svg>')


@dataclass(frozen=True)
class Guest:
    """Someone who is connected. `since` is in seconds since 1970; the last sign of life is some minutes ago."""

    id: str
    number: str
    since: float
    minutes_ago: int


def share_pill(status: ShareStatus) -> str:
    """The header's button, in both languages: it stands there before the reader's language is known."""
    look, words = "", both("share.title")
    if status.state == "starting":
        look, words = " waiting", both("share.pill_starting")
    elif status.state == "on":
        look = " shared"
        words = (f'<span class="pill-on">{both("share.pill_on")} · </span>{_countdown(status, "short")} '
                 f'{both("share.pill_left")}')
    return f'<button type="button" class="pill{look}" data-drawer="share">{_SIGN}<span>{words}</span></button>'


def state_view(language: str, status: ShareStatus, found: int, documents: int) -> str:
    """What sharing is, while it is off, with what ended it; that it begins; or the way in. `found` of the `documents`
    can be found by guests."""
    count = f'<p class="facts">{escape(plural(language, "share.found", documents, found=found))}</p>'
    match status.state:
        case "off":
            body = _off(language, status) + count
        case "starting":
            body = _starting(language)
        case "on":
            body = _way_in(language, status, count)
    return f'<section class="share" data-state="{status.state}">{body}</section>'


def _off(language: str, status: ShareStatus) -> str:
    ended = ""
    if status.error is not None:
        code, values = status.error
        sentence = explain(language, AppError(code, **values))
        ended = notices_html(Notice(sentence, "info" if code == "share_over" else "error"))
    rules = "".join(f'<li class="{kind}">{_text(language, f"share.{kind}")}</li>' for kind in ("can", "cannot"))
    return (f'{ended}<h3 tabindex="-1">{_text(language, "share.off")}</h3><ul class="share-rules">{rules}</ul>'
            f'<p class="hint">{_text(language, "share.way")}</p>')


def _starting(language: str) -> str:
    return (f'<h3 tabindex="-1">{_text(language, "share.starting")}</h3>'
            f'<p class="hint working">{_text(language, "share.starting_hint")}</p>'
            f'<button type="button" data-act="stop" data-key="cancel">'
            f'{_text(language, "share.cancel")}</button>')


def _way_in(language: str, status: ShareStatus, count: str) -> str:
    name = translate(language, "share.guest_name")
    fields = "".join(_field(language, field, value) for field, value in (
        ("link", status.url), ("name", name), ("password", status.password)))
    invitation = translate(language, "share.invitation", url=status.url, name=name, password=status.password)
    near = notices_html(Notice(translate(language, "share.near_only"))) if status.url == status.near_url else ""
    return (f'<h3 tabindex="-1">{_text(language, "share.on")}</h3>{near}'
            f'<p class="time-left">{_text(language, "share.time_left")} '
            f'<span role="timer">{_countdown(status, "clock")}</span></p>'
            f'<div class="way-in">{qr_code(language, status.url)}<div><dl>{fields}</dl>'
            f'{_copy(language, "share.copy_invitation", invitation, "invitation", words=True)}</div></div>'
            f'<p class="hint">{_text(language, "share.way_in_hint")}</p>{count}'
            f'<button type="button" class="stop" data-act="stop" data-key="stop">{_text(language, "share.stop")}'
            f'</button><span class="unseen" role="status" data-said></span>')


def _field(language: str, name: str, value: str) -> str:
    return (f'<div><dt>{_text(language, f"share.{name}")}</dt><dd><code>{escape(value)}</code>'
            f'{_copy(language, f"share.copy_{name}", value, name)}</dd></div>')


def _copy(language: str, key: str, value: str, name: str, words: bool = False) -> str:
    """A button that copies `value`; it shows what it copies where it stands alone."""
    shown = _text(language, key if words else "share.copy")
    label = "" if words else f' aria-label="{_text(language, key)}"'
    return (f'<button type="button" class="copy" data-copy="{escape(value, quote=True)}" data-key="copy-{name}"{label} '
            f'data-done="{_text(language, "share.copied")}" data-failed="{_text(language, "share.not_copied")}">'
            f"{shown}</button>")


def qr_code(language: str, url: str) -> str:
    """The address as a QR code, dark on white also where the page is dark: some cameras read no other."""
    import segno

    picture = segno.make(url, error="m", micro=False).svg_inline(omitsize=True, dark="#0f172a", light="#fff")
    return f'<div class="qr" role="img" aria-label="{_text(language, "share.qr")}">{picture}</div>'


def guests_view(language: str, status: ShareStatus, guests: Sequence[Guest]) -> str:
    """Who is connected, while the page is shared."""
    if status.state != "on":
        return ""
    rows = "".join(_guest(language, guest) for guest in guests)
    body = f'<ul class="guests">{rows}</ul>' if rows else f'<p class="hint">{_text(language, "share.nobody")}</p>'
    return f'<section class="share"><h3 tabindex="-1">{_text(language, "share.connected")}</h3>{body}</section>'


def _guest(language: str, guest: Guest) -> str:
    name, key = _text(language, "share.guest", number=guest.number), escape(guest.id, quote=True)
    since = translate(language, "share.since", time=_clock(guest.since))
    active = guest.minutes_ago < _ACTIVE_MINUTES
    seen = translate(language, "share.active") if active else plural(language, "share.seen", guest.minutes_ago)
    end = _text(language, "share.end_named", number=guest.number)
    return (f'<li><div><strong>{name}</strong><p class="hint">{escape(f"{since} · {seen}")}</p></div>'
            f'<button type="button" data-act="end" data-id="{key}" data-key="end-{key}" aria-label="{end}">'
            f'{_text(language, "share.end")}</button></li>')


def asked_view(language: str, status: ShareStatus, asked: Sequence[Asked]) -> str:
    """What guests asked, the newest first; still there for a while after the end."""
    if not asked and status.state != "on":
        return ""
    rows = "".join(_question(language, one) for one in asked)
    body = f'<ol class="asked">{rows}</ol>' if rows else f'<p class="hint">{_text(language, "share.asked_nothing")}</p>'
    return f'<section class="share"><h3 tabindex="-1">{_text(language, "share.asked")}</h3>{body}</section>'


def _question(language: str, asked: Asked) -> str:
    """A long question shows its beginning until it is unfolded."""
    text = escape(asked.question.strip())
    if len(asked.question) > _LONG_CHARS or asked.question.strip().count("\n") > 1:
        key = escape(f"{asked.visitor_id}-{asked.at}", quote=True)
        text = f'<details data-fold="{key}" dir="auto"><summary data-key="{key}">{text}</summary></details>'
    else:
        text = f'<p dir="auto">{text}</p>'
    who = f'{_clock(asked.at)} · {_text(language, "share.guest", number=asked.guest)}'
    return f'<li><span class="hint">{who}</span>{text}</li>'


def documents_view(language: str, documents: Sequence[tuple[str, bool]]) -> str:
    """Every document with a tick where guests may find and read it."""
    if not documents:
        return f'<p class="hint">{_text(language, "share.no_documents")}</p>'
    rows = "".join(_document(source, allowed)
                   for source, allowed in sorted(documents, key=lambda one: folded(one[0])))
    find = _text(language, "documents.filter")
    return (f'<section class="share guest-documents"><p class="hint">{_text(language, "share.documents_hint")}</p>'
            f'<div class="find-document"><input type="search" aria-label="{find}" placeholder="{find}" maxlength="200" '
            f'data-key="find"><button type="button" data-all="1" data-key="all">'
            f'{_text(language, "share.all")}</button><button type="button" data-all="" data-key="none">'
            f'{_text(language, "share.none")}</button></div><ul tabindex="-1">{rows}</ul>'
            f'<p class="hint none" hidden>{_text(language, "share.none_found")}</p></section>')


def _document(source: str, allowed: bool) -> str:
    name = escape(source, quote=True)
    return (f'<li><label><input type="checkbox" data-source="{name}" data-key="document {name}"'
            f'{" data-allowed" if allowed else ""}><bdi>{name}</bdi></label></li>')


def _countdown(status: ShareStatus, style: str) -> str:
    """The time left, which the browser fills in and counts down. `data-now` tells it how its clock differs from ours,
    by which the sharing ends."""
    return f'<span data-ends-at="{status.ends_at:.0f}" data-now="{time.time():.0f}" data-style="{style}"></span>'


def _clock(moment: float) -> str:
    return time.strftime("%H:%M", time.localtime(moment))


def _text(language: str, key: str, **values: object) -> str:
    return escape(translate(language, key, **values), quote=True)
