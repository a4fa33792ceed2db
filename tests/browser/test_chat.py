"""The Chat tab in a real browser: answers that stream, citations that lead to the page, stops, and hostile text."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import GARDEN, HOSTILE, OpenVisit
from tests.browser.visit import Visit
from tests.ollama_server import OllamaServer
from tests.running_app import RunningApp

pytestmark = pytest.mark.browser
PUMP_QUESTION = "¿Cada cuánto se revisa la bomba X22?"
LONG_REPLY = "La bomba X22 se revisa cada 220 horas [1]. " + " ".join(f"palabra{number}" for number in range(200))


class Tracker:
    """Another host, which would like to hear from the page; `requests` are the paths it was asked for."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        asked = self.requests

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://localhost:{self.server.server_port}"


@pytest.fixture
def tracker() -> Iterator[Tracker]:
    tracker = Tracker()
    threading.Thread(target=tracker.server.serve_forever, daemon=True).start()
    yield tracker
    tracker.server.shutdown()
    tracker.server.server_close()


def freed(ollama: OllamaServer) -> bool:
    """Whether nobody waits for the model any more; how soon is held to a figure where no browser takes its time."""
    return ollama.wait_until(lambda: ollama.active_chats == 0)


def test_an_answer_grows_and_its_citations_show_the_page(visit: Visit, ollama: OllamaServer) -> None:
    ollama.behave(tokens_per_second=12, thinking="Hmm, la bomba.",
                  reply="La bomba X22 se revisa cada 220 horas [1]. Otra cosa dice el segundo [2]. Nada más [9].")
    visit.ask(PUMP_QUESTION)
    expect(visit.answers.last).to_contain_text("La bomba X22")
    early = visit.answers.last.inner_text()
    expect(visit.answers.last).to_contain_text("220 horas")
    assert len(visit.answers.last.inner_text()) > len(early)
    assert ollama.active_chats == 1  # seen while it is being written
    visit.wait_for_answer()
    answer = visit.answers.last
    assert answer.locator("a").all_inner_texts() == ["[1]", "[2]"]
    assert "[9]" not in answer.inner_text()

    cards = visit.page.locator("#sources button.source")
    expect(cards.first).to_have_attribute("aria-current", "true")
    expect(cards.first).to_contain_text("bombas.pdf")
    picture = visit.page.locator("#page-view img")
    expect(picture).to_have_attribute("src", re.compile("^data:image/webp;base64,"))
    assert picture.evaluate("image => image.naturalWidth") > 300

    cards.nth(1).click()
    expect(cards.nth(1)).to_have_attribute("aria-current", "true")
    answer.locator("a", has_text="[1]").click()
    expect(cards.first).to_have_attribute("aria-current", "true")
    expect(picture).to_have_attribute("alt", re.compile("bombas.pdf"))
    assert "#" not in visit.page.url.removeprefix(visit.url)


def test_the_passage_of_a_text_is_marked_where_it_stands(visit: Visit, ollama: OllamaServer) -> None:
    visit.ask("¿Cuántas especies tiene el jardín botánico de Almenara?")
    visit.wait_for_answer()
    expect(visit.page.locator("#page-view mark")).to_have_text(GARDEN)


def test_a_second_question_goes_with_the_first_ones_answer(visit: Visit, ollama: OllamaServer) -> None:
    for reply, question in (("Cada 220 horas [1].", PUMP_QUESTION), ("El técnico [1].", "¿Y quién firma?")):
        ollama.behave(reply=reply)
        visit.ask(question)
        expect(visit.answers.last).to_contain_text(reply.split(" [")[0])
        visit.wait_for_answer()
    contents = [message["content"] for message in ollama.chats[-1]["messages"]]
    assert PUMP_QUESTION in contents and any("220 horas" in content for content in contents[2:3])
    # Each citation leads to its own turn's passages.
    visit.page.locator('#messages a[href*="#source-0-1"]').click()
    expect(visit.page.locator("#sources button[data-turn='0']").first).to_be_visible()


