"""What the buttons of the Share panel do, on real sharing whose tunnel leads no further than this machine."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from starlette.requests import Request

from core.documents.store import Store
from core.errors import AppError
from tests.running_app import free_port, wait_for
from ui.i18n import translate
from ui.share_panel import Seen, ShareEvents
from ui.sharing import Sharing
from ui.visitors import Role, Visitors

FAKE_TUNNEL = Path(__file__).resolve().parent.parent / "fake_tunnel.py"
ENGLISH = gr.Request(request=Request({"type": "http", "headers": [(b"accept-language", b"en")]}))
SKIPPED = gr.skip()


@dataclass
class Panel:
    """The panel's events and what stands behind them. `tunnel` is the name the tunnel is called with."""

    events: ShareEvents
    sharing: Sharing
    store: Store
    visitors: Visitors
    background: Any
    tunnel: str = "guests.test"

    def shown(self) -> str:
        return "".join(part for part in self.events.refresh(None, ENGLISH) if isinstance(part, str))


@pytest.fixture
def panel(tmp_path: Path) -> Iterator[Panel]:
    store, visitors = Store(tmp_path / "taller.sqlite3"), Visitors()
    for source in ("bombas.pdf", "jardín.txt", "zorzal.txt"):
        store.queue(source, source, 10, 1)

    def command(port: int) -> list[str]:
        if made.tunnel == "no network":
            raise AppError("share_no_network")
        return [sys.executable, str(FAKE_TUNNEL), made.tunnel, str(port)]

    def listen() -> Any:
        return SimpleNamespace(port=free_port(), close=lambda: None)

    sharing = Sharing(tmp_path, visitors, listen=listen, admit=lambda name: None, command=command)
    background: Any = SimpleNamespace(version=0)
    made = Panel(ShareEvents(sharing, store, background, tmp_path), sharing, store, visitors, background)
    yield made
    sharing.close()
    store.close()


def pressed(**data: Any) -> Any:
    return SimpleNamespace(_data=data)


async def drawn(steps: AsyncGenerator[list[Any], None]) -> list[list[Any]]:
    return [step async for step in steps]


def text(key: str, **values: object) -> str:
    return translate("en", key, **values)


def test_starting_is_told_at_once_then_the_way_in_and_then_the_end(panel: Panel) -> None:
    async def test() -> None:
        first, last = await drawn(panel.events.start(15, ENGLISH))
        assert text("share.starting") in first[3] and first[4]["visible"] is False
        status = panel.sharing.status
        assert status.state == "on" and status.url in last[3] and status.password in last[3]
        assert text("share.pill_on") in last[2] and first[0] == last[0] == ""
        stopped = await panel.events.stop(ENGLISH)
        assert panel.sharing.status.state == "off" and status.url not in "".join(map(str, stopped))

    asyncio.run(test())


def test_a_beginning_is_cancelled_without_an_error(panel: Panel) -> None:
    async def test() -> None:
        panel.tunnel = "mute"
        steps = panel.events.start(60, ENGLISH)
        await anext(steps)
        ending = asyncio.create_task(anext(steps))
        assert await asyncio.to_thread(wait_for, lambda: panel.sharing.status.state == "starting", 5)
        await panel.events.stop(ENGLISH)
        said, _, _, state, *_ = await asyncio.wait_for(ending, 10)
        assert said == "" and text("share.off") in state and "notice" not in state

    asyncio.run(test())


def test_without_a_network_the_panel_says_it_once_on_every_page(panel: Panel) -> None:
    panel.tunnel = "no network"
    said, *last = asyncio.run(drawn(panel.events.start(60, ENGLISH)))[-1]
    assert said == "" and text("error.share_no_network") in last[2]
    assert text("error.share_no_network") in panel.shown()


def test_what_is_shared_already_is_not_shared_again(panel: Panel) -> None:
    async def test() -> None:
        await panel.sharing.start(15)
        url = panel.sharing.status.url
        said, *last = (await drawn(panel.events.start(60, ENGLISH)))[-1]
        assert text("error.share_running") in said and url in last[2]

    asyncio.run(test())


def test_only_what_changed_is_drawn_anew(panel: Panel) -> None:
    seen, *_ = panel.events.refresh(None, ENGLISH)
    assert isinstance(seen, Seen)
    assert panel.events.refresh(seen, ENGLISH) == [SKIPPED] * 7
    panel.sharing.allow(["bombas.pdf"], False)
    seen, pill, state, form, guests, asked, documents = panel.events.refresh(seen, ENGLISH)
    assert [pill, form, guests, asked] == [SKIPPED] * 4
    assert text("share.found.many", found=2, count=3) in state and "bombas.pdf" in documents
    panel.store.queue("nuevo.pdf", "n", 10, 1)
    panel.background.version += 1
    assert text("share.found.many", found=3, count=4) in panel.events.refresh(seen, ENGLISH)[2]


def test_a_guest_is_seen_with_their_question_and_shown_out(panel: Panel) -> None:
    async def test() -> None:
        await panel.sharing.start(15)
        token, visitor = panel.visitors.begin(Role.GUEST, "4", panel.sharing.status.ends_at)
        panel.sharing.note(visitor, "How often is <b>X22</b> checked?")
        shown = panel.shown()
        assert text("share.guest", number="4") in shown and "&lt;b&gt;X22" in shown
        panel.events.end_guest(pressed(act="end", id="somebody else"), ENGLISH)
        assert panel.visitors.of(token) is visitor
        panel.events.end_guest(pressed(act="end", id=visitor.id), ENGLISH)
        assert panel.visitors.of(token) is None and text("share.nobody") in panel.shown()

    asyncio.run(test())


def test_documents_are_forbidden_and_allowed_again_some_or_all(panel: Panel) -> None:
    names = [document.source for document in panel.store.documents()]
    panel.events.allow(pressed(sources=names, allowed=False), ENGLISH)
    assert not any(panel.sharing.allowed(name) for name in names)
    said, *_ = panel.events.allow(pressed(sources=["jardín.txt"], allowed=True), ENGLISH)
    assert [panel.sharing.allowed(name) for name in sorted(names)] == [False, True, False] and said == ""


def test_a_choice_that_cannot_be_saved_is_told_and_changes_nothing(panel: Panel, tmp_path: Path) -> None:
    (tmp_path / "share.json").mkdir()
    said, *_ = panel.events.allow(pressed(sources=["jardín.txt"], allowed=False), ENGLISH)
    assert text("error.share_not_saved", folder=tmp_path) in said and panel.sharing.allowed("jardín.txt")
