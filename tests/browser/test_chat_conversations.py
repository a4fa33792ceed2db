"""Conversations in a real browser: kept over reloads, found, renamed, deleted and brought back, exported; questions
edited and asked again; what each conversation is answered with."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, expect

from core.chat.exports import turn_from
from core.chat.turns import Turn
from tests.browser.conftest import OpenVisit
from tests.browser.test_chat import LONG_REPLY, PUMP_QUESTION
from tests.browser.visit import Visit
from tests.ollama_server import OllamaServer
from tests.running_app import RunningApp

pytestmark = pytest.mark.browser
REPLY = "Cada 220 horas [1]."


def row(visit: Visit, title: str) -> Locator:
    """A conversation's line in the list."""
    return visit.page.locator("#conversation-list li").filter(has=visit.page.get_by_text(title, exact=True))


def act(visit: Visit, title: str, name: str) -> None:
    """An entry of a conversation's menu."""
    row(visit, title).first.hover()
    row(visit, title).first.locator("summary").click()
    row(visit, title).first.locator(f"[data-act={name}]").click()


def asked(visit: Visit, question: str) -> None:
    visit.ask(question)
    visit.wait_for_answer()


def questions(visit: Visit) -> Locator:
    return visit.page.locator("#messages .user.message")


def test_a_conversation_is_there_after_a_reload_in_a_second_window_and_in_the_other_language(
    visit: Visit, ollama: OllamaServer
) -> None:
    ollama.behave(reply=REPLY)
    asked(visit, PUMP_QUESTION)
    visit.reload()
    expect(questions(visit)).to_have_text([PUMP_QUESTION])
    expect(visit.answers.last).to_contain_text("220 horas")
    expect(visit.page.locator("#sources button[aria-current=true]")).to_contain_text("bombas.pdf")
    expect(visit.page.locator("#example-1")).to_be_hidden()
    second = visit.page.context.new_page()
    second.goto(visit.url)
    expect(second.locator("#messages .user.message")).to_have_text(PUMP_QUESTION)
    second.close()
    visit.switch_to("en")
    expect(questions(visit)).to_have_text([PUMP_QUESTION])
    asked(visit, "¿Y quién firma?")
    assert PUMP_QUESTION in json.dumps(ollama.chats[-1]["messages"], ensure_ascii=False)


def test_old_conversations_are_opened_renamed_deleted_and_brought_back(visit: Visit, ollama: OllamaServer) -> None:
    ollama.behave(reply=REPLY)
    first, second = f"¿Bomba {time.time()}?", f"¿Jardín {time.time()}?"
    asked(visit, first)
    visit.page.keyboard.press("Control+k")
    expect(questions(visit)).to_have_count(0)
    asked(visit, second)
    row(visit, first).locator(".open").click()
    expect(questions(visit)).to_have_text([first])
    act(visit, first, "rename")
    field = visit.page.locator("#conversation-list input.rename")
    field.fill("<b>Bombas</b> " + first)
    field.press("Enter")
    named = "<b>Bombas</b> " + first
    expect(row(visit, named)).to_be_visible()
    act(visit, named, "delete")
    expect(row(visit, named)).to_have_count(0)
    expect(questions(visit)).to_have_count(0)
    visit.page.locator("#conversation-list [data-act=undo]").click()
    row(visit, named).locator(".open").click()
    expect(questions(visit)).to_have_text([first])
    visit.page.locator("#find-conversation").locator("input, textarea").fill(second[-12:])
    expect(row(visit, named)).to_have_count(0)
    expect(row(visit, second)).to_be_visible()