def test_stop_in_the_middle_keeps_what_was_written_and_frees_the_model(visit: Visit, ollama: OllamaServer) -> None:
    ollama.behave(fault="stall_middle", reply=LONG_REPLY)
    visit.ask(PUMP_QUESTION)
    expect(visit.answers.last).to_contain_text("palabra2")
    visit.stop.click()
    assert freed(ollama)
    visit.wait_for_answer()
    expect(visit.answers.last).to_contain_text(visit.text("chat.stopped"))
    expect(visit.answers.last).to_contain_text("palabra2")
    ollama.behave(fault="none", reply="Sigue aquí [1].")
    visit.ask("¿Sigues?")
    expect(visit.answers.last).to_contain_text("Sigue aquí")


def test_stop_before_the_first_word_frees_the_model(visit: Visit, ollama: OllamaServer) -> None:
    ollama.behave(fault="stall_before")
    visit.ask(PUMP_QUESTION)
    expect(visit.answers.last).to_contain_text(visit.text("chat.status_model"))
    assert ollama.wait_until(lambda: ollama.active_chats == 1)
    visit.stop.click()
    assert freed(ollama)
    visit.wait_for_answer()
    expect(visit.answers.last).to_contain_text(visit.text("chat.stopped"))


def test_closing_the_window_frees_the_model(open_visit: OpenVisit, ollama: OllamaServer) -> None:
    ollama.behave(fault="stall_middle", reply=LONG_REPLY)
    visit = open_visit()
    visit.ask(PUMP_QUESTION)
    expect(visit.answers.last).to_contain_text("bomba")
    visit.page.close()
    assert freed(ollama)


@pytest.mark.parametrize(("number", "language"), [(1, "es"), (3, "en")])
def test_an_example_question_is_answered(
    open_visit: OpenVisit, ollama: OllamaServer, number: int, language: str
) -> None:
    visit = open_visit(language)
    visit.page.locator(f"#example-{number}").click()
    expect(visit.page.locator("#messages .user.message")).to_have_text(visit.text(f"chat.example_{number}"))
    expect(visit.answers.last.locator("a[href*='#source-']").first).to_have_text("[1]")
    visit.wait_for_answer()
    expect(visit.page.locator("#sources button.source").first).to_contain_text("Taller")
    expect(visit.page.locator("#example-1")).to_be_hidden()


@pytest.mark.parametrize("in_the_middle", [False, True])
def test_a_new_conversation_is_empty_and_stays_so(visit: Visit, ollama: OllamaServer, in_the_middle: bool) -> None:
    ollama.behave(tokens_per_second=15 if in_the_middle else 0, reply=LONG_REPLY)
    visit.ask(PUMP_QUESTION)
    expect(visit.answers.last).to_contain_text("220")
    if not in_the_middle:
        visit.wait_for_answer()
    visit.page.locator("#new-conversation").click()
    expect(visit.page.locator("#messages .message")).to_have_count(0)
    assert freed(ollama)
    visit.page.wait_for_timeout(700)  # longer than an update takes: nothing may come back
    expect(visit.page.locator("#messages .message")).to_have_count(0)
    expect(visit.page.locator("#sources button.source")).to_have_count(0)
    expect(visit.page.locator("#example-1")).to_be_visible()
    ollama.behave(tokens_per_second=0, reply="Otra vez [1].")
    visit.ask("¿Otra vez?")
    expect(visit.answers).to_have_count(1)
    visit.wait_for_answer()
    assert len(ollama.chats[-1]["messages"]) == 2  # the model hears nothing of what was put away


def test_an_engine_that_dies_in_the_middle_is_said_and_what_it_wrote_stays(visit: Visit, ollama: OllamaServer) -> None:
    ollama.behave(fault="break_middle", tokens_per_second=100, reply=LONG_REPLY)
    visit.ask(PUMP_QUESTION)
    expect(visit.answers.last).to_contain_text(visit.text("error.engine_broken_stream"))
    expect(visit.answers.last).to_contain_text("palabra2")
    visit.wait_for_answer()


