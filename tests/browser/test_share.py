"""An owner shares the page and a guest comes through the tunnel, each in a browser of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import GARDEN, HOSTILE, settled
from tests.browser.visit import Visit
from tests.ollama_server import OllamaServer
from tests.running_app import WITH_FAKE_TUNNEL, RunningApp, wait_for

pytestmark = pytest.mark.browser
SECRET = "La clave de la caja de Almenara es 730911."


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, ollama_server: OllamaServer) -> Iterator[RunningApp]:
    folder = tmp_path_factory.mktemp("share")
    (folder / "docs").mkdir()
    for name, text in (("jardín.txt", GARDEN), ("zorzal.txt", HOSTILE), ("claves.txt", SECRET)):
        (folder / "docs" / name).write_text(text, encoding="utf-8")
    with RunningApp(folder, ollama_url=ollama_server.url, program=WITH_FAKE_TUNNEL) as running:
        assert wait_for(lambda: settled(running.data, "jardín.txt", "zorzal.txt", "claves.txt"), 90), running.output
        yield running


@pytest.fixture
def owner(chromium_browser: Browser, app: RunningApp) -> Iterator[Visit]:
    visit = Visit(chromium_browser, app.url)
    yield visit
    visit.close()


class Guest(Visit):
    """Someone with the link, and perhaps with the password."""

    def wait_until_ready(self) -> None:
        self.page.wait_for_selector("input[name=password], #question textarea", timeout=60_000)

    def log_in(self, name: str, password: str) -> None:
        self.page.locator("input[name=name]").fill(name)
        self.page.locator("input[name=password]").fill(password)
        self.page.locator("main button").click()


def copied(owner: Visit, key: str) -> str:
    return owner.page.locator(f"#share-state [data-key=copy-{key}]").get_attribute("data-copy") or ""


def test_a_guest_asks_and_reads_and_the_owner_sees_it_and_ends_it(
        chromium_browser: Browser, app: RunningApp, owner: Visit, ollama: OllamaServer) -> None:
    page = owner.page
    page.locator("#share button").click()
    page.locator("#share-start button, button#share-start").click()
    expect(page.locator("#share-state [data-state=on]")).to_be_visible()
    page.locator("#share-documents button").first.click()
    page.get_by_label("claves.txt").uncheck()
    kept = app.data / "share.json"
    assert wait_for(lambda: kept.is_file() and "claves.txt" in kept.read_text(encoding="utf-8"), 30)

    guest = Guest(chromium_browser, copied(owner, "link"), "en", (390, 844))
    try:
        guest.log_in("guest", "wrong")
        expect(guest.page.locator("p.wrong")).to_have_text(guest.text("login.wrong"))
        guest.problems.clear()  # the browser notes the refusal in its console
        guest.log_in("guest", copied(owner, "password"))
        guest.page.wait_for_selector("#question textarea")
        for missing in ("#drop-documents", "#finetune", "#chat-settings", "#models-panel", "#share", "#model"):
            assert guest.page.locator(missing).count() == 0
        asks_and_reads(guest)
        expect(page.locator("#share-asked")).to_contain_text("¿Cuántas especies tiene el jardín botánico?")
        expect(page.locator("#share-guests li")).to_have_count(1)
        page.locator("#share-guests [data-act=end]").click()
        expect(page.locator("#share-guests li")).to_have_count(0)
        guest.problems.clear()  # the window complains that its connection was cut, as it should
        guest.page.goto(guest.url)
        expect(guest.page.locator("input[name=password]")).to_be_visible()
    finally:
        guest.close()
    assert guest.problems == [] and owner.problems == []


def asks_and_reads(guest: Visit) -> None:
    """What the documents say is answered with its source, what is forbidden is not, and hostile text does nothing."""
    guest.ask("¿Cuántas especies tiene el jardín botánico?")
    guest.wait_for_answer()
    expect(guest.answers.last).to_contain_text("1843")
    guest.ask("¿Cuál es la clave de la caja de Almenara?")
    guest.wait_for_answer()
    assert "730911" not in guest.page.content()
    guest.ask("¿Dónde vive el zorzal secreto?")
    guest.wait_for_answer()
    assert guest.page.evaluate("window.stolen") is None
    assert guest.page.evaluate("document.documentElement.scrollWidth") <= 390
    guest.page.reload()
    guest.page.wait_for_selector("#messages .bot.message")
    guest.problems[:] = [one for one in guest.problems if "AbortError" not in one and "errored out" not in one]


def test_stopping_closes_the_guests_page_and_leaves_the_owners(
        chromium_browser: Browser, app: RunningApp, owner: Visit) -> None:
    page = owner.page
    page.locator("#share button").click()
    if page.locator("#share-state [data-state=on]").count() == 0:
        page.locator("#share-start button, button#share-start").click()
    expect(page.locator("#share-state [data-state=on]")).to_be_visible()
    link, tunnels = copied(owner, "link"), [one for one in app.children() if "fake_tunnel" in " ".join(one.cmdline())]
    assert tunnels
    page.locator("#share-state [data-act=stop]").click()
    expect(page.locator("#share-state [data-state=off]")).to_be_visible()
    assert wait_for(lambda: not any(one.is_running() for one in tunnels), 10)
    context = chromium_browser.new_context()
    with pytest.raises(Exception, match="ERR_CONNECTION_REFUSED"):
        context.new_page().goto(link)
    context.close()
    page.keyboard.press("Escape")
    owner.tab("documents")
    expect(owner.row("jardín.txt")).to_be_visible()
    assert owner.problems == []
