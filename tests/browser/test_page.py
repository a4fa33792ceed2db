"""The page as a whole: its language, a phone's width, the engine's absence."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import MODELS, OpenVisit, app_with_documents, indexed
from tests.browser.visit import Visit
from tests.ollama_server import OllamaServer
from tests.running_app import RunningApp
from ui.i18n import LANGUAGES, texts

pytestmark = pytest.mark.browser
TABS = ("documents", "chat", "finetune")
PHONE = (390, 844)
SHORTEST = 9  # letters; shorter texts stand in both languages' words


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, ollama_server: OllamaServer,
            chromium_browser: Browser) -> Iterator[RunningApp]:
    """One of its own: the conversations and models that other tests leave would stand on the page too."""
    with app_with_documents(tmp_path_factory.mktemp("page"), ollama_server.url) as running:
        yield indexed(running, chromium_browser)


def wrong_words(visit: Visit) -> list[str]:
    """Texts of the other language that can be read on the page."""
    own, other = texts(visit.language), texts("en" if visit.language == "es" else "es")
    shown = visit.page.locator("body").inner_text()
    return [text for key, text in other.items()
            if len(text) >= SHORTEST and "{" not in text and text != own[key] and text in shown]


def check_language(visit: Visit) -> None:
    assert visit.page.evaluate("document.documentElement.lang") == visit.language
    for name in TABS:
        visit.tab(name)
        visit.page.wait_for_timeout(300)
        assert wrong_words(visit) == []
    visit.tab("documents")
    expect(visit.page.locator("#sync-folder")).to_have_text(visit.text("documents.sync"))
    expect(visit.page.locator("#documents th.name")).to_contain_text(visit.text("documents.column_name"))
    visit.tab("chat")
    expect(visit.question).to_have_attribute("placeholder", visit.text("chat.placeholder"))
    expect(visit.page.locator("#messages")).to_contain_text(visit.text("chat.welcome_title"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_speaks_the_browsers_language(open_visit: OpenVisit, language: str) -> None:
    check_language(open_visit(language))


def test_the_switch_changes_every_word_and_is_remembered(visit: Visit) -> None:
    visit.switch_to("en")
    check_language(visit)
    visit.reload()
    check_language(visit)
    expect(visit.page.locator("#language button[data-language=en]")).to_have_attribute("aria-pressed", "true")
    visit.switch_to("es")
    check_language(visit)


def test_nothing_is_wider_than_a_phone(open_visit: OpenVisit, ollama: OllamaServer) -> None:
    ollama.behave(reply="La bomba **X22** se revisa cada 220 horas [1].\n\n| a | b |\n|---|---|\n| " + "larga" * 30
                        + " | 2 |\n\n`" + "x" * 200 + "`")
    visit = open_visit("es", PHONE)
    visit.ask("¿Cada cuánto se revisa la bomba X22?")
    visit.wait_for_answer()
    for name in TABS:
        visit.tab(name)
        visit.page.wait_for_timeout(300)
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= PHONE[0], name


def test_without_a_model_answers_quote_the_documents_and_the_page_says_how_to_get_one(
    open_visit: OpenVisit, ollama: OllamaServer
) -> None:
    visit = open_visit()
    ollama.models.clear()
    try:
        visit.page.wait_for_selector("#engine .pill.plain")  # the engines are looked at every ten seconds
        expect(visit.page.locator("#engine")).to_contain_text(visit.text("engine.name_passages"))
        expect(visit.page.locator("#engine-note")).to_contain_text("ollama pull")
        visit.ask("¿Cuántas especies tiene el jardín botánico?")
        visit.wait_for_answer()
        expect(visit.answers.last.locator("blockquote").first).to_contain_text("1843 especies")
        expect(visit.answers.last.locator("a").first).to_have_text("[1]")
        assert ollama.chats == [] or "jardín botánico" not in str(ollama.chats[-1]["messages"][-1])
    finally:
        ollama.models.update(MODELS)
