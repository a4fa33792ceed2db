"""Where an answer comes from: the cards of its passages, and the page or the text one of them stands in, which can be
turned and enlarged."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from html import escape
from typing import Any

import gradio as gr

from core.documents.preview import PagePicture, Previewer, TextExcerpt
from core.documents.search import Hit
from ui.chat_session import Session
from ui.feedback import language_of
from ui.i18n import translate

_EXCERPT_CHARS = 220
_TEXT_CHARS = 30_000  # of a text's page without a passage


class Evidence:
    """What the citations and the buttons of the viewer do."""

    def __init__(self, previewer: Previewer) -> None:
        self._previewer = previewer

    async def show(self, event: gr.EventData, session: Session, request: gr.Request) -> list[Any]:
        """The source that a citation, a card or a button names, at its own page or the one asked for."""
        turn, number, page = event.turn, event.number, getattr(event, "page", None)
        if not (isinstance(turn, int) and 0 <= turn < len(session.turns)):
            return [gr.skip(), gr.skip()]
        return await self.of(language_of(request), session, turn, number, page if isinstance(page, int) else None)

    async def of(self, language: str, session: Session, turn: int, number: int,
                 page: int | None = None) -> list[Any]:
        """The cards of a turn, one of them chosen, and that one's page; nothing new where there is no such source."""
        hits = session.turns[turn].hits
        position = next((at for at, hit in enumerate(hits) if hit.rank == number), None)
        if position is None:
            return [gr.skip(), gr.skip()]
        hit = hits[position]
        pages = await asyncio.to_thread(self._previewer.pages, hit)
        page = min(max(page or hit.page, 1), max(pages, hit.page))
        picture = await asyncio.to_thread(self._previewer.show, hit, page)
        return [source_cards(language, hits, turn, number),
                viewer(language, hits, position, turn, picture, page, pages)]


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


def viewer(language: str, hits: Sequence[Hit], position: int, turn: int, shown: PagePicture | TextExcerpt,
           page: int, pages: int) -> str:
    """A page with its passage, between buttons that turn it, enlarge it and go to the next source."""
    hit = hits[position]
    place = f"{hit.source} · {translate(language, 'chat.page', page=page)}"
    ranks = [one.rank for one in hits]
    sources = _stepper(language, "source", translate(language, "chat.source_of", number=position + 1, total=len(hits)),
                       ranks[position - 1] if position else None,
                       ranks[position + 1] if position + 1 < len(hits) else None)
    turning = _stepper(language, "page", translate(language, "chat.page_of", page=page, total=max(pages, page)),
                       page - 1 if page > 1 else None, page + 1 if page < pages else None)
    back = "" if page == hit.page else _button(language, "chat.passage_back", "⟲", "page", hit.page)
    # A picture is enlarged by its width, a text by its letters.
    zoom = (f'<span class="steps">{_button(language, "chat.zoom_out", "−", "zoom", -1)}'
            f'{_button(language, "chat.zoom_fit", "⤢", "zoom", 0)}'
            f'{_button(language, "chat.zoom_in", "+", "zoom", 1)}</span>')
    return (f'<section class="viewer" data-turn="{turn}" data-number="{hit.rank}" data-at="{turn}-{hit.rank}-{page}" '
            f'aria-label="{escape(place, quote=True)}"><div class="viewer-bar">{sources}{turning}{back}{zoom}</div>'
            f'<p class="viewer-place">{escape(place)}</p>{_page(place, shown)}</section>')


def _page(place: str, shown: PagePicture | TextExcerpt) -> str:
    name = escape(place, quote=True)
    if isinstance(shown, PagePicture):
        return (f'<figure class="page" tabindex="0" role="group" aria-label="{name}" data-top="{shown.top}">'
                f'<img src="{shown.data_uri}" alt="{name}"></figure>')
    mark = f"<mark>{escape(shown.passage)}</mark>" if shown.passage else ""
    return (f'<figure class="page text" tabindex="0" role="group" aria-label="{name}">'
            f"{escape(shown.before[:_TEXT_CHARS])}{mark}{escape(shown.after)}</figure>")


def _stepper(language: str, kind: str, words: str, before: int | None, after: int | None) -> str:
    return (f'<span class="steps">{_button(language, f"chat.{kind}_before", "‹", kind, before)}'
            f"<span>{escape(words)}</span>"
            f'{_button(language, f"chat.{kind}_after", "›", kind, after)}</span>')


def _button(language: str, key: str, sign: str, kind: str, value: int | None) -> str:
    name = escape(translate(language, key), quote=True)
    off = " disabled" if value is None else ""
    return (f'<button type="button" data-{kind}="{value}" data-key="{key}" aria-label="{name}" title="{name}"{off}>'
            f'<span aria-hidden="true">{sign}</span></button>')