def test_a_conversation_is_exported_with_its_sources(visit: Visit, ollama: OllamaServer, tmp_path: Path) -> None:
    ollama.behave(reply=REPLY)
    question = f"¿Cada cuánto se revisa la bomba X22 ({time.time()})?"
    asked(visit, question)
    for kind, ending in (("markdown", ".md"), ("json", ".json")):
        with visit.page.expect_download() as download:
            act(visit, question, kind)
        assert download.value.suggested_filename.endswith(ending)
        download.value.save_as(tmp_path / f"exported{ending}")
    text = (tmp_path / "exported.md").read_text("utf-8")
    assert "220 horas" in text and "bombas.pdf" in text and visit.text("chat.export_sources") in text
    assert json.loads((tmp_path / "exported.json").read_text("utf-8"))["turns"][0]["question"] == question


def test_a_question_is_edited_and_asked_anew_and_an_answer_written_again(visit: Visit, ollama: OllamaServer) -> None:
    ollama.behave(reply="Primera [1].")
    asked(visit, PUMP_QUESTION)
    asked(visit, "¿Y quién firma?")
    ollama.behave(reply="Segunda [1].")
    questions(visit).first.hover()
    visit.page.get_by_role("button", name="Editar").first.click()
    visit.page.locator("#messages textarea").fill("¿Cada cuánto se revisa la bomba X21?")
    visit.page.locator("#messages .message-buttons button").first.click()
    expect(questions(visit)).to_have_text(["¿Cada cuánto se revisa la bomba X21?"])
    expect(visit.answers.last).to_contain_text("Segunda")
    visit.wait_for_answer()
    ollama.behave(reply="Tercera [1].")
    visit.page.locator("#messages").get_by_role("button", name="Reintentar").click()
    expect(visit.answers.last).to_contain_text("Tercera")
    visit.wait_for_answer()
    visit.reload()
    expect(questions(visit)).to_have_count(1)
    expect(visit.answers.last).to_contain_text("Tercera")


def test_after_a_failure_the_question_can_be_tried_again(visit: Visit, ollama: OllamaServer) -> None:
    ollama.behave(fault="out_of_memory")
    asked(visit, PUMP_QUESTION)
    ollama.behave(fault=None, reply=REPLY)
    visit.page.get_by_role("button", name=visit.text("chat.try_again")).click()
    expect(visit.answers.last).to_contain_text("220 horas")
    expect(questions(visit)).to_have_count(1)
    visit.wait_for_answer()


def test_what_is_not_in_the_documents_may_be_answered_by_the_model_and_is_marked(
    visit: Visit, ollama: OllamaServer
) -> None:
    before = len(ollama.chats)
    asked(visit, "¿Quién pintó la Mona Lisa del Louvre de París?")
    expect(visit.answers.last).to_contain_text(visit.text("chat.nothing_no_match"))
    assert len(ollama.chats) == before  # the model was not asked
    ollama.behave(reply="La pintó Leonardo.")
    visit.page.get_by_role("button", name=visit.text("chat.answer_freely")).click()
    expect(visit.answers.last).to_contain_text("Leonardo")
    visit.wait_for_answer()
    expect(visit.answers.last).to_contain_text(visit.text("chat.from_model"))
    visit.page.locator("#open-settings").click()
    expect(visit.page.get_by_label(visit.text("chat.mode_free"))).to_be_checked()


def test_each_conversation_is_answered_as_it_was_set(visit: Visit, ollama: OllamaServer) -> None:
    ollama.behave(reply=REPLY)
    visit.pick("llama3.2:3b")
    visit.page.locator("#open-settings").click()
    visit.page.locator("#chat-system textarea").fill("Responde como un capitán.")
    visit.page.locator("#chat-temperature input").fill("0.3")
    documents = visit.page.locator("#chat-sources input")
    documents.click()
    visit.page.get_by_role("option", name="bombas.pdf").click()
    visit.page.keyboard.press("Escape")
    visit.page.wait_for_timeout(400)
    visit.page.locator("#chat-settings .drawer-close").click()
    asked(visit, PUMP_QUESTION)
    chat = ollama.chats[-1]
    assert chat["model"] == "llama3.2:3b" and chat["options"]["temperature"] == 0.3
    assert "capitán" in chat["messages"][0]["content"]
    assert "jardín.txt" not in chat["messages"][-1]["content"]
    visit.reload()
    expect(visit.page.locator("#engine")).to_contain_text("llama3.2:3b")
    visit.page.locator("#open-settings").click()
    expect(visit.page.locator("#chat-system textarea")).to_have_value("Responde como un capitán.")
    expect(visit.page.locator("#chat-sources")).to_contain_text("bombas.pdf")


