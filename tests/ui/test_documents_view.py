"""The documents' HTML: every state in both languages, and names that try to be markup."""

from __future__ import annotations

import re
from typing import Any, get_args

import pytest

from core.documents.events import Reason
from core.documents.store import State, StoredDocument
from core.errors import AppError
from ui.documents_view import (
    COLUMNS,
    ROWS_SHOWN,
    TableView,
    busy_line,
    conflict_text,
    missing_text,
    password_text,
    table,
    unreadable_text,
)
from ui.i18n import LANGUAGES, plural, translate

HOSTILE = '"><script>alert(1)<img src=x onerror=alert(2)>.pdf'
both_languages = pytest.mark.parametrize("language", LANGUAGES)


def names(html: str) -> list[str]:
    """The documents of a table, in its order."""
    return re.findall(r'<tr data-source="([^"]*)">', html)


def document(source: str = "a.pdf", state: State = "indexed", **values: Any) -> StoredDocument:
    fields: dict[str, Any] = {"sha256": "s", "file_sha256": "s", "size_bytes": 1200, "modified_ns": 1, "reason": None,
                              "done": 0, "total": 0, "pages": 3, "chunks": 7}
    return StoredDocument(source=source, state=state, **{**fields, **values})


@both_languages
@pytest.mark.parametrize("state", get_args(State))
def test_every_state_has_its_word_and_its_badge(language: str, state: State) -> None:
    html = table(language, [document(state=state)])
    assert f'<span class="badge {state}">{translate(language, f"documents.state_{state}")}</span>' in html


@both_languages
def test_an_empty_library_invites(language: str) -> None:
    assert translate(language, "documents.empty_title") in table(language, [])


@both_languages
def test_a_failed_document_says_why(language: str) -> None:
    for reason in (Reason("pdf_broken"), Reason("page_timeout", {"seconds": 30}), Reason("file_gone")):
        html = table(language, [document(state="failed", reason=reason, chunks=0)])
        sentence = translate(language, f"error.{reason.code}", **reason.values)
        assert f'<span class="reason">{sentence}</span>' in html
        html = table(language, [document(state="failed", reason=reason)])
        assert f'{sentence} {translate(language, "documents.earlier_hint")}</span>' in html


@both_languages
def test_a_document_without_text_says_what_to_do(language: str) -> None:
    assert translate(language, "documents.no_text_hint") in table(language, [document(state="no_text", chunks=0)])


def test_progress_shows_while_a_document_is_read_and_indexed() -> None:
    assert plural("en", "documents.pages", 40) in table("en", [document(state="parsing", done=40)])
    html = table("en", [document(state="embedding", done=16, total=64)])
    assert 'max="64" value="16"' in html and "16/64" in html
    assert "40/90" in table("en", [document(state="parsing", done=40, total=90)])


@both_languages
def test_a_total_that_is_judged_says_so(language: str) -> None:
    html = table(language, [document(state="embedding", done=16, total=340, about=True)])
    assert ">16/≈340<" in html
    assert translate(language, "documents.progress_passages_about", done=16, total="≈340").replace("≈", "") in html
    assert plural(language, "documents.passages", 16) in table(language, [document(state="embedding", done=16)])


def test_figures_are_shown_once_they_are_known() -> None:
    waiting = table("es", [document(state="queued", pages=0, chunks=0)])
    assert '<td class="pages">–</td><td class="chunks">–</td>' in waiting
    assert '<td class="pages">3</td><td class="chunks">7</td>' in table("es", [document()])
    assert "1,2 kB" in table("es", [document()])


def test_totals_count_documents_and_passages() -> None:
    html = table("en", [document("a.pdf"), document("b.pdf", chunks=5)])
    assert plural("en", "documents.total", 2) in html and plural("en", "documents.passages", 12) in html


@both_languages
def test_a_hostile_name_stays_text_everywhere(language: str) -> None:
    failed = Reason("already_here", {"twin": HOSTILE})
    for html in (table(language, [document(HOSTILE), document(HOSTILE, "failed", reason=failed)]),
                 busy_line(language, [document(HOSTILE, "queued")], None),
                 busy_line(language, [], AppError("embedder_failed", detail=HOSTILE)),
                 busy_line(language, [document(HOSTILE, "queued")], None, 30.0),
                 table(language, [document("a.pdf")], wanted=HOSTILE), password_text(language, HOSTILE),
                 conflict_text(language, [HOSTILE]), missing_text(language, [HOSTILE]),
                 unreadable_text(language, [HOSTILE])):
        assert "<script" not in html and "<img" not in html
        assert "&lt;script&gt;" in html
        assert HOSTILE not in html


def test_a_name_of_any_length_and_script_is_kept_whole() -> None:
    name = "informe " * 40 + "año 2024 – 報告 📄.pdf"
    html = table("es", [document(name)])
    assert names(html) == [name] and f">{name}</button>" in html


def test_the_busy_line_counts_and_names_the_one_at_work() -> None:
    documents = [document("a.pdf"), document("b.pdf", "queued"), document("c.pdf", "embedding")]
    html = busy_line("en", documents, None)
    assert translate("en", "documents.busy", done=1, total=3) in html and "c.pdf" in html and "b.pdf" not in html
    assert 'data-act="cancel-all"' in html
    working = [document("c.pdf", "embedding", done=16, total=340, about=True)]
    assert "c.pdf</bdi> 16/≈340<" in busy_line("en", working, None)
    assert busy_line("en", [document(), document(state="failed", reason=Reason("pdf_broken"))], None) == ""