def test_a_model_that_does_not_fit_is_said_with_what_to_do(visit: Visit, ollama: OllamaServer) -> None:
    ollama.behave(fault="out_of_memory")
    visit.ask(PUMP_QUESTION)
    expect(visit.answers.last).to_contain_text(visit.text("error.engine_out_of_memory", model="gpt-oss:20b"))
    visit.wait_for_answer()


def test_another_model_answers_when_it_is_picked(visit: Visit, ollama: OllamaServer) -> None:
    visit.pick("llama3.2:3b")
    visit.ask(PUMP_QUESTION)
    visit.wait_for_answer()
    assert ollama.chats[-1]["model"] == "llama3.2:3b"


def test_hostile_text_runs_nothing_and_reaches_no_other_host(
    chromium_browser: Browser, library: RunningApp, ollama: OllamaServer, tracker: Tracker
) -> None:
    visit = Visit(chromium_browser, library.url)
    image = f"{tracker.url}/leak.png"
    ollama.behave(thinking=f"{HOSTILE} ![leak]({image})",
                  reply=f"{HOSTILE} [1] ![leak]({image}) <img src='{image}' onerror='window.stolen=4'>"
                        f"<video src='{image}' autoplay></video><iframe src='{image}'></iframe>"
                        "<svg onload='window.stolen=5'></svg>"
                        f"<style>body{{display:none; background: url({image})}}</style>"
                        f"<link rel=stylesheet href={image}><form action={image}><input autofocus></form>"
                        f"\n\n![a][b] $\\includegraphics{{{image}}}$ [x](#source-0-2)\n\n[b]: {image}")
    visit.ask("¿Dónde vive el zorzal secreto de Trebolina?")
    visit.wait_for_answer()
    expect(visit.page.locator("#page-view mark")).to_have_text(HOSTILE)
    expect(visit.page.locator("#sources button.source").first).to_contain_text("<script>")
    shown = visit.page.locator("#messages [data-testid=bot]")
    for link in shown.locator("a").all():
        assert not (link.get_attribute("href") or "").lower().startswith("javascript:")
    visit.page.wait_for_timeout(500)
    assert tracker.requests == []
    assert visit.page.evaluate("window.stolen") is None
    assert shown.locator(":is(script, iframe, style, img, video, form, [onload], [onerror])").count() == 0
    expect(shown.last).to_contain_text(f"![leak]({image})")
    assert visit.page.locator("body").is_visible()
    assert visit.problems == []  # not even a broken picture that the page's policy blocked
    visit.close()


def test_a_passage_cannot_leave_its_place_in_the_prompt(visit: Visit, ollama: OllamaServer) -> None:
    visit.ask("¿Dónde vive el zorzal secreto de Trebolina?")
    visit.wait_for_answer()
    asked = ollama.chats[-1]["messages"][-1]["content"]
    assert "zorzal secreto" in asked
    assert asked.count("</passage>") == asked.count("<passage ")


def test_a_question_that_cannot_be_asked_gets_a_sentence_and_stays_in_the_box(
    visit: Visit, ollama: OllamaServer
) -> None:
    before = len(ollama.chats)
    visit.submit("   ")
    expect(visit.answers.last).to_contain_text(visit.text("error.question_empty"))
    visit.submit("x" * 10_000)
    sentence = visit.text("error.question_too_long", length=10_000, limit=8000)
    expect(visit.answers.last).to_contain_text(sentence)
    expect(visit.question).to_have_value("x" * 10_000)
    expect(visit.send).to_be_visible()
    assert len(ollama.chats) == before


def test_a_file_dropped_onto_the_chat_joins_the_documents(visit: Visit, ollama: OllamaServer, tmp_path: Path) -> None:
    file = tmp_path / "mareas.txt"
    file.write_text("La marea alta de Portosín llega a 4 metros y 12 centímetros en marzo.", encoding="utf-8")
    visit.page.set_input_files("#question input[type=file]", str(file))
    expect(visit.page.locator("#question .thumbnail-item, #question .file")).not_to_have_count(0)
    visit.question.press("Enter")
    expect(visit.answers.last).to_contain_text(visit.text("documents.added.one", count=1))
    visit.tab("documents")
    visit.expect_state("mareas.txt", "indexed")