def test_closing_the_window_keeps_what_was_written(
    open_visit: OpenVisit, ollama: OllamaServer, library: RunningApp
) -> None:
    ollama.behave(fault="stall_middle", reply=LONG_REPLY)
    visit = open_visit()
    question = f"¿Cada cuánto se revisa la bomba X22 ({time.time()})?"
    visit.ask(question)
    expect(visit.answers.last).to_contain_text("palabra2")
    visit.page.close()
    assert ollama.wait_until(lambda: ollama.active_chats == 0, seconds=5)
    assert ollama.wait_until(lambda: saved_turn(library, question).state == "stopped", seconds=3)
    assert "palabra2" in saved_turn(library, question).answer


def saved_turn(app: RunningApp, question: str) -> Turn:
    """As the app keeps it, read from a copy of its file."""
    source = sqlite3.connect(app.data / "conversations.sqlite3")
    copied = sqlite3.connect(app.data / "copy.sqlite3")
    source.backup(copied)
    source.close()
    # A reader of ours would stop what is running.
    (content,) = copied.execute("SELECT content FROM turns WHERE instr(content, ?)", (question[:20],)).fetchall()[-1]
    copied.close()
    return turn_from(json.loads(content))


def test_a_long_conversation_shows_its_end_and_the_rest_when_asked(
    visit: Visit, ollama: OllamaServer, library: RunningApp
) -> None:
    ollama.behave(reply=REPLY)
    asked(visit, PUMP_QUESTION)
    conversation_id = visit.page.evaluate("sessionStorage.getItem('taller_conversation')")
    db = sqlite3.connect(library.data / "conversations.sqlite3", timeout=10)
    template = json.loads(db.execute("SELECT content FROM turns WHERE conversation = ?",
                                     (conversation_id,)).fetchone()[0])
    for number in range(80):
        turn = {**template, "id": f"{conversation_id}-{number}", "question": f"pregunta {number}"}
        db.execute("INSERT INTO turns (id, conversation, state, content, folded) VALUES (?, ?, 'done', ?, '')",
                   (turn["id"], conversation_id, json.dumps(turn)))
    db.commit()
    db.close()
    visit.reload()
    expect(questions(visit)).to_have_count(50)
    visit.page.locator("#earlier").click()
    expect(questions(visit)).to_have_count(81)
    expect(visit.page.locator("#earlier")).to_be_hidden()
    # A citation far up still leads to its own turn.
    visit.page.locator('#messages a[href*="#source-3-1"]').click()
    expect(visit.page.locator("#sources button[data-turn='3']").first).to_be_visible()


def test_the_address_holds_nothing_of_a_conversation(visit: Visit, ollama: OllamaServer) -> None:
    asked(visit, PUMP_QUESTION)
    assert urlsplit(visit.page.url).fragment == "" and urlsplit(visit.page.url).query == ""


def test_a_second_window_catches_up_and_keeps_what_is_typed_there(visit: Visit, ollama: OllamaServer) -> None:
    ollama.behave(reply=REPLY)
    asked(visit, PUMP_QUESTION)
    second = visit.page.context.new_page()
    second.goto(visit.url)
    expect(second.locator("#messages .user.message")).to_have_count(1)
    second.locator("#question textarea").fill("a medias")
    asked(visit, "¿Y quién firma?")
    expect(second.locator("#messages .user.message")).to_have_text([PUMP_QUESTION, "¿Y quién firma?"])
    expect(second.locator("#messages .bot.message").last).to_contain_text("220 horas")
    expect(second.locator("#question textarea")).to_have_value("a medias")
    second.close()
