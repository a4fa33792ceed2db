"""The table of documents in a real browser: looked at, acted upon and looked into, with mouse and keyboard."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import OpenVisit
from tests.browser.visit import Visit
from tests.core.documents.conftest import write_pdf, write_slow_pdf
from tests.running_app import RunningApp

pytestmark = pytest.mark.browser

WORDS = "marea viento faro ancla vela puerto bruma remo proa quilla timón gaviota"


@pytest.fixture
def documents(visit: Visit) -> Visit:
    """A window with the tab open."""
    visit.tab("documents")
    visit.row("bombas.pdf").wait_for()
    return visit


@pytest.fixture(scope="module")
def boats(library: RunningApp) -> Iterator[Path]:
    """A folder of three documents; taken away afterwards."""
    folder = library.docs / "barcos"
    folder.mkdir()
    for number, name in enumerate(("uno", "dos", "tres"), start=1):
        (folder / f"{name}.txt").write_text(f"El velero {name} zarpa. " + f"{WORDS} {name}. " * 200 * number, "utf-8")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def shelf(documents: Visit, boats: Path) -> Visit:
    """The three documents, seen alone through the filter."""
    look_for(documents, "barcos")
    expect(rows(documents)).to_have_count(3)
    for name in ("uno", "dos", "tres"):
        documents.expect_state(f"barcos/{name}.txt", "indexed")
    return documents


def look_for(visit: Visit, text: str) -> None:
    visit.page.locator("#filter-documents input, #filter-documents textarea").fill(text)


def rows(visit: Visit) -> Locator:
    return visit.page.locator("#documents tbody tr")


def names(visit: Visit) -> list[str]:
    return [str(name) for name in rows(visit).evaluate_all("rows => rows.map((row) => row.dataset.source)")]


def act(visit: Visit, act: str, source: str) -> Locator:
    return visit.page.get_by_role("button", name=visit.text(f"documents.{act}", source=source), exact=True)


def box(visit: Visit, source: str) -> Locator:
    return visit.page.get_by_role("checkbox", name=visit.text("documents.choose", source=source))


def test_a_click_on_a_head_sorts_and_another_turns_it_round(shelf: Visit) -> None:
    head = shelf.page.locator("#documents th.size")
    order = ["barcos/uno.txt", "barcos/dos.txt", "barcos/tres.txt"]
    for direction, expected in (("ascending", order), ("descending", order[::-1])):
        head.get_by_role("button").press("Enter")
        expect(head).to_have_attribute("aria-sort", direction)
        assert names(shelf) == expected
        expect(head.get_by_role("button")).to_be_focused()


def test_the_filter_keeps_its_text_and_the_focus_while_the_table_changes(
    shelf: Visit, library: RunningApp
) -> None:
    field = shelf.page.locator("#filter-documents input, #filter-documents textarea")
    look_for(shelf, "barcos NUEVO")
    expect(rows(shelf)).to_have_count(0)
    (library.docs / "barcos" / "nuevo.txt").write_text("El velero nuevo zarpa.", "utf-8")
    shelf.expect_state("barcos/nuevo.txt", "indexed")  # found by itself: the folder is watched
    expect(field).to_be_focused()
    expect(field).to_have_value("barcos NUEVO")
    assert names(shelf) == ["barcos/nuevo.txt"]
    (library.docs / "barcos" / "nuevo.txt").unlink()
    expect(rows(shelf)).to_have_count(0)


def test_several_documents_are_removed_together_and_come_back_together(shelf: Visit, library: RunningApp) -> None:
    box(shelf, "barcos/uno.txt").check()
    box(shelf, "barcos/tres.txt").check()
    bar = shelf.page.locator("#documents .selection")
    expect(bar).to_contain_text(shelf.text("documents.chosen.many", count=2))
    act(shelf, "reindex", "barcos/dos.txt").click()  # the table is drawn anew under the ticks
    shelf.expect_state("barcos/dos.txt", "indexed")
    expect(box(shelf, "barcos/uno.txt")).to_be_checked()
    bar.get_by_role("button", name=shelf.text("documents.remove_chosen")).click()
    expect(rows(shelf)).to_have_count(1)
    expect(bar).to_be_hidden()
    assert not (library.docs / "barcos" / "uno.txt").exists()
    shelf.page.locator("#undo-remove").click()
    for name in ("uno", "tres"):
        shelf.expect_state(f"barcos/{name}.txt", "indexed")
    expect(box(shelf, "barcos/uno.txt")).not_to_be_checked()


def test_all_that_is_shown_is_chosen_at_once(shelf: Visit) -> None:
    every = shelf.page.get_by_role("checkbox", name=shelf.text("documents.choose_all"))
    every.check()
    expect(shelf.page.locator("#documents .selection")).to_contain_text(shelf.text("documents.chosen.many", count=3))
    box(shelf, "barcos/dos.txt").uncheck()
    assert every.evaluate("box => box.indeterminate")
    shelf.page.get_by_role("button", name=shelf.text("documents.clear_chosen")).click()
    expect(shelf.page.locator("#documents .selection")).to_be_hidden()


def test_what_to_do_with_the_chosen_stays_in_view_below_the_first_rows(shelf: Visit) -> None:
    shelf.page.set_viewport_size({"width": 1280, "height": 180})
    box(shelf, "barcos/tres.txt").check()
    shelf.page.locator("#documents .totals").scroll_into_view_if_needed()
    expect(shelf.page.locator("#documents .selection button").first).to_be_in_viewport()


def test_the_passages_of_a_document_are_paged_beside_the_table(shelf: Visit) -> None:
    shelf.page.get_by_role("button", name="barcos/tres.txt", exact=True).click()
    inside = shelf.page.locator("#inside")
    passages = inside.locator(".passage")
    expect(passages).to_have_count(20)
    expect(passages.first).to_contain_text(shelf.text("chat.page", page=1))
    expect(passages.first).to_contain_text("token")
    inside.get_by_role("button", name=shelf.text("documents.later")).first.click()
    expect(passages.first.locator(".number")).to_have_text("21")
    inside.get_by_role("button", name=shelf.text("documents.earlier")).first.click()
    expect(passages.first.locator(".number")).to_have_text("1")
    inside.get_by_role("button", name=shelf.text("documents.close")).click()
    expect(inside).to_be_hidden()


def test_a_search_shows_what_speaks_for_each_hit_and_keeps_to_the_chosen(shelf: Visit) -> None:
    question = shelf.page.locator("#try-question textarea")
    hits = shelf.page.locator("#inside .hit")
    shelf.page.locator("#try-search").click()
    question.fill("¿Cada cuántas horas se revisa la bomba X22?")
    question.press("Enter")
    expect(hits.first).to_contain_text("bombas.pdf")
    expect(hits.first.locator("mark").filter(has_text="bomba").first).to_be_visible()
    expect(hits.first.locator(".scores dt")).to_have_text(
        [shelf.text(f"documents.score_{name}") for name in ("relevance", "fused", "dense", "lexical")])
    expect(shelf.page.locator("#inside-scope .hint")).to_have_text(shelf.text("documents.search_all"))
    box(shelf, "barcos/dos.txt").check()  # the question is asked again of what is chosen
    expect(shelf.page.locator("#inside-scope .hint")).to_have_text(shelf.text("documents.search_chosen.one", count=1))
    expect(hits.locator("header").filter(has_not_text="barcos/dos.txt")).to_have_count(0)
    expect(hits.first).to_contain_text("barcos/dos.txt")


def test_the_panel_stays_in_view_beside_a_long_table(shelf: Visit) -> None:
    shelf.page.set_viewport_size({"width": 1280, "height": 300})
    last = shelf.page.get_by_role("button", name="barcos/uno.txt", exact=True)
    last.scroll_into_view_if_needed()
    last.click()
    expect(shelf.page.locator("#inside .passage").first).to_be_in_viewport()
    shelf.page.mouse.wheel(0, 3000)
    expect(shelf.page.locator("#inside-close")).to_be_in_viewport()


def test_work_is_cancelled_within_about_a_second_and_retried(
    documents: Visit, library: RunningApp, open_visit: OpenVisit
) -> None:
    write_slow_pdf(library.docs / "lento.pdf", 6_000_000)
    cancel = act(documents, "cancel", "lento.pdf")
    documents.row("lento.pdf").locator(".badge.parsing").wait_for()
    cancel.click()
    started = time.monotonic()
    documents.expect_state("lento.pdf", "cancelled")
    assert time.monotonic() - started < 3
    other = open_visit("en")
    other.tab("documents")
    other.expect_state("lento.pdf", "cancelled")
    write_pdf(library.docs / "lento.pdf", ["Ahora se lee en un instante."])
    act(documents, "retry", "lento.pdf").click()
    documents.expect_state("lento.pdf", "indexed")


def test_cancelling_all_empties_the_queue(documents: Visit, library: RunningApp) -> None:
    write_slow_pdf(library.docs / "eterno.pdf", 6_000_000)
    (library.docs / "espera.txt").write_text("Espera su turno.", "utf-8")
    documents.page.locator("#indexing-progress button").click()
    documents.expect_state("eterno.pdf", "cancelled")
    expect(documents.page.locator("#indexing-progress .busy")).to_have_count(0)
    for name in ("eterno.pdf", "espera.txt"):
        (library.docs / name).unlink()
        expect(documents.row(name)).to_have_count(0)  # forgotten by itself


def test_a_second_drop_keeps_the_question_about_the_first(
    documents: Visit, library: RunningApp, tmp_path: Path
) -> None:
    def drop(name: str, text: str) -> None:
        path = tmp_path / text / name
        path.parent.mkdir()
        path.write_text(text, "utf-8")
        documents.drop(path)

    for name in ("norte.txt", "sur.txt"):
        drop(name, f"{name} antes")
        documents.expect_state(name, "indexed")
    drop("norte.txt", "norte ahora")
    expect(documents.page.locator("#conflict-text")).to_contain_text("«norte.txt»")
    drop("sur.txt", "sur ahora")
    expect(documents.page.locator("#conflict-text")).to_contain_text("«norte.txt», «sur.txt»")
    documents.page.locator("#conflict-replace").click()
    expect(documents.page.locator("#conflict-replace")).to_be_hidden()
    assert (library.docs / "norte.txt").read_text("utf-8") == "norte ahora"
    assert (library.docs / "sur.txt").read_text("utf-8") == "sur ahora"


def test_a_protected_document_is_opened_with_its_password(documents: Visit, library: RunningApp) -> None:
    write_pdf(library.docs / "secreto.pdf", ["La clave del faro es 4711."], password="ancla-9")
    documents.expect_state("secreto.pdf", "failed")
    field = documents.page.locator("#document-password input")
    act(documents, "unlock", "secreto.pdf").click()
    expect(documents.page.locator("#password-text")).to_contain_text("secreto.pdf")
    field.fill("falsa")
    field.press("Enter")
    expect(documents.page.locator("#document-notices")).to_contain_text(documents.text("error.pdf_wrong_password"))
    expect(field).to_have_value("")
    field.fill("ancla-9")
    documents.page.locator("#use-password").click()
    documents.expect_state("secreto.pdf", "indexed")
    expect(field).to_be_hidden()


def test_the_table_fits_a_phone(open_visit: OpenVisit) -> None:
    phone = open_visit("es", (390, 844))
    phone.tab("documents")
    phone.row("bombas.pdf").wait_for()
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 390
    phone.page.get_by_role("button", name="bombas.pdf", exact=True).click()
    expect(phone.page.locator("#inside .passage").first).to_be_in_viewport()
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 390
