"""The Chat tab's sources, keys, names and drawers in a real browser, on a desktop and on a phone."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import OpenVisit
from tests.browser.test_chat import LONG_REPLY, PUMP_QUESTION, freed
from tests.browser.visit import Visit
from tests.ollama_server import OllamaServer

pytestmark = pytest.mark.browser
PHONE = (390, 844)
RICH = ("La bomba se revisa cada 220 horas [1]. Otro dato [2].\n\n```python\nprint('<b>')\n```\n\n| a | b |\n"
        "|---|---|\n| 1 | 2 |\n\nLa energía es $E = mc^2$ y cuesta $5 o $10. `" + "codigo_largo_" * 12 + "`")


def button(visit: Visit, key: str) -> Locator:
    """A button of the page viewer."""
    return visit.page.locator(f'#page-view button[data-key="{key}"]')


def asked(visit: Visit, question: str = PUMP_QUESTION) -> None:
    visit.ask(question)
    visit.wait_for_answer()


def test_many_sources_scroll_above_the_page_they_come_from(visit: Visit, ollama: OllamaServer) -> None:
    ollama.behave(reply="Cada 220 horas [1].")
    visit.page.locator("#open-settings").click()
    visit.page.locator("#chat-top-k input[type=number]").fill("10")
    visit.page.locator("#chat-top-k input[type=number]").press("Enter")
    visit.page.wait_for_timeout(400)
    visit.page.locator("#chat-settings .drawer-close").click()
    asked(visit)
    expect(visit.page.locator("#sources .source")).to_have_count(10)
    last = visit.page.locator("#sources .source").last
    toolbar = button(visit, "chat.zoom_in").bounding_box()
    last.scroll_into_view_if_needed()
    shown = last.bounding_box()
    assert shown and toolbar and shown["y"] + shown["height"] <= toolbar["y"]


def test_pages_and_sources_are_turned_and_enlarged_also_by_keys(visit: Visit, ollama: OllamaServer) -> None:
    ollama.behave(reply="Cada 220 horas [1]. Y más [2].")
    asked(visit)
    picture = visit.page.locator("#page-view img")
    expect(picture).to_have_attribute("alt", re.compile("bombas.pdf · .*2"))
    highlighted = picture.get_attribute("src")
    button(visit, "chat.page_before").click()
    expect(picture).to_have_attribute("alt", re.compile("bombas.pdf · .*1"))
    assert picture.get_attribute("src") != highlighted
    expect(button(visit, "chat.page_before")).to_be_disabled()
    expect(visit.page.locator("#page-view figure.page")).to_be_focused()  # the button it was on went off
    visit.page.keyboard.press("PageDown")
    expect(picture).to_have_attribute("src", highlighted or "")
    width = picture.bounding_box()["width"]  # type: ignore[index]
    button(visit, "chat.zoom_in").click()
    button(visit, "chat.zoom_in").click()
    assert picture.bounding_box()["width"] > 1.5 * width  # type: ignore[index]
    visit.page.locator("#page-view figure.page").focus()
    visit.page.keyboard.press("0")
    assert picture.bounding_box()["width"] == pytest.approx(width, abs=20)  # type: ignore[index]
    button(visit, "chat.source_after").click()
    expect(visit.page.locator("#sources button[aria-current=true] .number")).to_have_text("2")
    expect(button(visit, "chat.source_before")).to_be_enabled()


def test_code_tables_and_formulas_are_shown_as_such(visit: Visit, ollama: OllamaServer) -> None:
    ollama.behave(reply=RICH)
    asked(visit)
    answer = visit.answers.last
    expect(answer.locator("table td").first).to_have_text("1")
    expect(answer.locator(".katex")).to_have_count(1)
    expect(answer).to_contain_text("cuesta $5 o $10")
    expect(answer.locator("pre code")).to_have_text("print('<b>')")
    expect(answer.get_by_role("button", name=visit.text("chat.copy_code"))).to_be_attached()


def test_what_is_copied_is_what_the_model_wrote(visit: Visit, ollama: OllamaServer) -> None:
    ollama.behave(reply=RICH)
    asked(visit)
    visit.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit.page.locator("#messages").get_by_role("button", name=visit.text("chat.copy"), exact=True).last.click()
    visit.page.wait_for_function("async () => (await navigator.clipboard.readText()).startsWith('La bomba')")
    copied = visit.page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("La bomba se revisa cada 220 horas [1]. Otro dato [2].") and "#source-" not in copied


def test_keys_stop_an_answer_begin_a_new_conversation_and_break_lines(visit: Visit, ollama: OllamaServer) -> None:
    ollama.behave(fault="stall_middle", reply=LONG_REPLY)
    visit.question.fill("Primera línea")
    visit.question.press("Shift+Enter")
    visit.page.keyboard.type("¿Cada cuánto se revisa la bomba X22?")
    visit.question.press("Enter")
    expect(visit.page.locator("#messages .user.message")).to_contain_text("Primera línea")
    expect(visit.answers.last).to_contain_text("palabra1")
    visit.page.keyboard.press("Escape")
    assert freed(ollama)
    visit.wait_for_answer()
    expect(visit.answers.last).to_contain_text(visit.text("chat.stopped"))
    expect(visit.question).to_be_focused()
    visit.page.keyboard.press("Control+k")
    visit.page.keyboard.type("¿Y la X21?")  # at once, while the page still shows the old conversation
    expect(visit.page.locator("#messages .message")).to_have_count(0)
    expect(visit.question).to_have_value("¿Y la X21?")


@pytest.mark.parametrize("language", ["es", "en"])
def test_those_who_do_not_see_the_page_hear_names_in_their_language_and_the_end_of_an_answer(
    open_visit: OpenVisit, ollama: OllamaServer, language: str
) -> None:
    visit = open_visit(language)
    asked(visit)
    log = visit.page.locator("#messages [role=log]")
    expect(log).to_have_attribute("aria-live", "off")  # not every token
    expect(log).to_have_attribute("aria-label", visit.text("chat.conversation"))
    expect(visit.page.locator("#spoken [role=status]")).to_have_text(visit.text("chat.said_done"))
    expect(visit.page.locator("#messages [data-testid=bot]").last).to_have_attribute(
        "aria-label", visit.text("chat.answer"))
    expect(visit.page.get_by_role("navigation", name=visit.text("chat.conversations"))).to_be_visible()
    expect(visit.page.get_by_role("meter")).to_be_visible()
    nameless = visit.page.locator("#tab-chat, body").first.evaluate("""(root) => [...root.querySelectorAll('button')]
        .filter((one) => one.checkVisibility() && !one.textContent.trim() && !one.getAttribute('aria-label')
                && !one.title).map((one) => one.outerHTML.slice(0, 200))""")
    assert nameless == []


def test_on_a_phone_list_sources_and_settings_are_drawers(open_visit: OpenVisit, ollama: OllamaServer) -> None:
    visit = open_visit(size=PHONE)
    ollama.behave(reply=RICH)
    asked(visit)
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    visit.page.locator("#messages a[href*='#source-']").first.click()
    expect(visit.page.locator("#page-view img")).to_be_in_viewport()
    expect(visit.page.locator("#evidence .drawer-close")).to_be_focused()
    visit.page.keyboard.press("Escape")
    expect(visit.page.locator("#page-view img")).not_to_be_in_viewport()
    visit.page.locator("[data-drawer=list]").first.click()
    expect(visit.page.locator("#conversation-list li").first).to_be_in_viewport()
    visit.page.mouse.click(PHONE[0] - 10, 400)
    expect(visit.page.locator("#conversation-list li").first).not_to_be_in_viewport()
    visit.page.locator("[data-drawer=list]").first.click()
    visit.page.locator("#new-conversation").click()
    expect(visit.page.locator("#conversation-list li").first).not_to_be_in_viewport()
    visit.page.locator("#open-settings").click()
    expect(visit.page.locator("#chat-mode")).to_be_in_viewport()


def test_the_engines_line_opens_the_models_from_every_tab(visit: Visit) -> None:
    visit.tab("documents")
    visit.page.locator("#engine button").click()
    expect(visit.page.locator("#models-panel")).to_be_in_viewport()
    expect(visit.page.locator("#models-panel .drawer-close")).to_be_focused()
    visit.page.keyboard.press("Escape")
    expect(visit.page.locator("#models-panel")).not_to_be_in_viewport()
    expect(visit.page.locator("#engine button")).to_be_focused()


def test_a_model_that_loads_and_a_queue_say_so(open_visit: OpenVisit, ollama: OllamaServer) -> None:
    ollama.behave(fault="stall_middle", reply=LONG_REPLY)
    first, second = open_visit(), open_visit()
    first.ask(PUMP_QUESTION)
    expect(first.answers.last).to_contain_text("bomba")
    second.ask(PUMP_QUESTION)
    expect(second.answers.last).to_contain_text(second.text("chat.waiting", place=1))
    first.stop.click()
    expect(second.answers.last).to_contain_text("220 horas")
    second.stop.click()
    second.wait_for_answer()