def test_the_busy_line_tells_the_pace_and_the_time_left() -> None:
    def line(language: str, total: int, rate: float) -> str:
        return busy_line(language, [document("a.txt", "embedding", done=0, total=total)], None, rate)

    assert "32 passages/s" in line("en", 64, 32.4) and "3,2 pasajes/s" in line("es", 64, 3.2)
    assert translate("en", "documents.left_seconds") in line("en", 64, 32.0)
    assert plural("es", "documents.left_minutes", 2) in line("es", 3600, 30.0)
    assert plural("en", "documents.left_hours", 3) in line("en", 108_000, 10.0)
    assert "passages/s" not in busy_line("en", [document(state="queued")], None)


def test_what_holds_the_work_up_goes_before_progress() -> None:
    html = busy_line("en", [document(state="queued")], AppError("disk_full"))
    assert translate("en", "error.disk_full") in html and "<progress" not in html


@both_languages
def test_questions_name_a_few_files_and_count_all(language: str) -> None:
    paths = [f"/tmp/x{number}/{number}.pdf" for number in range(7)]
    for html in (conflict_text(language, paths), missing_text(language, paths)):
        assert "7" in html and "«4.pdf»" in html and "«5.pdf»" not in html and "/tmp" not in html
    assert conflict_text(language, []) == missing_text(language, []) == ""


# What can be done with a document.


@pytest.mark.parametrize(("state", "acts"), [
    ("queued", ["cancel"]), ("parsing", ["cancel"]), ("embedding", ["cancel"]), ("indexed", ["reindex", "remove"]),
    ("no_text", ["reindex", "remove"]), ("cancelled", ["retry", "remove"]), ("failed", ["retry", "remove"]),
])
def test_every_state_offers_what_can_be_done_about_it(state: State, acts: list[str]) -> None:
    html = table("en", [document(state=state, reason=Reason("pdf_broken"))])
    assert re.findall(r'<button type="button" class="\w+" data-act="(\w+)" aria-label', html) == acts


@pytest.mark.parametrize("code", ["pdf_encrypted", "pdf_wrong_password"])
def test_a_protected_document_asks_for_its_password(code: str) -> None:
    assert 'data-act="unlock"' in table("es", [document(state="failed", reason=Reason(code))])


def test_only_a_document_with_passages_can_be_opened() -> None:
    assert 'data-act="open"' in table("en", [document()])
    assert 'data-act="open"' in table("en", [document(state="embedding")])  # the version before it
    assert 'data-act="open"' not in table("en", [document(state="queued", chunks=0)])


@both_languages
def test_a_cancelled_document_says_that_its_old_version_can_be_found(language: str) -> None:
    hint = translate(language, "documents.earlier_hint")
    assert hint in table(language, [document(state="cancelled")])
    assert hint not in table(language, [document(state="cancelled", chunks=0)])


# How the table is looked at.


def test_names_are_sorted_as_people_do() -> None:
    html = table("es", [document(name) for name in ("b.txt", "Ñu.txt", "área.txt", "nido.txt", "Zorro.txt", "a.txt")])
    assert names(html) == ["a.txt", "área.txt", "b.txt", "nido.txt", "Ñu.txt", "Zorro.txt"]


def test_every_column_sorts_both_ways() -> None:
    documents = [document("b.txt", "failed", pages=1, chunks=9, size_bytes=5),
                 document("a.txt", "indexed", pages=3, chunks=2, size_bytes=7),
                 document("c.txt", "embedding", pages=2, chunks=5, size_bytes=6)]
    expected = {"name": "abc", "pages": "bca", "chunks": "acb", "size": "bca", "state": "cba"}
    for column in COLUMNS:
        view = TableView(sort="pages" if column == "name" else "name").sorted_by(column)
        order = [f"{letter}.txt" for letter in expected[column]]
        html = table("en", documents, view)
        assert names(html) == order and f'<th class="{column}" scope="col" aria-sort="ascending">' in html
        assert names(table("en", documents, view.sorted_by(column))) == order[::-1]


def test_the_filter_finds_every_word_of_a_name_without_case_and_accents() -> None:
    documents = [document(name) for name in ("Informe de gestión.pdf", "informe/ventas.pdf", "gestion.txt")]
    assert names(table("es", documents, wanted="GESTION informe")) == ["Informe de gestión.pdf"]
    assert len(names(table("es", documents, wanted=" "))) == 3
    assert translate("es", "documents.none_found", wanted="zz") in table("es", documents, wanted="zz")


def test_a_long_table_shows_its_first_rows_until_all_are_asked_for() -> None:
    documents = [document(f"{number:04}.txt") for number in range(ROWS_SHOWN + 50)]
    html = table("en", documents)
    assert len(names(html)) == ROWS_SHOWN
    assert translate("en", "documents.first_rows", shown=ROWS_SHOWN, found=ROWS_SHOWN + 50) in html
    assert "data-complete" not in html  # what is not in it may still be chosen
    whole = table("en", documents, TableView(whole=True))
    assert len(names(whole)) == ROWS_SHOWN + 50 and "data-complete" in whole
    assert "data-complete" not in table("en", documents, TableView(whole=True), wanted="0001")


def test_totals_count_failures_and_all_documents_also_when_some_are_filtered_out() -> None:
    html = table("en", [document("a.pdf", "failed", chunks=0), document("b.pdf")], wanted="b")
    assert plural("en", "documents.total_failed", 1) in html and plural("en", "documents.total", 2) in html


def test_the_folder_itself_has_a_name_when_it_cannot_be_looked_at() -> None:
    assert translate("es", "documents.the_folder") in unreadable_text("es", ["."])
    assert unreadable_text("es", []) == ""
