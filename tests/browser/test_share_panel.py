"""The Share panel in a real browser: the clipboard, the time left, focus, and hundreds of documents."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from core.chat.conversations import Conversations
from core.documents.background import BackgroundIndexing
from core.documents.collection import Collection
from core.documents.preview import Previewer
from core.finetune.runs import Runs
from core.settings import Settings
from tests.ollama_server import OllamaServer
from tests.running_app import free_port
from ui import house
from ui.house import House
from ui.i18n import translate
from ui.sharing import Sharing
from ui.visitors import Role, Visitor
from ui.workshop import Engines, Workshop

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FAKE_TUNNEL = Path(__file__).resolve().parent.parent / "fake_tunnel.py"
DOCUMENTS = 300
SLOW_MS = 60_000


@dataclass
class Owner:
    """The owner's window, and what stands behind it."""

    page: Page
    sharing: Sharing

    def open(self) -> None:
        self.page.locator("#share button").click()
        self.page.wait_for_selector("#share-state .share")

    def focused(self, selector: str) -> None:
        self.page.wait_for_function("selector => document.activeElement.matches(selector)", arg=selector)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory, ollama_server: OllamaServer) -> Iterator[tuple[Workshop, str]]:
    """A page whose tunnel leads no further than this machine, with many documents, none of them read."""
    folder = tmp_path_factory.mktemp("shared")
    settings = Settings(docs_dir=folder / "docs", data_dir=folder / "data", runs_dir=folder / "runs",
                        ollama_host=ollama_server.url)
    with pytest.MonkeyPatch.context() as patch, Collection(settings) as collection, contextlib.ExitStack() as stack:
        patch.setattr(house, "gradio_command", lambda data: lambda port: [
            sys.executable, str(FAKE_TUNNEL), "guests.test", str(port)])
        for number in range(DOCUMENTS):
            collection.store.queue(f"manual {number:03}.pdf", str(number), 10, 1)
        made = House(settings, "127.0.0.1", (), "")
        conversations = Conversations(folder / "conversations.sqlite3")
        workshop = Workshop(settings, collection, BackgroundIndexing(collection), Previewer(settings, collection.store),
                            Engines(settings), Runs(settings), "model", conversations, made.sharing)
        for close in (conversations.close, workshop.previewer.close, workshop.engines.close):
            stack.callback(close)
        port = free_port()
        stack.enter_context(made.opened(workshop, port))
        stack.callback(made.sharing.close)
        yield workshop, f"http://127.0.0.1:{port}"


@pytest.fixture
def owner(workshop: tuple[Workshop, str], chromium_browser: Browser) -> Iterator[Owner]:
    context = chromium_browser.new_context(locale="es-ES", permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.set_default_timeout(SLOW_MS)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(workshop[1])
    yield Owner(page, workshop[0].sharing)
    context.close()
    workshop[0].sharing.close()
    assert problems == []


def text(key: str, **values: object) -> str:
    return translate("es", key, **values)


def test_an_owner_shares_copies_the_invitation_and_stops_with_the_keyboard(owner: Owner) -> None:
    page = owner.page
    owner.open()
    page.locator("#share-start").press("Enter")
    page.wait_for_selector("[data-state=on]")
    owner.focused("#share-state h3")  # what had the focus is gone
    status = owner.sharing.status
    button = page.locator("[data-key=copy-invitation]")
    button.evaluate("""node => new MutationObserver(() => (window.said ??= []).push(node.textContent))
                    .observe(node, {childList: true})""")
    button.press("Enter")
    page.wait_for_function("() => window.said?.length === 2")
    assert page.evaluate("window.said") == [text("share.copied"), text("share.copy_invitation")]
    copied = page.evaluate("navigator.clipboard.readText()")
    assert all(part in copied for part in (status.url, text("share.guest_name"), status.password))
    left = page.get_by_role("timer").inner_text()
    page.wait_for_function("left => document.querySelector('[role=timer]').innerText !== left", arg=left)
    assert text("share.pill_on") in page.locator("#share button").inner_text()
    page.locator("[data-key=stop]").press("Enter")
    page.wait_for_selector("[data-state=off]")
    owner.focused("#share-state h3")
    assert owner.sharing.status.state == "off"
    page.keyboard.press("Escape")
    owner.focused("#share button")


def test_a_question_that_is_being_read_stays_unfolded_and_focused_when_others_come(owner: Owner) -> None:
    page = owner.page
    owner.sharing.start_now(15)
    guest = Visitor(Role.GUEST, "1", owner.sharing.status.ends_at)
    owner.sharing.note(guest, "¿Y la bomba X31? " * 30)
    owner.open()
    page.locator("#share-asked summary").press("Enter")
    owner.sharing.note(guest, "¿Qué más? " * 40)
    owner.sharing.note(guest, "¿Cada cuánto se revisa la X22?")
    page.wait_for_function("() => document.querySelectorAll('#share-asked li').length === 3")
    assert "X31" in page.locator("#share-asked details[open]").inner_text()
    assert "X31" in page.evaluate("document.activeElement.textContent")


def test_without_a_clipboard_of_the_browser_the_password_is_copied_too(owner: Owner) -> None:
    page = owner.page
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    page.reload()
    owner.sharing.start_now(15)
    owner.open()
    page.locator("[data-key=copy-password]").click()
    page.locator("#share-documents button").first.click()
    page.locator("#share-documents input[type=search]").press("Control+V")
    assert page.locator("#share-documents input[type=search]").input_value() == owner.sharing.status.password


def test_hundreds_of_documents_are_filtered_and_forbidden_together(owner: Owner) -> None:
    page = owner.page
    owner.open()
    page.locator("#share-documents button").first.click()
    page.locator("#share-documents input[type=search]").fill("MÁNUAL 12")  # 012, 112, 120 to 129, 212
    rows = page.locator("#share-documents li:not([hidden])")
    page.wait_for_function("() => document.querySelectorAll('#share-documents li:not([hidden])').length === 13")
    page.locator("#share-documents [data-key=none]").click()
    page.get_by_text(text("share.found.many", found=DOCUMENTS - 13, count=DOCUMENTS)).wait_for()
    assert rows.count() == 13  # drawn anew under the filter
    page.locator('[data-source="manual 123.pdf"]').press("Space")
    page.get_by_text(text("share.found.many", found=DOCUMENTS - 12, count=DOCUMENTS)).wait_for()
    owner.focused('[data-source="manual 123.pdf"]')
    assert owner.sharing.allowed("manual 123.pdf") and not owner.sharing.allowed("manual 124.pdf")
